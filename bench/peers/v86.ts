/** v86 (npm package v86) in a process of Node's, with SeaBIOS and its VGA BIOS from Debian; 32-bit guests. */
import { access, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Command } from "../guest-process.ts";
import type { BootFiles } from "../machines.ts";

const PROGRAM = fileURLToPath(new URL("v86-machine.ts", import.meta.url));
const FIRMWARE = ["/usr/share/seabios/bios.bin", "/usr/share/seabios/vgabios-stdvga.bin"];

export async function v86Lacks(): Promise<string | undefined> {
  if ((await v86Version()) === undefined) return "the npm package v86 is not installed (npm ci)";
  try {
    for (const file of FIRMWARE) await access(file);
    return undefined;
  } catch {
    return `there is no ${FIRMWARE.join(" or ")} (Debian package seabios)`;
  }
}

export async function v86Version(): Promise<string | undefined> {
  try {
    const main = createRequire(import.meta.url).resolve("v86");
    const { version } = JSON.parse(await readFile(new URL("../package.json", `file://${main}`), "utf8"));
    return String(version);
  } catch {
    return undefined;
  }
}

export function v86Command({ kernel, initrd = "", commandLine = "", memoryMiB }: BootFiles): Command {
  const args = [kernel, initrd, commandLine, String(memoryMiB), ...FIRMWARE];
  return { program: process.execPath, args: ["--disable-warning=ExperimentalWarning", PROGRAM, ...args] };
}
