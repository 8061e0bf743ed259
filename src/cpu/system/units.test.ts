import assert from "node:assert/strict";
import { test } from "node:test";
import { FlatCpu, faultOf } from "./testing/flat-cpu.ts";
import { setUnitTraps, unitFunctions } from "./units.ts";

const MP = 2;
const EM = 4;
const TS = 8;
const OSFXSR = 0x200;
const PENDING = 0x80;
const NM = 7;
const UD = 6;
const MF = 16;
const KINDS = ["x87Trap", "mmxTrap", "x87Trap", "sseTrap", "waitTrap"] as const;

/** Exceptions of x87, x87 without waiting, MMX, SSE and WAIT instructions, as the emitter finds them. */
function exceptions(cr0: number, cr4: number, status: number): (number | undefined)[] {
  const cpu = new FlatCpu();
  const { registers } = cpu;
  registers.set64("cr0", BigInt(cr0));
  registers.set64("cr4", BigInt(cr4));
  registers.set32("fpuStatus", status);
  setUnitTraps(cpu);
  const { unitTrap } = unitFunctions(cpu);
  return KINDS.map((field, kind) => {
    if (registers.get32(field) === 0) return undefined;
    return faultOf(() => unitTrap?.(kind as never))?.vector;
  });
}

test("x87, MMX, SSE and WAIT instructions fault as the manual's table of EM, MP and TS says", () => {
  const none = undefined;
  assert.deepEqual(exceptions(0, OSFXSR, 0), [none, none, none, none, none]);
  assert.deepEqual(exceptions(MP, OSFXSR, 0), [none, none, none, none, none]);
  assert.deepEqual(exceptions(TS, OSFXSR, 0), [NM, NM, NM, NM, none]);
  assert.deepEqual(exceptions(MP | TS, OSFXSR, 0), [NM, NM, NM, NM, NM]);
  assert.deepEqual(exceptions(EM, OSFXSR, 0), [NM, NM, UD, UD, none]);
  assert.deepEqual(exceptions(EM | MP, OSFXSR, 0), [NM, NM, UD, UD, none]);
  assert.deepEqual(exceptions(EM | TS, OSFXSR, 0), [NM, NM, UD, UD, none]);
  assert.deepEqual(exceptions(EM | MP | TS, OSFXSR, 0), [NM, NM, UD, UD, NM]);
});

test("SSE instructions raise #UD until the system says that it saves their state", () => {
  assert.equal(exceptions(0, 0, 0)[3], UD);
  assert.equal(exceptions(TS, 0, 0)[3], UD);
});

test("a pending x87 exception is raised by what waits for it, unless the unit is set aside", () => {
  assert.deepEqual(exceptions(0, OSFXSR, PENDING), [MF, undefined, MF, undefined, MF]);
  assert.deepEqual(exceptions(MP | TS, OSFXSR, PENDING), [NM, NM, NM, NM, NM]);
  assert.deepEqual(exceptions(TS, OSFXSR, PENDING), [NM, NM, NM, NM, MF]);
});
