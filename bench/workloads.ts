/** What is measured: the rows of the table. */
import { COMMANDS, type CommandSpec } from "./commands.ts";
import type { Bits } from "./guest-programs.ts";
import { PROGRAM_NAMES, PROGRAMS, type ProgramName } from "./guest-programs.ts";

export interface Row {
  readonly name: string;
  readonly text: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

export type Workload = Row & {
  /** Part of `--quick`. */
  readonly core: boolean;
  /** Takes a slow machine minutes. */
  readonly heavy?: boolean;
  /** Only for machines of so many bits. */
  readonly bits?: Bits;
} & (
    | { readonly kind: "program"; readonly program: ProgramName }
    | { readonly kind: "command"; readonly command: CommandSpec }
    /** A catalogue guest to its prompt; its memory goes to the row of the same name with "-memory". */
    | { readonly kind: "boot" }
    | { readonly kind: "disk-boot" }
    /** A guest's first output. */
    | { readonly kind: "start" }
  );

const CORE_PROGRAMS: ReadonlySet<ProgramName> = new Set([
  "integer",
  "nbody-sse",
  "nbody-x87",
  "qsort",
  "memcpy",
  "sha256",
  "syscall",
  "fault",
]);
const HEAVY_COMMANDS: ReadonlySet<string> = new Set(["7z-b"]);

export const BOOT_ROW = "boot";
export const START_ROW = "start";
export const MEMORY: Row = {
  name: "memory",
  text: "memory above guest RAM, at the shell",
  unit: "MB",
  better: "lower",
};
const TIME = { unit: "s", better: "lower" } as const;

export const WORKLOADS: readonly Workload[] = [
  ...PROGRAM_NAMES.map(
    (name): Workload => ({
      kind: "program",
      name,
      program: name,
      text: PROGRAMS[name].text,
      unit: "1/s",
      better: "higher",
      core: CORE_PROGRAMS.has(name),
    }),
  ),
  ...COMMANDS.map(
    (command): Workload => ({
      kind: "command",
      name: command.name,
      command,
      text: command.text,
      unit: "1/s",
      better: "higher",
      core: false,
      heavy: HEAVY_COMMANDS.has(command.name),
    }),
  ),
  { kind: "boot", name: BOOT_ROW, text: "boot of a Debian kernel to a shell", ...TIME, core: true },
  {
    kind: "disk-boot",
    name: "systemd",
    text: "boot of Debian with systemd from a disk",
    ...TIME,
    core: false,
    bits: 64,
  },
  {
    kind: "start",
    name: START_ROW,
    text: "process start to a guest's first output",
    unit: "ms",
    better: "lower",
    core: true,
  },
];
export const WORKLOAD_NAMES = WORKLOADS.map(({ name }) => name);

/** Rows of the table for these workloads. */
export function rowsOf(workloads: readonly Workload[]): Row[] {
  return workloads.flatMap((workload): Row[] => (workload.kind === "boot" ? [workload, MEMORY] : [workload]));
}
