import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { AES } from "../../isa/aes.ts";
import type { Instruction } from "../../isa/instruction.ts";
import { SHA } from "../../isa/sha.ts";
import { SSE_ARITHMETIC } from "../../isa/sse-arithmetic.ts";
import { SSE_COMPARE } from "../../isa/sse-compare.ts";
import { SSE_CONTROL } from "../../isa/sse-control.ts";
import { SSE_CONVERT } from "../../isa/sse-convert.ts";
import { SSE_ELEMENT } from "../../isa/sse-element.ts";
import { SSE_INTEGER } from "../../isa/sse-integer.ts";
import { SSE_MOVE } from "../../isa/sse-move.ts";
import { SSE_MULTIPLY } from "../../isa/sse-multiply.ts";
import { SSE_ROUND } from "../../isa/sse-round.ts";
import { SSE_SHIFT } from "../../isa/sse-shift.ts";
import { SSE_SHUFFLE } from "../../isa/sse-shuffle.ts";
import { SSE_STRING } from "../../isa/sse-string.ts";
import { Bench } from "./testing/bench.ts";
import { differences, type Plan, type Random } from "./testing/differential.ts";
import { hostCpu } from "./testing/node/host-cpu.ts";
import { anyMxcsr } from "./testing/numbers.ts";

const host = hostCpu();
const skip = typeof host === "string" ? host : false;
const bench = new Bench();

/** Every form with every immediate does what the host does. */
function agrees(context: TestContext, plan: Plan): void {
  if (typeof host === "string") return;
  const missing = host.lacks(plan.instructions);
  if (missing.length > 0) context.skip(`the host has no ${missing.join(", ")}`);
  else assert.deepEqual(differences(host, bench, plan, 1).found, []);
}

const FAMILIES: readonly [what: string, instructions: readonly Instruction[], states: number][] = [
  ["moves between MMX, XMM and general registers and memory", SSE_MOVE, 100],
  ["packed integer arithmetic, comparison and logic", SSE_INTEGER, 300],
  ["packed shifts by any count", SSE_SHIFT, 12],
  ["shuffles, packing, blending and widening", SSE_SHUFFLE, 12],
  ["packed multiplication and sums of differences", SSE_MULTIPLY, 200],
  ["single elements in and out, and PTEST", SSE_ELEMENT, 12],
  ["AES rounds, key expansion and carry-less products", AES, 60],
  ["SHA-1 and SHA-256 rounds and schedules", SHA, 60],
];
for (const [what, instructions, states] of FAMILIES) {
  test(`a guest's ${what} give what the host's processor gives`, { skip }, (context) =>
    agrees(context, { instructions, states }),
  );
}

/** Saturation and carries: many equal bytes, extremes and small differences. */
function extremes(random: Random, bytes: DataView): void {
  const values = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
  for (let i = 0; i < bytes.byteLength; i++) bytes.setUint8(i, values[random() & 7] as number);
}
test("packed integers at the ends of their ranges saturate and wrap as on the host", { skip }, (context) => {
  const instructions = [...SSE_INTEGER, ...SSE_MULTIPLY, ...SSE_SHUFFLE.filter(({ name }) => name.startsWith("pack"))];
  agrees(context, { instructions, states: 300, fill: extremes, immediates: [0, 3, 5, 7] });
});

/** Strings over few letters with ends, and lengths around the number of elements. */
function strings(random: Random, bytes: DataView): void {
  const kind = random() & 3;
  for (let i = 0; i < bytes.byteLength; i++) {
    const value = random();
    if (kind === 0) bytes.setUint8(i, value % 4);
    else if (kind === 1) bytes.setUint8(i, [0, 0x61, 0x62, 0x7f, 0x80, 0xff][value % 6] as number);
    else if (kind === 2) bytes.setUint8(i, i % 2 ? 0xff * (value & 1) : value % 24);
  }
  for (let i = 0; kind === 3 && i < bytes.byteLength; i += 8) bytes.setBigInt64(i, BigInt((random() % 41) - 20), true);
}
test("string comparison and CRC-32C give what the host's processor gives", { skip }, (context) => {
  agrees(context, { instructions: SSE_STRING, states: 120, fill: strings });
});

// SHA is left out: the manual asks for alignment there too, AMD's processors do not.
test("only the instructions for it reach misaligned memory of 128 bits", { skip }, (context) => {
  const families = [SSE_MOVE, SSE_INTEGER, SSE_SHIFT, SSE_SHUFFLE, SSE_MULTIPLY, SSE_ELEMENT, SSE_STRING, AES];
  const floating = [SSE_ARITHMETIC, SSE_COMPARE, SSE_CONVERT, SSE_ROUND].flat();
  const instructions = [...families.flat(), ...floating.filter(({ name }) => !/^r(cp|sqrt)/.test(name))];
  agrees(context, { instructions, states: 3, displacement: 17, immediates: [0] });
});

test("MXCSR takes the values that the host takes, and fences and prefetches change nothing", { skip }, (context) => {
  const fill = (random: Random, bytes: DataView) => {
    for (let i = 0; i < bytes.byteLength; i += 4) {
      // A bit that is reserved, now and then; not bit 17, which AMD's processors have.
      const reserved = random() & 1 ? 0 : 1 << (18 + (random() % 14));
      bytes.setUint32(i, (random() & 0xffff) | reserved, true);
    }
  };
  agrees(context, { instructions: SSE_CONTROL, states: 100, fill, mxcsr: anyMxcsr });
});
