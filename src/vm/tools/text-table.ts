/** Figures for people. */
export const count = (value: number): string => Math.round(value).toLocaleString("en-US");
export const percent = (part: number, whole: number): string =>
  `${whole === 0 ? "0.0" : ((100 * part) / whole).toFixed(1)} %`;

/** Rows as lines: the first column to the left, the others to the right, but for those from `left` on. */
export function table(rows: readonly (readonly string[])[], left = Number.POSITIVE_INFINITY): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const cell = (text: string, i: number) =>
    i === 0 || i >= left ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number);
  return rows.map((row) => `  ${row.map(cell).join("  ")}`.trimEnd());
}
