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
