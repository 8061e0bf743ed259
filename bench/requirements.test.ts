import assert from "node:assert/strict";
import { test } from "node:test";
import { Figures } from "./figures.ts";
import { requirements } from "./requirements.ts";
import { rowsOf, WORKLOADS } from "./workloads.ts";

const ROWS = rowsOf(WORKLOADS);

function check(fill: (figures: Figures) => void, text: RegExp) {
  const figures = new Figures();
  fill(figures);
  const found = requirements(ROWS, figures).find((each) => text.test(each.text));
  assert.ok(found, String(text));
  return found;
}

test("what was not measured is neither met nor missed", () => {
  for (const { measured, met } of requirements(ROWS, new Figures())) {
    assert.equal(measured, undefined);
    assert.equal(met, undefined);
  }
});

test("the integer mix is compared with QEMU's 64-bit and v86's 32-bit machine", () => {
  const fill = (figures: Figures) => {
    figures.add("integer", "ours64", 0, 130);
    figures.add("integer", "qemu64", 0, 100);
    figures.add("integer", "v86", 0, 50);
  };
  assert.deepEqual(check(fill, /^integer mix.*QEMU/), {
    text: "integer mix, 64-bit: times QEMU TCG ≥ 1.3",
    measured: "1.30",
    met: true,
  });
  const perV86 = check(fill, /^integer mix.*v86/);
  assert.deepEqual([perV86.measured, perV86.met], ["2.60", false]);
  assert.equal(check(fill, /^goal, integer/).met, false);
});

test("the lowest ratio of the other workloads is named, and those with requirements of their own are left out", () => {
  const { measured, met } = check((figures) => {
    for (const [name, ratio] of Object.entries({
      integer: 0.1,
      "nbody-sse": 0.1,
      qsort: 1.5,
      hash: 0.75,
      memory: 0.1,
    })) {
      figures.add(name, "ours64", 0, 100 * ratio);
      figures.add(name, "qemu64", 0, 100);
    }
  }, /^every other workload, 64-bit/);
  assert.equal(measured, "1 of 2; lowest hash 0.75");
  assert.equal(met, false);
});

test("times and sizes are to be below their limits", () => {
  const start = check((figures) => figures.add("start", "ours64", 0, 299.4), /first instruction/);
  assert.deepEqual([start.measured, start.met], ["299", true]);
  const memory = check((figures) => figures.add("memory", "ours64", 0, 300), /above guest RAM/);
  assert.equal(memory.met, false);
  const boot = check((figures) => {
    figures.add("boot", "ours64", 0, 2.5);
    figures.add("boot", "qemu64", 0, 2.6);
  }, /^boot/);
  assert.deepEqual([boot.measured, boot.met], ["1.04", true]);
});
