/** Which regions are made larger. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { GROWTH_STEP, type Growth, RegionGrowth } from "./region-growth.ts";

/**
 * Lets so many regions run alike, in turns, until each was looked at `times` times; `others` instructions of other code come
 * with each of theirs. How many looks found that a region is to be made larger.
 */
function due(regions: number, times: number, others: number): number {
  const policy = new RegionGrowth();
  const turn = GROWTH_STEP * (1 + others);
  const all = Array.from({ length: regions }, (_, i): Growth => ({ left: GROWTH_STEP, ran: 0, at: (i + 1) * turn }));
  let now = regions * turn;
  let found = 0;
  for (let i = 0; i < times; i++) {
    all.forEach((growth, region) => {
      now += turn;
      if (policy.isDue(region, growth, now)) found++;
    });
  }
  return found;
}

test("a region that is much of what runs is made larger at once", () => {
  assert.equal(due(1, 1, 0), 1);
  assert.equal(due(1, 1, 30), 1);
  assert.equal(due(1, 1, 33), 0);
});

test("some that are most of what runs are, as soon as that is known", () => {
  // The 64 looks that are remembered tell.
  assert.equal(due(22, 4, 0.5), 22 * 4 - 63);
  assert.equal(due(22, 4, 1.2), 0);
  assert.equal(due(40, 4, 0.5), 0);
});

test("those that are a small part of what runs are made larger when they have run very often", () => {
  assert.equal(due(2, 20, 40), 0);
  assert.ok(due(2, 30, 40) > 0);
});
