/** A sample of `npm run fuzz`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./fuzz-run.ts";
import { randomOf } from "./hostile-guest.ts";
import { HostileCode } from "./random-code.ts";

test("hostile guests crash, reset or go on, and the host neither throws, hangs nor grows", async () => {
  const ends: Record<string, number> = {};
  let instructions = 0;
  for await (const { report } of fuzz({ firstSeed: 1, seeds: 4, situations: 10 })) {
    instructions += report.instructions;
    for (const [kind, count] of Object.entries(report.ends)) ends[kind] = (ends[kind] ?? 0) + count;
  }
  // They do get far enough to do harm.
  assert.ok(instructions > 500_000, `${instructions} instructions`);
  assert.ok((ends.crash ?? 0) > 5, JSON.stringify(ends));
});

test("a seed gives the same hostile code each time", () => {
  const code = (seed: number) => new HostileCode(randomOf(seed), 64).bytes(4000);
  assert.deepEqual(code(7), code(7));
  assert.notDeepEqual(code(7), code(8));
});
