/** The machines that are compared, as commands that start them. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { RAM_BASE } from "../src/cpu/state.ts";
import type { Command } from "./guest-process.ts";

export type MachineName = "ours" | "qemu" | "native";

export interface BootFiles {
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  readonly memoryMiB: number;
}

/** A machine that boots guests. */
export interface Emulator {
  readonly name: "ours" | "qemu";
  /** As a user would start it. */
  boot(files: BootFiles): Command;
  /** To run guest programs in; `counted` if it stamps their lines with instruction counts. */
  readonly programs: { boot(files: BootFiles): Command; readonly counted: boolean };
  /** Bytes of the mapping of guest RAM that lie in front of RAM. */
  readonly aheadOfRam: number;
}

const BUNK = fileURLToPath(new URL("../bin/bunk.mjs", import.meta.url));
const OUR_MACHINE = fileURLToPath(new URL("our-machine.ts", import.meta.url));
const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning"];
export const QEMU = "qemu-system-x86_64";

const bootOptions = (prefix: string, { kernel, initrd, commandLine }: BootFiles) => [
  ...[`${prefix}kernel`, kernel],
  ...(initrd === undefined ? [] : [`${prefix}initrd`, initrd]),
  ...(commandLine === undefined ? [] : [`${prefix}append`, commandLine]),
];

/** Command of a machine of ours that runs guest programs; see our-machine.ts. */
export function ourMachine(
  { kernel, initrd = "", commandLine = "", memoryMiB }: BootFiles,
  extra: { nodeOptions?: readonly string[]; profile?: string } = {},
): Command {
  const { nodeOptions = [], profile } = extra;
  const args = [kernel, initrd, commandLine, String(memoryMiB), ...(profile === undefined ? [] : [profile])];
  return { program: process.execPath, args: [...NODE_OPTIONS, ...nodeOptions, OUR_MACHINE, ...args] };
}

export const OURS: Emulator = {
  name: "ours",
  boot: (files) => ({
    program: process.execPath,
    args: [BUNK, "run", ...bootOptions("--", files), "--memory", `${files.memoryMiB}M`],
  }),
  programs: { boot: (files) => ourMachine(files), counted: true },
  aheadOfRam: RAM_BASE,
};

const qemuCommand = (files: BootFiles): Command => ({
  program: QEMU,
  args: [
    ...["-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", String(files.memoryMiB)],
    ...["-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot"],
    ...bootOptions("-", files),
  ],
});

export const QEMU_TCG: Emulator = {
  name: "qemu",
  boot: qemuCommand,
  programs: { boot: qemuCommand, counted: false },
  aheadOfRam: 0,
};

/** First line of what `program --version` says; undefined where there is no such program. */
export async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ["--version"]);
    return stdout.split("\n")[0];
  } catch {
    return undefined;
  }
}
