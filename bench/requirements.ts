/** What the figures should come to. */
import { type Figures, geometricMean } from "./figures.ts";
import type { MachineName } from "./machines.ts";
import { MEMORY, type Row, START_ROW } from "./workloads.ts";

export interface Requirement {
  readonly text: string;
  /** What was measured, as text; undefined where it was not. */
  readonly measured: string | undefined;
  readonly met: boolean | undefined;
}

const FIRST_OUTPUT_MS = 300;
const MEMORY_MB = 300;
const INTEGER_TARGET = 1.3;
const INTEGER_GOAL = 2;
const V86_TARGET = 3;
const SSE_TARGET = 3;
/** Every workload's ratio, and the one that none may be below. */
const OTHERS = { target: 1, floor: 0.8 };
/** Rows that have a requirement of their own, or tell no speed. */
const APART: ReadonlySet<string> = new Set(["integer", "nbody-sse", "boot", "start", "memory"]);

/** Rows by name; each is in `rows` where it was measured. */
export function requirements(rows: readonly Row[], figures: Figures): Requirement[] {
  const ratio = (name: string, machine: MachineName, reference: MachineName) => {
    const row = rows.find((each) => each.name === name);
    return row && figures.ratio(row, machine, reference);
  };
  // v86 runs 32-bit guests: its integer mix is the 32-bit program's.
  const [ours, theirs] = [figures.median("integer", "ours64"), figures.median("integer", "v86")];
  const perV86 = ours === undefined || theirs === undefined ? undefined : ours / theirs;
  return [
    atLeast("integer mix, 64-bit: times QEMU TCG", INTEGER_TARGET, ratio("integer", "ours64", "qemu64")),
    atLeast("integer mix, 64-bit: times v86 (32-bit)", V86_TARGET, perV86),
    atLeast("n-body in SSE2 doubles: times QEMU TCG", SSE_TARGET, ratio("nbody-sse", "ours64", "qemu64")),
    others("every other workload, 64-bit: times QEMU TCG", rows, figures, "ours64", "qemu64"),
    others("every other workload, 32-bit: times QEMU TCG", rows, figures, "ours32", "qemu32"),
    atLeast("boot of the cloud kernel: times QEMU TCG", 1, ratio("boot", "ours64", "qemu64")),
    below("a guest's first instruction, ms after process start", FIRST_OUTPUT_MS, figures.median(START_ROW, "ours64")),
    below("memory above guest RAM, MB", MEMORY_MB, figures.median(MEMORY.name, "ours64")),
    atLeast("goal, integer mix: times QEMU TCG", INTEGER_GOAL, ratio("integer", "ours64", "qemu64")),
    atLeast(
      "goal, geometric mean of workloads: times QEMU TCG",
      INTEGER_GOAL,
      meanRatio(rows, figures, "ours64", "qemu64"),
    ),
  ];
}

/** The geometric mean of the ratios of all rows that tell a speed. */
export function meanRatio(
  rows: readonly Row[],
  figures: Figures,
  machine: MachineName,
  reference: MachineName,
): number | undefined {
  return geometricMean(
    rows
      .filter(({ name }) => name !== MEMORY.name && name !== START_ROW)
      .flatMap((row) => figures.ratio(row, machine, reference) ?? []),
  );
}

function atLeast(text: string, least: number, value: number | undefined): Requirement {
  return {
    text: `${text} ≥ ${least}`,
    measured: value?.toFixed(2),
    met: value === undefined ? undefined : value >= least,
  };
}

function below(text: string, most: number, value: number | undefined): Requirement {
  return {
    text: `${text} < ${most}`,
    measured: value?.toFixed(0),
    met: value === undefined ? undefined : value < most,
  };
}

function others(
  text: string,
  rows: readonly Row[],
  figures: Figures,
  machine: MachineName,
  reference: MachineName,
): Requirement {
  const { target, floor } = OTHERS;
  const ratios = rows
    .filter(({ name }) => !APART.has(name))
    .flatMap(({ name, better }) => {
      const value = figures.ratio({ name, better }, machine, reference);
      return value === undefined ? [] : [{ name, value }];
    })
    .sort((a, b) => a.value - b.value);
  const [lowest] = ratios;
  const short = ratios.filter(({ value }) => value < target);
  return {
    text: `${text} ≥ ${target.toFixed(1)}, none below ${floor}`,
    measured:
      lowest && `${ratios.length - short.length} of ${ratios.length}; lowest ${lowest.name} ${lowest.value.toFixed(2)}`,
    met: lowest && short.length === 0,
  };
}
