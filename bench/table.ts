/** The table of medians and ratios. */
import type { Figures, Row, Target } from "./figures.ts";

const NONE = "-";

export function table(rows: readonly Row[], figures: Figures): string {
  const lines = [
    ["workload", "unit", "ours", "QEMU TCG", "native", "ours/QEMU", "ours/native", "target", ""],
    ...rows.map((row) => {
      const figure = (value: number | undefined) => (value === undefined ? NONE : value.toFixed(row.digits));
      const met = figures.meets(row);
      return [
        row.text,
        row.unit,
        figure(figures.median(row.name, "ours")),
        figure(figures.median(row.name, "qemu")),
        figure(figures.median(row.name, "native")),
        ratio(figures.ratio(row.name, "ours", "qemu")),
        ratio(figures.ratio(row.name, "ours", "native")),
        row.target === undefined ? "" : describe(row.target, row.digits),
        met === undefined ? "" : met ? "met" : "missed",
      ];
    }),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const isText = (column: number) => column < 2 || column > 6;
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function ratio(value: number | undefined): string {
  if (value === undefined) return NONE;
  return value < 0.1 ? value.toFixed(4) : value.toFixed(2);
}

function describe({ kind, value }: Target, digits: number): string {
  switch (kind) {
    case "at-least":
      return `>= ${value.toFixed(digits)}`;
    case "below":
      return `< ${value.toFixed(digits)}`;
    case "times-qemu":
      return `<= ${value} x QEMU`;
  }
}
