import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { count, instructionRows, isCompared, markdown, textTable } from "../../scripts/instruction-table.ts";
import { FORMS, INSTRUCTIONS } from "../../src/isa/index.ts";
import { ROOT } from "./guide.ts";

const rows = instructionRows();

test("docs/instructions.md lists the instructions that are defined", () => {
  const listed = readFileSync(path.join(ROOT, "docs/instructions.md"), "utf8");
  assert.ok(listed === markdown(rows), "it is out of date: npm run isa -- --markdown > docs/instructions.md");
});

test("the table has every instruction and every form", () => {
  const { instructions, forms } = count(rows);
  assert.deepEqual([instructions, forms], [INSTRUCTIONS.length, FORMS.length]);
  assert.match(textTable(rows), /^shl +C0 \/4 Eb,Ib +base +OF AF +16, 32 and 64 bits$/m);
});

test("an instruction that is not compared says why", () => {
  const silent = rows.filter(({ forms, untested }) => untested === undefined && !forms.some(isCompared));
  assert.deepEqual(
    silent.map(({ name }) => name),
    [],
  );
});
