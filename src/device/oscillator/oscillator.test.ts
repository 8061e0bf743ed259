import assert from "node:assert/strict";
import { test } from "node:test";
import { nanoseconds } from "../../bits/units.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { oscillator } from "./oscillator.ts";

for (const hertz of [32_768, 1_193_182, 3_579_545]) {
  test(`at ${hertz} Hz a tick begins exactly where timeOf says, for a hundred days`, () => {
    const crystal = oscillator(hertz);
    const random = new SeededRandom(hertz);
    for (let i = 0; i < 2000; i++) {
      const tick = i < 100 ? i : Math.floor((random.next() / 2 ** 32) * hertz * 100 * 86_400);
      const time = crystal.timeOf(tick);
      assert.equal(crystal.ticksAt(time), tick);
      if (time > 0) assert.equal(crystal.ticksAt(nanoseconds(time - 1)), tick - 1);
    }
  });

  test(`at ${hertz} Hz ticks agree with exact integer arithmetic`, () => {
    const crystal = oscillator(hertz);
    const random = new SeededRandom(7);
    for (let i = 0; i < 2000; i++) {
      const time = random.next() * 2_000_000 + random.below(2_000_000);
      assert.equal(crystal.ticksAt(nanoseconds(time)), Number((BigInt(time) * BigInt(hertz)) / 1_000_000_000n));
    }
  });
}
