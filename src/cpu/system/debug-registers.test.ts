import assert from "node:assert/strict";
import { test } from "node:test";
import { debugRegisterFunctions } from "./debug-registers.ts";
import { type FlatCpu, faultOf, longCpu } from "./testing/flat-cpu.ts";

const GP = { vector: 13, errorCode: 0 };
const UD = { vector: 6, errorCode: 0 };
const DB = { vector: 1, errorCode: 0 };

function debugOf(cpu: FlatCpu) {
  const functions = debugRegisterFunctions(cpu);
  return {
    read: (number: number) => functions.readDebug?.(number as never) as bigint,
    write: (number: number, value: bigint) => functions.writeDebug?.(number as never, value as never),
  };
}

test("breakpoint addresses read back whole", () => {
  const debug = debugOf(longCpu());
  for (let number = 0; number < 4; number++) {
    debug.write(number, -1n - BigInt(number));
    assert.equal(debug.read(number), 0xffff_ffff_ffff_ffffn - BigInt(number));
  }
});

test("DR6 and DR7 keep their fixed bits, and their upper halves must be zero", () => {
  const cpu = longCpu();
  const debug = debugOf(cpu);
  debug.write(6, 0n);
  assert.equal(debug.read(6), 0xffff_0ff0n);
  debug.write(6, 0xffff_ffffn);
  assert.equal(debug.read(6), 0xffff_efffn);
  debug.write(7, 0xffff_dfffn);
  assert.equal(debug.read(7), 0xffff_07ffn);
  assert.deepEqual(
    faultOf(() => debug.write(6, 1n << 32n)),
    GP,
  );
  assert.deepEqual(
    faultOf(() => debug.write(7, 1n << 63n)),
    GP,
  );
  assert.ok(cpu.modeChanges > 0);
});

test("DR4 and DR5 are DR6 and DR7 until CR4.DE is set", () => {
  const cpu = longCpu();
  const debug = debugOf(cpu);
  debug.write(5, 0x401n);
  assert.equal(debug.read(7), 0x401n);
  assert.equal(debug.read(4), debug.read(6));
  cpu.registers.set64("cr4", 8n);
  for (const number of [4, 5, 8, 15]) {
    assert.deepEqual(
      faultOf(() => debug.read(number)),
      UD,
    );
    assert.deepEqual(
      faultOf(() => debug.write(number, 0n)),
      UD,
    );
  }
});

test("with DR7.GD set an access raises #DB once, and DR6 tells why", () => {
  const cpu = longCpu();
  const debug = debugOf(cpu);
  debug.write(6, 0n);
  debug.write(7, 0x2000n);
  assert.deepEqual(
    faultOf(() => debug.write(0, 1n)),
    DB,
  );
  assert.equal(debug.read(0), 0n);
  assert.equal(debug.read(6), 0xffff_2ff0n);
  assert.equal(debug.read(7), 0x400n);
});
