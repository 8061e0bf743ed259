import assert from "node:assert/strict";
import { test } from "node:test";
import { nanoseconds } from "../bits/units.ts";
import { GuestTime } from "./guest-time.ts";

function rig() {
  const clock = { ns: 0 };
  let earlier = 0;
  const time = new GuestTime(
    () => clock.ns,
    () => earlier++,
  );
  return { clock, time, earlier: () => earlier };
}

test("timers that are due fire in the order of their deadlines", () => {
  const { clock, time } = rig();
  const fired: string[] = [];
  const timers = ["a", "b", "c"].map((name) => time.createTimer(name, () => fired.push(name)));
  timers[0]?.arm(nanoseconds(30));
  timers[1]?.arm(nanoseconds(10));
  timers[2]?.arm(nanoseconds(20));
  clock.ns = 25;
  time.fireDue();
  assert.deepEqual(fired, ["b", "c"]);
  assert.equal(time.nextDeadline, 30);
});

test("timers with one deadline fire in the order they were armed", () => {
  const { clock, time } = rig();
  const fired: string[] = [];
  for (const name of ["x", "y", "z"]) time.createTimer(name, () => fired.push(name)).arm(nanoseconds(5));
  clock.ns = 5;
  time.fireDue();
  assert.deepEqual(fired, ["x", "y", "z"]);
});

test("the run loop is told when a deadline comes before all others", () => {
  const { time, earlier } = rig();
  const timer = time.createTimer("one", () => {});
  const other = time.createTimer("two", () => {});
  timer.arm(nanoseconds(100));
  other.arm(nanoseconds(200));
  other.arm(nanoseconds(50));
  assert.equal(earlier(), 2);
});

test("a timer that arms itself in the past does not hold the loop", () => {
  const { time } = rig();
  const timer = time.createTimer("again", () => timer.arm(nanoseconds(0)));
  timer.arm(nanoseconds(0));
  time.fireDue();
  assert.equal(timer.deadline, 0);
});

test("time never goes back", () => {
  const { clock, time } = rig();
  clock.ns = 50;
  assert.equal(time.now(), 50);
  clock.ns = 40;
  assert.equal(time.now(), 50);
});
