import assert from "node:assert/strict";
import { test } from "node:test";
import { FunctionBuilder } from "../../wasm/function.ts";
import { signature } from "../../wasm/module.ts";
import { type Position, Positions } from "./positions.ts";

function rig() {
  const f = new FunctionBuilder(signature([]), () => 0);
  const positions = new Positions();
  positions.begin();
  const registers = Array.from({ length: 4 }, () => f.variable("i64"));
  const read = (index: number) => {
    const value = (registers[index] as (typeof registers)[0]).get();
    positions.read(index, value);
    return value;
  };
  /** The distance between two values, where it is known. */
  const between = (a: Position, b: Position) => (a.from === b.from ? b.distance - a.distance : undefined);
  return { f, positions, read, between };
}

test("sums with the same registers are at a known distance, others are not", () => {
  const { positions, read, between } = rig();
  const at = (value: ReturnType<typeof read>) => positions.of(value);
  assert.equal(between(at(read(1).add(8)), at(read(1).sub(16))), -24);
  assert.equal(between(at(read(1).add(read(2).shl(3)).add(4)), at(read(2).shl(3).add(read(1)))), -4);
  assert.equal(between(at(read(1).add(read(2).shl(3))), at(read(1).add(read(2).shl(2)))), undefined);
  assert.equal(between(at(read(1)), at(read(2))), undefined);
  assert.equal(between(at(read(1).mul(3)), at(read(1).mul(3))), undefined);
});

test("a register that was moved by a constant is at a known distance from what it was", () => {
  const { positions, read, between } = rig();
  const before = positions.of(read(1));
  positions.write(1, read(1).sub(8));
  positions.write(2, read(1).add(100));
  assert.equal(between(before, positions.of(read(1))), -8);
  assert.equal(between(before, positions.of(read(2))), 92);
  positions.write(1, undefined);
  assert.equal(between(before, positions.of(read(1))), undefined);
  assert.equal(between(before, positions.of(read(2))), 92);
});

test("the next node knows distances from what its registers hold", () => {
  const { positions, read } = rig();
  positions.write(2, read(1).add(100));
  positions.write(1, read(1).sub(8));
  positions.write(3, read(3).mul(5));
  const items = ["r0", "r1", "r3", "r0+(r3)<<2", ""].map((from) => [from, { distance: 40 }] as const);
  const after = positions.end().after(new Map(items));
  assert.deepEqual(Object.fromEntries(after), {
    r0: { distance: 40 },
    r1: { distance: 48 },
    r2: { distance: -60 },
    "": { distance: 40 },
  });
});

test("registers that hold what was loaded are known, with their copies", () => {
  const { f, positions, read } = rig();
  const loaded = f.variable("i64");
  positions.write(1, loaded.get());
  positions.write(3, read(3).add(8));
  positions.end();
  positions.begin();
  positions.write(2, read(1));
  positions.write(0, read(3).shl(3));
  assert.deepEqual([...positions.loadedRegisters()].sort(), [1, 2]);
});
