import assert from "node:assert/strict";
import { test } from "node:test";
import type { Form, Instruction } from "../../isa/instruction.ts";
import { VECTOR } from "../../isa/semantics.ts";
import { SSE_ARITHMETIC } from "../../isa/sse-arithmetic.ts";
import { SSE_COMPARE } from "../../isa/sse-compare.ts";
import { SSE_CONTROL } from "../../isa/sse-control.ts";
import { SSE_MOVE } from "../../isa/sse-move.ts";
import { Bench, type Variant } from "./testing/bench.ts";
import { STATE, STATE_SIZE } from "./testing/state.ts";

const OSFXSR = 0x200n;
/** MXCSR with everything masked, and with division by zero not. */
const MASKED = 0x1f80;
const ZERO_DIVIDE_UNMASKED = MASKED & ~0x200;

function variant(family: readonly Instruction[], name: string, options: Partial<Variant> = {}): Variant {
  const form = family.find((instruction) => instruction.name === name)?.parsed[0] as Form;
  const rest = { displacement: 0, operandSize: 32, immediate: 0, constantImmediate: false, same: false } as const;
  return { form, memory: form.rm === "memory", ...rest, ...options };
}

/** A state with doubles in XMM1 and XMM2. */
function doubles(first: number, second: number, mxcsr: number): DataView {
  const view = new DataView(new ArrayBuffer(STATE_SIZE));
  view.setFloat64(STATE.xmm + 16, first, true);
  view.setFloat64(STATE.xmm + 32, second, true);
  view.setUint32(STATE.mxcsr, mxcsr, true);
  view.setUint32(STATE.flags, 0x41, true);
  return view;
}

function run(bench: Bench, what: Variant, view: DataView) {
  bench.run(what, new Uint8Array(view.buffer));
  return {
    fault: view.getUint32(STATE.fault, true),
    mxcsr: view.getUint32(STATE.mxcsr, true),
    low: view.getFloat64(STATE.xmm + 16, true),
    flags: view.getUint32(STATE.flags, true) & 0x8d5,
  };
}

test("an unmasked division by zero is #XM, sets ZE and leaves the destination", () => {
  const view = doubles(3, 0, ZERO_DIVIDE_UNMASKED);
  const { fault, mxcsr, low } = run(new Bench(), variant(SSE_ARITHMETIC, "divsd"), view);
  assert.deepEqual([fault, mxcsr, low], [VECTOR.XM, ZERO_DIVIDE_UNMASKED | 4, 3]);
});

test("it is #UD where the operating system has not set CR4.OSXMMEXCPT", () => {
  const view = doubles(3, 0, ZERO_DIVIDE_UNMASKED);
  const { fault } = run(new Bench({ cr4: OSFXSR }), variant(SSE_ARITHMETIC, "divsd"), view);
  assert.equal(fault, VECTOR.UD);
});

test("a masked division by zero gives infinity and sets ZE", () => {
  const { fault, mxcsr, low } = run(new Bench(), variant(SSE_ARITHMETIC, "divsd"), doubles(-3, 0, MASKED));
  assert.deepEqual([fault, mxcsr, low], [0, MASKED | 4, -Infinity]);
});

test("a comparison that raises #XM leaves the status flags", () => {
  const view = doubles(1, Number.NaN, MASKED & ~0x80);
  const { fault, flags } = run(new Bench(), variant(SSE_COMPARE, "comisd"), view);
  assert.deepEqual([fault, flags], [VECTOR.XM, 0x41]);
});

test("an exact sum leaves MXCSR alone and an inexact one sets PE only", () => {
  assert.equal(run(new Bench(), variant(SSE_ARITHMETIC, "addsd"), doubles(1, 2, MASKED)).mxcsr, MASKED);
  const inexact = run(new Bench(), variant(SSE_ARITHMETIC, "addsd"), doubles(1, 2 ** -60, MASKED));
  assert.deepEqual([inexact.mxcsr, inexact.low], [MASKED | 0x20, 1]);
});

test("LDMXCSR of a reserved bit is #GP and MXCSR stays", () => {
  const view = doubles(0, 0, MASKED);
  view.setUint32(STATE.memory, 0x1_1f80, true);
  const { fault, mxcsr } = run(new Bench(), variant(SSE_CONTROL, "ldmxcsr"), view);
  assert.deepEqual([fault, mxcsr], [VECTOR.GP, MASKED]);
});

test("MOVAPS of a misaligned address is #GP, MOVUPS is not", () => {
  const at = { memory: true, displacement: 8 };
  assert.equal(run(new Bench(), variant(SSE_MOVE, "movaps", at), doubles(0, 0, MASKED)).fault, VECTOR.GP);
  assert.equal(run(new Bench(), variant(SSE_MOVE, "movups", at), doubles(0, 0, MASKED)).fault, 0);
});
