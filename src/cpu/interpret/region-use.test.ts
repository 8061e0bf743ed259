/** How many regions are in use at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMachine } from "../system/testing/guest-machine.ts";
import { leastUsed } from "./region-use.ts";

test("of the older half of regions those go that have run least since the last look", () => {
  const regions = Array.from({ length: 8 }, (_, number) => ({ number, ran: 0 }));
  const run = (...instructions: number[]) =>
    instructions.forEach((ran, number) => {
      (regions[number] as { ran: number }).ran += ran;
    });
  const numbers = (most: number) => leastUsed(regions, most).map(({ number }) => number);
  run(800, 100, 500, 400, 0, 0, 0, 0);
  assert.deepEqual(numbers(2), [1, 3]);
  run(0, 800, 4000, 100);
  assert.deepEqual(numbers(8), [0, 3, 1, 2]);
});

const BLOCKS = 40;
const PROGRAM = `
  again:
    ${Array.from({ length: BLOCKS }, (_, i) => `add ax,${i * 7}\nrol ax,1\njmp over${i}\nnop\nover${i}:`).join("\n")}
    dec cx
    jnz again
    hlt`;

test("a guest with more regions than are kept goes on as if all were", () => {
  const results = [undefined, 8].map((most) => {
    const machine = new GuestMachine({
      translates: true,
      heat: 3,
      ...(most === undefined ? {} : { mostRegions: most }),
    });
    machine.load(PROGRAM);
    const { processor } = machine;
    processor.registers.setGpr(1, 50n);
    let kind = "budget";
    // Where many runs end, regions of many blocks are made.
    for (let i = 0; i < 10_000 && kind === "budget"; i++) ({ kind } = processor.run(7));
    assert.equal(kind, "halted");
    return { ax: processor.registers.gpr(0), made: processor.statistics.translated.regions };
  });
  const [all, few] = results as [(typeof results)[0], (typeof results)[0]];
  assert.equal(few.ax, all.ax);
  assert.ok(all.made > 8, `${all.made}`);
  assert.ok(few.made > all.made, `${few.made} and ${all.made}`);
});
