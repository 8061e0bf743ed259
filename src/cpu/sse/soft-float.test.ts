import assert from "node:assert/strict";
import { cpus } from "node:os";
import { test } from "node:test";
import type { Instruction } from "../../isa/instruction.ts";
import { SSE_ARITHMETIC } from "../../isa/sse-arithmetic.ts";
import { SSE_COMPARE } from "../../isa/sse-compare.ts";
import { SSE_CONVERT } from "../../isa/sse-convert.ts";
import { SSE_ROUND } from "../../isa/sse-round.ts";
import { Bench } from "./testing/bench.ts";
import { differences, type Plan, type Random } from "./testing/differential.ts";
import { hostCpu } from "./testing/node/host-cpu.ts";
import { anyMxcsr, doubles, quietMxcsr, singles } from "./testing/numbers.ts";
import { STATE } from "./testing/state.ts";

const host = hostCpu();
const skip = typeof host === "string" ? host : false;
const bench = new Bench();

const numbers = (random: Random, bytes: DataView) => (random() & 1 ? singles : doubles)(random, bytes);

function agrees(plan: Omit<Plan, "fill" | "states"> & Partial<Plan>): void {
  if (typeof host === "string") return;
  assert.deepEqual(differences(host, bench, { fill: numbers, states: 700, ...plan }, 1).found, []);
}

const isApproximation = ({ name }: Instruction) => /^r(cp|sqrt)/.test(name);
const isDotProduct = ({ name }: Instruction) => name.startsWith("dpp");

/** Of several NaNs the SDM's dot product gives the first one's, as AMD's processors do; others sum in other orders. */
const firstNan = cpus()[0]?.model.includes("AMD") ?? false;

/** Whether states differ by more than which NaN a lane of xmm1 (`width` bits) is. */
const differsButForNans = (width: 32 | 64) => (guest: Uint8Array, reference: Uint8Array) => {
  const [got, wanted] = [guest, reference].map((state) => new DataView(state.buffer, state.byteOffset, state.length));
  const isNan = (state: DataView | undefined, at: number) =>
    Number.isNaN(width === 32 ? state?.getFloat32(at, true) : state?.getFloat64(at, true));
  return guest.some((byte, i) => {
    if (byte === reference[i]) return false;
    const inResult = i >= STATE.xmm + 16 && i < STATE.xmm + 32;
    const lane = i - (i % (width / 8));
    return !(inResult && isNan(got, lane) && isNan(wanted, lane));
  });
};

/** DPPS or DPPD. */
const dotProduct = (name: string, width: 32 | 64) => ({
  instructions: SSE_ARITHMETIC.filter((each) => each.name === name),
  immediates: [0x31, 0xf1, 0x7f, 0xff, 0x5a],
  states: 500,
  ...(firstNan ? {} : { differs: differsButForNans(width) }),
});
const PLANS: readonly [what: string, plan: Omit<Plan, "fill" | "states" | "mxcsr"> & Partial<Plan>][] = [
  ["arithmetic", { instructions: SSE_ARITHMETIC.filter((each) => !isApproximation(each) && !isDotProduct(each)) }],
  ["a dot product of single precision", dotProduct("dpps", 32)],
  ["a dot product of double precision", dotProduct("dppd", 64)],
  ["comparison", { instructions: SSE_COMPARE, immediates: [0, 1, 2, 3, 4, 5, 6, 7, 0x1d], states: 300 }],
  ["conversion", { instructions: SSE_CONVERT }],
  [
    "rounding to whole numbers",
    { instructions: SSE_ROUND, immediates: [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12], states: 250 },
  ],
];
for (const [what, plan] of PLANS) {
  test(`${what} gives the host's results, flags and exceptions for every MXCSR`, { skip }, () => {
    agrees({ ...plan, mxcsr: anyMxcsr });
  });
  test(`${what} gives the same where native arithmetic serves`, { skip }, () => {
    agrees({ ...plan, mxcsr: quietMxcsr });
  });
}

/** Lanes of xmm1 (32 bits each) that RCP and RSQRT differ in by more than both being within 1.5 * 2^-12. */
function farOff(guest: Uint8Array, reference: Uint8Array): boolean {
  const [got, wanted] = [guest, reference].map(
    (state) => new DataView(state.buffer, state.byteOffset + STATE.xmm + 16, 16),
  );
  return [0, 4, 8, 12].some((at) => {
    const [x, y] = [got, wanted].map((view) => (view as DataView).getFloat32(at, true)) as [number, number];
    const same = (got as DataView).getUint32(at, true) === (wanted as DataView).getUint32(at, true);
    return !same && !(Math.abs(x - y) <= 3 * 2 ** -12 * Math.abs(y));
  });
}
test("approximations of reciprocals and roots lie within their promised error and raise nothing", { skip }, () => {
  const differs = (guest: Uint8Array, reference: Uint8Array) =>
    farOff(guest, reference) || guest.subarray(STATE.mm).some((byte, i) => byte !== reference[STATE.mm + i]);
  agrees({ instructions: SSE_ARITHMETIC.filter(isApproximation), mxcsr: anyMxcsr, fill: singles, differs });
});
