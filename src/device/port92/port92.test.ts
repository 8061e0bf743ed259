import assert from "node:assert/strict";
import { test } from "node:test";
import { ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { Port92, SYSTEM_CONTROL_PORT_A } from "./port92.ts";

function rig() {
  const a20 = new ProbeLine();
  let resets = 0;
  const port = new Port92({ a20, onReset: () => resets++ });
  const set = (value: number) => port.writePort(SYSTEM_CONTROL_PORT_A, 1, value);
  const get = () => port.readPort(SYSTEM_CONTROL_PORT_A, 1);
  return { port, a20, set, get, resets: () => resets };
}

test("bit 1 drives A20 and reads back", () => {
  const { a20, set, get } = rig();
  set(get() | 0x02);
  assert.equal(a20.level, true);
  assert.equal(get(), 0x02);
  set(get() & ~0x02);
  assert.equal(a20.level, false);
});

test("a rising bit 0 resets the processor, once", () => {
  const { set, resets } = rig();
  set(0x01);
  set(0x03);
  assert.equal(resets(), 1);
  set(0x02);
  set(0x03);
  assert.equal(resets(), 2);
});

test("reset turns the gate off", () => {
  const { port, a20, set, get } = rig();
  set(0xff);
  assert.equal(get(), 0xc3);
  port.reset();
  assert.equal(get(), 0);
  assert.equal(a20.level, false);
});

test("random writes keep A20 true to bit 1", () => {
  const { port, a20 } = rig();
  const random = new SeededRandom(0x92);
  for (let i = 0; i < 2000; i++) {
    const value = random.next();
    port.writePort(SYSTEM_CONTROL_PORT_A, random.below(2) ? 1 : 4, value);
    assert.equal(a20.level, (value & 2) !== 0);
  }
});
