import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime } from "../../../machine/testing/rig.ts";
import { type Operation, Operations, SECOND } from "./operation.ts";

test("an operation goes on when its time has come, and each time that something arrives", () => {
  const time = new ManualTime();
  const operations = new Operations(time);
  const steps: number[] = [];
  function* wait(): Operation<string> {
    for (const end of [5, 7]) {
      while (time.now() < end * SECOND) {
        steps.push(time.now() / SECOND);
        yield end * SECOND;
      }
    }
    return "done";
  }
  let result = "";
  operations.run(wait(), (value) => {
    result = value;
  });
  time.advance(2 * SECOND);
  operations.wake();
  assert.deepEqual(steps, [0, 2]);
  assert.equal(operations.isBusy, true);
  time.advance(10 * SECOND);
  assert.deepEqual([result, steps, operations.isBusy], ["done", [0, 2, 5], false]);
});

test("an operation that waits for nothing has ended at once, and may be followed by another", () => {
  const operations = new Operations(new ManualTime());
  function* atOnce(value: number): Operation<number> {
    if (value < 0) yield 0;
    return value;
  }
  const results: number[] = [];
  operations.run(atOnce(1), (one) => operations.run(atOnce(one + 1), (two) => results.push(one, two)));
  assert.deepEqual(results, [1, 2]);
});

test("a reset drops what is under way", () => {
  const time = new ManualTime();
  const operations = new Operations(time);
  function* wait(): Operation<void> {
    yield SECOND;
  }
  operations.run(wait(), () => assert.fail());
  operations.reset();
  operations.wake();
  time.advance(5 * SECOND);
  assert.equal(operations.isBusy, false);
});
