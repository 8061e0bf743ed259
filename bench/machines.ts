/** The machines that are compared, as commands that start them. */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { CODE_OPTIONS, codeDirectory } from "../bin/runtime.mjs";
import { RAM_BASE } from "../src/cpu/state.ts";
import type { Command } from "./guest-process.ts";
import type { Bits } from "./guest-programs.ts";
import { versionOf } from "./host-programs.ts";
import { bochsCommand, bochsLacks } from "./peers/bochs.ts";
import { v86Command, v86Lacks } from "./peers/v86.ts";

export type MachineName = "native64" | "native32" | "qemu64" | "qemu32" | "ours64" | "ours32" | "v86" | "bochs";

export interface BootFiles {
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  readonly memoryMiB: number;
  /** A raw image; what the guest writes to it is dropped. */
  readonly disk?: string;
}

export interface Machine {
  readonly name: MachineName;
  readonly title: string;
  readonly bits: Bits;
  /** Undefined for the host itself. */
  readonly emulator?: Emulator;
}

/** A machine that boots guests. */
export interface Emulator {
  /** Why it cannot run here, as the end of a sentence, with the Debian package that is missing. */
  lacks(): Promise<string | undefined>;
  /** As a user would start it; files for it go into `directory`. */
  boot(files: BootFiles, directory: string): Promise<Command>;
  /** To run guest programs in, where that is another command: it stamps their lines with instruction counts. */
  counted?(files: BootFiles): Command;
  /** Starts kernels other than Linux, and from disks that Linux finds without a module of the initial file system. */
  readonly starts: boolean;
  readonly disks: boolean;
  /** Bytes of the mapping of guest RAM that lie in front of RAM; undefined where there is no such mapping. */
  readonly aheadOfRam?: number;
  /** Guest time is a count of instructions, so its clock tells nothing; it may be stopped and goes on as if nothing had been. */
  readonly virtualTime: boolean;
  /** Workloads that take it minutes are left out. */
  readonly slow: boolean;
}

const BUNK = fileURLToPath(new URL("../bin/bunk.mjs", import.meta.url));
const OUR_MACHINE = fileURLToPath(new URL("our-machine.ts", import.meta.url));
const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning", ...CODE_OPTIONS];
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
  // Code is kept as that of `bunk run` is.
  const env = { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? codeDirectory() };
  return { program: process.execPath, args: [...NODE_OPTIONS, ...nodeOptions, OUR_MACHINE, ...args], env };
}

const OURS: Emulator = {
  lacks: async () => undefined,
  boot: async (files) => ({
    program: process.execPath,
    args: [
      ...[BUNK, "run", ...bootOptions("--", files), "--memory", `${files.memoryMiB}M`],
      ...(files.disk === undefined ? [] : ["--disk", `${files.disk},format=raw,snapshot=on`]),
    ],
  }),
  counted: (files) => ourMachine(files),
  starts: true,
  disks: true,
  aheadOfRam: RAM_BASE,
  virtualTime: false,
  slow: false,
};

const QEMU_TCG: Emulator = {
  lacks: async () =>
    (await versionOf(QEMU)) === undefined ? `${QEMU} is not installed (Debian package qemu-system-x86)` : undefined,
  boot: async (files) => ({
    program: QEMU,
    args: [
      ...["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-m", String(files.memoryMiB)],
      ...["-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot"],
      ...bootOptions("-", files),
      ...(files.disk === undefined ? [] : ["-drive", `file=${files.disk},format=raw,if=virtio,snapshot=on`]),
    ],
  }),
  starts: true,
  disks: true,
  aheadOfRam: 0,
  virtualTime: false,
  slow: false,
};

const V86: Emulator = {
  lacks: v86Lacks,
  boot: async (files) => v86Command(files),
  starts: false,
  disks: false,
  virtualTime: false,
  slow: false,
};

const BOCHS: Emulator = {
  lacks: bochsLacks,
  boot: bochsCommand,
  starts: false,
  disks: false,
  virtualTime: true,
  slow: true,
};

export const MACHINES: readonly Machine[] = [
  { name: "native64", title: "native", bits: 64 },
  { name: "native32", title: "native, 32-bit", bits: 32 },
  { name: "qemu64", title: "QEMU TCG", bits: 64, emulator: QEMU_TCG },
  { name: "ours64", title: "ours", bits: 64, emulator: OURS },
  { name: "bochs", title: "Bochs", bits: 64, emulator: BOCHS },
  { name: "qemu32", title: "QEMU TCG, 32-bit", bits: 32, emulator: QEMU_TCG },
  { name: "ours32", title: "ours, 32-bit", bits: 32, emulator: OURS },
  { name: "v86", title: "v86", bits: 32, emulator: V86 },
];
export const MACHINE_NAMES = MACHINES.map(({ name }) => name);
