/** SPECIFICATION.md: every promise names what shows it, and its counts are those of the code. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { instructionRows, totals } from "../../scripts/instruction-table.ts";
import { ROOT } from "./guide.ts";

const SPECIFICATION = readFileSync(path.join(ROOT, "SPECIFICATION.md"), "utf8");

test("every promise names a test, a benchmark or a check", () => {
  const promises = [...SPECIFICATION.matchAll(/^\| (.+) \| (.+) \|$/gm)].filter(
    ([line]) => !/^\| (promise|---)/.test(line),
  );
  assert.ok(promises.length > 20);
  const unheld = promises.filter(([, , shown = ""]) => !/`(src|test|bench)\/[^`]+\.ts`|`npm run \w+`/.test(shown));
  assert.deepEqual(
    unheld.map(([, promise]) => promise),
    [],
  );
});

test("the counts of instructions and forms are those of the instruction set", () => {
  assert.ok(SPECIFICATION.includes(totals(instructionRows())), totals(instructionRows()));
});

/** Figures of promises, and where the tests have them. */
const FIGURES: readonly (readonly [file: string, figure: RegExp, promise: RegExp])[] = [
  [
    "test/conformance/sample.test.ts",
    /^const STATES = \{ interpreter: (\d+),/m,
    /: (\d+) random states of each form at every change/,
  ],
  [
    "test/conformance/run.ts",
    /states: \{ type: "string", default: "(\d+)"/,
    /same for (\d+) random states of each form/,
  ],
  ["src/cpu/fpu/host-x87.test.ts", /^const CASES = ([\d_]+);/m, /: ([\d,]+) random states of each variant/],
  ["src/cpu/fpu/transcendental.test.ts", /^const CASES = ([\d_]+);/m, /: ([\d,]+) random operands each/],
];

for (const [file, figure, promise] of FIGURES) {
  test(`the figure promised for ${file} is the one that it uses`, () => {
    const number = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]?.replaceAll(/[_,]/g, ""));
    const used = number(readFileSync(path.join(ROOT, file), "utf8"), figure);
    assert.equal(number(SPECIFICATION, promise), used);
  });
}
