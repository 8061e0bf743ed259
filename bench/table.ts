/** Tables of text, of Markdown's form, aligned. */
import type { Figures } from "./figures.ts";
import type { Machine, MachineName } from "./machines.ts";
import type { Requirement } from "./requirements.ts";
import { meanRatio } from "./requirements.ts";
import type { Row } from "./workloads.ts";

const NONE = "-";
/** What is compared with what, where both were measured. */
const RATIOS: readonly (readonly [MachineName, MachineName, string])[] = [
  ["ours64", "qemu64", "ours / QEMU"],
  ["ours32", "qemu32", "ours / QEMU, 32-bit"],
  ["ours32", "v86", "ours, 32-bit / v86"],
];

/** A Markdown table; the first `texts` columns are aligned to the left. */
export function markdownTable(lines: readonly (readonly string[])[], texts: number): string {
  const [head = []] = lines;
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]?.length ?? 0)));
  const isText = (column: number) => column < texts;
  const row = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (isText(i) ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (isText(i) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [row(head), rule, ...lines.slice(1).map(row)].join("\n");
}

/** Three digits that count. */
export function figure(value: number | undefined): string {
  if (value === undefined) return NONE;
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3);
}

/** Medians by workload and machine, and the ratios that matter. */
export function figuresTable(rows: readonly Row[], machines: readonly Machine[], figures: Figures): string {
  const named = (name: MachineName) => machines.some((machine) => machine.name === name);
  const ratios = RATIOS.filter(([one, other]) => named(one) && named(other));
  return markdownTable(
    [
      ["workload", "what", "unit", ...machines.map(({ title }) => title), ...ratios.map(([, , title]) => title)],
      ...rows.map((row) => [
        row.name,
        row.text,
        row.unit,
        ...machines.map(({ name }) => figure(figures.median(row.name, name))),
        ...ratios.map(([one, other]) => figure(figures.ratio(row, one, other))),
      ]),
      [
        ...["", "geometric mean of ratios, without start and memory", ""],
        ...machines.map(() => ""),
        ...ratios.map(([one, other]) => figure(meanRatio(rows, figures, one, other))),
      ],
    ],
    3,
  );
}

export function requirementsTable(requirements: readonly Requirement[]): string {
  return markdownTable(
    [
      ["requirement", "measured", ""],
      ...requirements.map(({ text, measured, met }) => [
        text,
        measured ?? NONE,
        met === undefined ? "not measured" : met ? "met" : "not met",
      ]),
    ],
    3,
  );
}

/** Millions of guest instructions a second of our machines. */
export function instructionsTable(rows: readonly Row[], rates: Figures): string | undefined {
  const names: readonly MachineName[] = ["ours64", "ours32"];
  const measured = rows.filter(({ name }) => names.some((machine) => rates.median(name, machine) !== undefined));
  if (measured.length === 0) return undefined;
  return markdownTable(
    [
      ["workload", "ours", "ours, 32-bit"],
      ...measured.map(({ name }) => [name, ...names.map((machine) => figure(rates.median(name, machine)))]),
    ],
    1,
  );
}
