import assert from "node:assert/strict";
import { test } from "node:test";
import { Figures, geometricMean, median } from "./figures.ts";

const RATE = { name: "integer", better: "higher" } as const;
const TIME = { name: "boot", better: "lower" } as const;

test("a median is the middle figure, or the mean of the two in the middle", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 100, 2]), 3);
  assert.equal(median([]), undefined);
});

test("a geometric mean of ratios and of their inverses is 1", () => {
  assert.ok(Math.abs((geometricMean([2, 0.5, 8, 0.125]) ?? 0) - 1) < 1e-12);
  assert.equal(geometricMean([]), undefined);
});

test("a ratio is the median of the rounds' ratios, not the ratio of medians", () => {
  const figures = new Figures();
  // The second round ran on a host that was three times as slow.
  [30, 10, 32].forEach((value, round) => {
    figures.add("integer", "ours64", round, value);
  });
  [15, 5, 20].forEach((value, round) => {
    figures.add("integer", "qemu64", round, value);
  });
  assert.equal(figures.ratio(RATE, "ours64", "qemu64"), 2);
});

test("a ratio of times is above 1 where the machine takes less time", () => {
  const figures = new Figures();
  figures.add("boot", "ours64", 0, 2);
  figures.add("boot", "qemu64", 0, 3);
  assert.equal(figures.ratio(TIME, "ours64", "qemu64"), 1.5);
});

test("rounds in which one of the machines has no figure do not count", () => {
  const figures = new Figures();
  figures.add("integer", "ours64", 0, 10);
  figures.add("integer", "ours64", 2, 40);
  figures.add("integer", "qemu64", 1, 1000);
  figures.add("integer", "qemu64", 2, 10);
  assert.equal(figures.ratio(RATE, "ours64", "qemu64"), 4);
  assert.deepEqual(figures.values("integer", "ours64"), [10, 40]);
  assert.equal(figures.ratio(RATE, "ours64", "v86"), undefined);
});
