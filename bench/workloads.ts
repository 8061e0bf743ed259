/** What is measured: each workload with its rows of the table. */
import type { Row } from "./figures.ts";
import { PROGRAM_NAMES, PROGRAMS, type ProgramName } from "./guest-programs.ts";

export type Workload =
  | { readonly kind: "program"; readonly name: ProgramName; readonly rows: readonly Row[] }
  | { readonly kind: "boot" | "start"; readonly name: string; readonly rows: readonly Row[] };

export const rate = (program: ProgramName): string => program;
export const instructionRate = (program: ProgramName): string => `${program}-instructions`;
export const BOOT_ROW = "boot";
export const MEMORY_ROW = "memory";
export const START_ROW = "start";

function programRows(program: ProgramName): Row[] {
  const { text } = PROGRAMS[program];
  const isInteger = program.startsWith("integer");
  return [
    { name: rate(program), text, unit: "iterations/s", better: "higher", digits: 1 },
    {
      name: instructionRate(program),
      text: `${text}, guest instructions`,
      unit: "million/s",
      better: "higher",
      digits: 1,
      ...(isInteger ? { target: { kind: "at-least", value: 100 } } : {}),
    },
  ];
}

export const WORKLOADS: readonly Workload[] = [
  ...PROGRAM_NAMES.map((name): Workload => ({ kind: "program", name, rows: programRows(name) })),
  {
    kind: "boot",
    name: "boot",
    rows: [
      {
        name: BOOT_ROW,
        text: "boot of the Debian cloud kernel to a shell",
        unit: "s",
        better: "lower",
        digits: 2,
        target: { kind: "times-qemu", value: 8 },
      },
      {
        name: MEMORY_ROW,
        text: "resident memory above guest RAM, at the shell",
        unit: "MB",
        better: "lower",
        digits: 0,
        target: { kind: "below", value: 250 },
      },
    ],
  },
  {
    kind: "start",
    name: "start",
    rows: [
      {
        name: START_ROW,
        text: "process start to a guest's first output",
        unit: "ms",
        better: "lower",
        digits: 0,
      },
    ],
  },
];
