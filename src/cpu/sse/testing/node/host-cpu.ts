/** This computer's processor as an oracle, through host-cpu.c. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Feature, Instruction } from "../../../../isa/instruction.ts";
import { type Encoded, STATE_SIZE } from "../state.ts";

export interface HostCpu {
  /** Features that one of the instructions needs and the processor does not have. */
  lacks(instructions: readonly Instruction[]): string[];
  /** The states after the instructions, one array for each entry. */
  run(encoded: readonly Encoded[]): Uint8Array[];
}

const GROUP_SIZE = 24;
let opened: HostCpu | string | undefined;

/** The host's processor, or why it cannot be used. */
export function hostCpu(): HostCpu | string {
  opened ??= open();
  return opened;
}

function open(): HostCpu | string {
  if (process.arch !== "x64" || process.platform !== "linux") return "the host is no x86-64 Linux";
  const folder = mkdtempSync(join(tmpdir(), "host-cpu-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "host-cpu");
  const source = fileURLToPath(new URL("host-cpu.c", import.meta.url));
  const compiled = spawnSync("gcc", ["-O1", "-o", program, source], { encoding: "utf8" });
  if (compiled.error) return "gcc is not installed";
  if (compiled.status !== 0) return `gcc fails: ${compiled.stderr}`;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.trim().split(" "));
  const has = (feature: Feature) => flags.has(LINUX_NAMES[feature] ?? feature);
  return {
    lacks: (instructions) => [
      ...new Set(
        instructions.map(({ feature }) => feature ?? "base").filter((feature) => feature !== "base" && !has(feature)),
      ),
    ],
    run: (encoded) => run(program, encoded),
  };
}

/** Features that /proc/cpuinfo names otherwise. */
const LINUX_NAMES: Partial<Record<Feature, string>> = { sse3: "pni", sha: "sha_ni", prefetchw: "3dnowprefetch" };

function run(program: string, encoded: readonly Encoded[]): Uint8Array[] {
  const size = encoded.reduce((all, { states }) => all + GROUP_SIZE + states.length, 0);
  const input = new Uint8Array(size);
  const view = new DataView(input.buffer);
  let at = 0;
  for (const { bytes, states } of encoded) {
    view.setUint32(at, bytes.length, true);
    view.setUint32(at + 4, states.length / STATE_SIZE, true);
    input.set(bytes, at + 8);
    input.set(states, at + GROUP_SIZE);
    at += GROUP_SIZE + states.length;
  }
  const { stdout, status } = spawnSync(program, { input, maxBuffer: size + 1 });
  if (status !== 0) throw new Error(`the host program ends with ${status}`);
  let from = 0;
  return encoded.map(({ states }) => {
    const result = stdout.subarray(from, from + states.length);
    from += states.length;
    return result;
  });
}
