/**
 * `node bin/node26.mjs scripts/screenshot.ts > docs/boot.svg`: runs `npm start` as a user does, types a few commands,
 * and draws what came out. Nothing is made up; most lines of the kernel's start are left out, and the picture says so.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { abridged, terminalSvg, visibleLines } from "./terminal-svg.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const PROMPT = "root@bunkhouse:~# ";
const COMMANDS = [
  "uname -srm",
  "grep 'model name' /proc/cpuinfo",
  "free -m | head -2",
  "ls /sys/bus/virtio/drivers",
  "poweroff -f",
];
/** Lines shown of the kernel's start. */
const HEAD = 7;
const TAIL = 14;

const machine = spawn("npm", ["start"], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
let output = "";
let asked = 0;
machine.stdout.setEncoding("utf8").on("data", (text: string) => {
  output += text;
  const prompts = visibleLines(output).filter((line) => line.startsWith(PROMPT.trimEnd())).length;
  if (prompts <= asked) return;
  machine.stdin.write(`${COMMANDS[asked++] ?? "poweroff -f"}\n`);
});
const [status] = await once(machine, "close");
if (status !== 0) throw new Error(`npm start ended with status ${status}`);

const lines = visibleLines(output).filter((line, i, all) => line !== "" || all[i - 1] !== "");
const session = lines.findIndex((line) => line.startsWith(PROMPT));
const shown = ["$ npm start", ...abridged(lines.slice(0, session), HEAD, TAIL), ...lines.slice(session)];
while (shown.at(-1) === "") shown.pop();
process.stdout.write(terminalSvg("Debian boots to a shell with npm start", shown));
