import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { RESET_CONTROL_PORT, ResetControlRegister, type ResetKind } from "./reset-control.ts";

function rig() {
  const resets: ResetKind[] = [];
  const register = new ResetControlRegister({ onReset: (kind) => resets.push(kind) });
  const set = (value: number) => register.writePort(RESET_CONTROL_PORT, 1, value);
  const get = () => register.readPort(RESET_CONTROL_PORT, 1);
  return { register, resets, set, get };
}

test("Linux's reboot by port CF9 is a hard reset: 02, then 06", () => {
  const { resets, set, get } = rig();
  set((get() & ~0x06) | 0x02);
  assert.deepEqual(resets, []);
  assert.equal(get(), 0x02);
  set(0x06);
  assert.deepEqual(resets, ["hard"]);
});

test("04 resets the processor alone, 0E cycles the power", () => {
  const { resets, set } = rig();
  set(0x04);
  set(0x0e);
  assert.deepEqual(resets, ["soft", "full"]);
});

test("wider accesses are not this register's", () => {
  const { register, resets } = rig();
  register.writePort(RESET_CONTROL_PORT, 2, 0x0e0e);
  register.writePort(RESET_CONTROL_PORT, 4, 0x80000e0e);
  assert.deepEqual(resets, []);
});

test("random writes keep the register to its two bits, and reset clears it", () => {
  const { register, set, get } = rig();
  const random = new SeededRandom(0xcf9);
  for (let i = 0; i < 1000; i++) {
    set(random.next() & 0xff);
    assert.equal(get() & ~0x0a, 0);
  }
  register.reset();
  assert.equal(get(), 0);
});
