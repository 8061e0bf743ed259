/**
 * `npm run isa -- [--markdown] [NAME...]`: the instruction set as a table. NAME keeps the instructions of that name;
 * --markdown gives docs/instructions.md.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { instructionRows, markdown, textTable } from "./instruction-table.ts";

const { values, positionals } = parseArgs({
  options: { markdown: { type: "boolean", default: false } },
  allowPositionals: true,
});

const all = instructionRows();
if (values.markdown) process.stdout.write(markdown(all));
else {
  const unknown = positionals.filter((name) => !all.some((row) => row.name.split("/").includes(name.toLowerCase())));
  for (const name of unknown) process.stderr.write(`${name} is no instruction that the processor has\n`);
  const wanted = new Set(positionals.map((name) => name.toLowerCase()));
  const rows = all.filter(({ name }) => wanted.size === 0 || name.split("/").some((part) => wanted.has(part)));
  if (rows.length > 0) process.stdout.write(textTable(rows));
  process.exitCode = unknown.length > 0 ? 1 : 0;
}
