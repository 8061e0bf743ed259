import assert from "node:assert/strict";
import { test } from "node:test";
import { nextDue } from "./screen-hub.ts";

const SECOND = 1000;

/** Pictures in a second where each is drawn so many milliseconds after it is due. */
function pictures(late: number): number {
  let due = 0;
  let count = 0;
  for (let now = late; now < SECOND; now = due + late) {
    count++;
    due = nextDue(due, now);
  }
  return count;
}

test("pictures that are each drawn a little late come 30 times a second all the same", () => {
  assert.equal(pictures(0), 30);
  assert.equal(pictures(1), 30);
  assert.equal(pictures(30), 30);
});

test("what was late by much is not made up for by pictures that follow too soon", () => {
  assert.ok(nextDue(0, 500) >= 500 + SECOND / 30);
  assert.ok(pictures(40) <= 14);
});
