/** Results as text for people. */
import { generalName } from "../../src/isa/register-names.ts";
import type { Report } from "./conformance.ts";
import { groupOf, jobName } from "./plan.ts";
import { FIELD, FX } from "./record.ts";
import type { Mismatch } from "./tester.ts";

const GPR = Array.from({ length: 16 }, (_, number) => generalName(number, 64, true));

/** An instruction, what it started from, and in what the processors differ. */
export function mismatchText({ tier, text, bytes, input, differences }: Mismatch): string {
  const state = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const hex = (value: bigint | number) => value.toString(16);
  const registers = GPR.map((name, i) => `${name}=${hex(state.getBigUint64(FIELD.gpr + 8 * i, true))}`);
  const status = state.getUint16(FIELD.fx + FX.status, true);
  const control = state.getUint16(FIELD.fx + FX.control, true);
  const mxcsr = state.getUint32(FIELD.fx + FX.mxcsr, true);
  const flags = state.getUint32(FIELD.rflags, true);
  return [
    `  ${text}  [${bytes}], ${tier}`,
    `    flags=${hex(flags)} x87 control=${hex(control)} status=${hex(status)} mxcsr=${hex(mxcsr)}`,
    `    ${registers.slice(0, 8).join(" ")}`,
    `    ${registers.slice(8).join(" ")}`,
    ...differences.map(({ what, expected, got }) => `    ${what}: expected ${expected}, got ${got}`),
  ].join("\n");
}

/** A form's result, where it is no success. */
export function failureText(report: Report): string | undefined {
  const name = jobName(report.job);
  if (report.kind === "failed") return `${name}: ${report.reason}`;
  if (report.kind === "skipped" || report.result.mismatches === 0) return undefined;
  const { mismatches, tests, examples } = report.result;
  return [`${name}: ${mismatches} differences in ${tests} tests`, ...examples.map(mismatchText)].join("\n");
}

interface Sum {
  readonly forms: Set<string>;
  readonly failed: Set<string>;
  tests: number;
  faults: number;
  translated: number;
}

/** A table of the groups, and reasons why forms were left out. */
export function summary(reports: readonly Report[]): string {
  const sums = new Map<string, Sum>();
  const reasons = new Map<string, Set<string>>();
  for (const report of reports) {
    const name = jobName(report.job);
    if (report.kind === "skipped") {
      reasons.set(report.reason, (reasons.get(report.reason) ?? new Set()).add(name));
      continue;
    }
    for (const group of [groupOf(report.job), "total"]) {
      const sum = sums.get(group) ?? { forms: new Set(), failed: new Set(), tests: 0, faults: 0, translated: 0 };
      sums.set(group, sum);
      sum.forms.add(name);
      if (report.kind === "failed") {
        sum.failed.add(name);
        continue;
      }
      sum.tests += report.result.tests;
      sum.faults += report.result.faults;
      sum.translated += report.result.translated;
      if (report.result.mismatches > 0) sum.failed.add(name);
    }
  }
  const row = (...cells: (string | number)[]) =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(30) : String(cell).padStart(10))).join("");
  const total = sums.get("total");
  sums.delete("total");
  const groups = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  if (total) groups.push(["total", total]);
  return [
    row("group", "forms", "tests", "faults", "in regions", "differ"),
    ...groups.map(([name, sum]) => row(name, sum.forms.size, sum.tests, sum.faults, sum.translated, sum.failed.size)),
    ...[...reasons].map(([reason, names]) => `left out: ${names.size} forms: ${reason}`),
  ].join("\n");
}

/** Forms whose tests the interpreter did for the translator, all those in which there was no exception. */
export function leftToInterpreter(reports: readonly Report[]): string[] {
  return reports.flatMap(({ job, ...report }) => {
    if (report.kind !== "result") return [];
    const { tests, faults, translated } = report.result;
    return tests > faults && translated === 0 ? [jobName(job)] : [];
  });
}
