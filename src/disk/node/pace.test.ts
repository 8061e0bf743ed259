import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "./pace.ts";

/** How many operations are passed over after one that took so many milliseconds. */
function passedOver(pace: Pace, clock: { now: number }, milliseconds: number): number {
  assert.equal(pace.begin(), true);
  clock.now += milliseconds;
  pace.end();
  let count = 0;
  while (!pace.begin()) count++;
  pace.end();
  return count;
}

test("after a slow operation some are passed over, more of them when it is slow again and again", (t) => {
  const clock = { now: 0 };
  t.mock.method(performance, "now", () => clock.now);
  const pace = new Pace();
  assert.equal(passedOver(pace, clock, 1), 0);
  assert.equal(passedOver(pace, clock, 3), 32);
  assert.equal(passedOver(pace, clock, 3), 32, "there was a quick one between");
  const slow = () => {
    let count = 0;
    while (!pace.begin()) count++;
    clock.now += 3;
    pace.end();
    return count;
  };
  assert.deepEqual([slow(), slow(), slow()], [0, 32, 64]);
  for (let i = 0; i < 10; i++) slow();
  assert.equal(slow(), 4096);
});
