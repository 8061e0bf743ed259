import assert from "node:assert/strict";
import { test } from "node:test";
import { Figures } from "./figures.ts";
import { MACHINES } from "./machines.ts";
import { figure, figuresTable, markdownTable } from "./table.ts";

test("columns are as wide as their widest cell, text to the left and figures to the right", () => {
  assert.equal(
    markdownTable(
      [
        ["name", "rate"],
        ["a", "12.5"],
        ["longer", "1"],
      ],
      1,
    ),
    ["| name   | rate |", "| ------ | ---: |", "| a      | 12.5 |", "| longer |    1 |"].join("\n"),
  );
});

test("figures have three digits that count", () => {
  assert.deepEqual([1234.5, 99.97, 12.345, 9.999, 1.2345, 0.12345].map(figure), [
    "1235",
    "100",
    "12.3",
    "10.0",
    "1.23",
    "0.123",
  ]);
  assert.equal(figure(undefined), "-");
});

test("the table has a column for each machine, and ratios of machines that were both measured", () => {
  const figures = new Figures();
  figures.add("integer", "qemu64", 0, 200);
  figures.add("integer", "ours64", 0, 300);
  const machines = MACHINES.filter(({ name }) => name === "qemu64" || name === "ours64");
  const row = { name: "integer", text: "integers", unit: "1/s", better: "higher" } as const;
  const [head = "", , line = "", mean = ""] = figuresTable([row], machines, figures).split("\n");
  const cells = (text: string) => text.split("|").map((cell) => cell.trim());
  assert.deepEqual(cells(head), ["", "workload", "what", "unit", "QEMU TCG", "ours", "ours / QEMU", ""]);
  assert.deepEqual(cells(line), ["", "integer", "integers", "1/s", "200", "300", "1.50", ""]);
  assert.equal(cells(mean)[6], "1.50");
});
