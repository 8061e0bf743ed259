import assert from "node:assert/strict";
import { test } from "node:test";
import { RangeLock, type Release } from "./range-lock.ts";

/** Says whether a lock was given at once; records when it is. */
function rig() {
  const lock = new RangeLock();
  const given: string[] = [];
  const take = (name: string, first: number, last: number, exclusive: boolean) => {
    const result = lock.acquire(first, last, exclusive);
    if (!(result instanceof Promise)) given.push(name);
    else void result.then(() => given.push(name));
    return async () => ((await result) as Release)();
  };
  return { given, take };
}

test("shared locks of one range are held side by side, an exclusive one waits for them", async () => {
  const { given, take } = rig();
  const [one, two] = [take("one", 0, 5, false), take("two", 3, 9, false)];
  const alone = take("alone", 4, 4, true);
  assert.deepEqual(given, ["one", "two"]);
  await one();
  assert.deepEqual(given, ["one", "two"]);
  await two();
  await alone();
  assert.deepEqual(given, ["one", "two", "alone"]);
});

test("a range is free where a lock would be given at once", async () => {
  const lock = new RangeLock();
  const one = await lock.acquire(3, 5, false);
  assert.deepEqual([lock.isFree(4, 9, false), lock.isFree(4, 9, true), lock.isFree(6, 9, true)], [true, false, true]);
  const alone = lock.acquire(5, 7, true);
  assert.deepEqual([lock.isFree(7, 7, false), lock.isFree(8, 8, true)], [false, true]);
  one();
  (await alone)();
  assert.equal(lock.isFree(0, 9, true), true);
});

test("a lock that comes later does not overtake one that waits", async () => {
  const { given, take } = rig();
  const reader = take("reader", 0, 9, false);
  const writer = take("writer", 0, 9, true);
  const late = take("late", 5, 5, false);
  const elsewhere = take("elsewhere", 10, 10, true);
  assert.deepEqual(given, ["reader", "elsewhere"]);
  await reader();
  await writer();
  await late();
  await elsewhere();
  assert.deepEqual(given, ["reader", "elsewhere", "writer", "late"]);
});
