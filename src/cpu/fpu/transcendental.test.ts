import assert from "node:assert/strict";
import { test } from "node:test";
import { type Number80, Random } from "./testing/cases.ts";
import { distance } from "./testing/differential.ts";
import { execute } from "./testing/execute.ts";
import { GuestFpu } from "./testing/guest-fpu.ts";
import {
  angle,
  cosine,
  exponentialLess1,
  fromFixedPoint,
  logarithm,
  multiplyFixedPoint,
  ONE,
  sine,
  tangent,
  toFixedPoint,
} from "./testing/reference.ts";

const guest = new GuestFpu();
const CASES = 3000;
const BIAS = 0x3fff;
const C1 = 0x200;

/** The states after `instruction` on each pair of ST(0) and ST(1). */
const executeAll = (instruction: readonly number[], cases: readonly (readonly [Number80, Number80])[]) =>
  cases.map((st) => execute(guest, instruction, { st }));

/** A number with an exponent from `low` to `high` (unbiased), of either sign unless told. */
function number(random: Random, low: number, high: number, positive = false): Number80 {
  const m = (1n << 63n) | (random.bits64() & (random.chance(4) ? -1n << BigInt(random.below(64)) : -1n));
  return {
    m: BigInt.asUintN(64, m),
    se: (positive ? 0 : random.below(2) << 15) | (BIAS + low + random.below(high - low + 1)),
  };
}

const text = ({ m, se }: Number80) => `${se.toString(16)}:${m.toString(16)}`;

/** Compares the first result, or the second where told, with the exact one. */
function check(
  instruction: readonly number[],
  operands: (random: Random) => readonly [Number80, Number80],
  expected: (x: bigint, y: bigint) => bigint,
  which: 0 | 1 = 0,
): void {
  const random = new Random(instruction[1] as number);
  const cases = Array.from({ length: CASES }, () => operands(random));
  for (const [i, { st }] of executeAll(instruction, cases).entries()) {
    const [x, y] = cases[i] as readonly [Number80, Number80];
    const exact = fromFixedPoint(expected(toFixedPoint(x), toFixedPoint(y)));
    if (exact.m === 0n) assert.equal(st(which).m, 0n);
    else assert.equal(distance(st(which), exact), 0n, `${text(x)} ${text(y)}: ${text(st(which))}, not ${text(exact)}`);
  }
}

const UNUSED: Number80 = { m: 1n << 63n, se: BIAS };

test("F2XM1 gives 2^x - 1 rounded to the nearest number", () => {
  check([0xd9, 0xf0], (random) => [number(random, -60, -1), UNUSED], exponentialLess1);
});

test("FYL2X gives y log2 x rounded to the nearest number, also next to 1", () => {
  const near1 = (random: Random): Number80 => {
    const difference = random.bits64() >> BigInt(1 + random.below(62));
    return random.chance(2)
      ? { m: (1n << 63n) | difference, se: BIAS }
      : { m: (1n << 64n) - 1n - difference, se: BIAS - 1 };
  };
  check(
    [0xd9, 0xf1],
    (random) => [random.chance(2) ? near1(random) : number(random, -90, 90, true), number(random, -5, 5)],
    (x, y) => multiplyFixedPoint(y, logarithm(x)),
  );
});

test("FYL2XP1 gives y log2(x + 1) rounded to the nearest number, also next to 0", () => {
  check(
    [0xd9, 0xf9],
    (random) => [number(random, -70, -2), number(random, -5, 5)],
    (x, y) => multiplyFixedPoint(y, logarithm(ONE + x)),
  );
});

test("FSIN, FCOS and FPTAN give the nearest number with a pi of 66 bits, up to 2^63", () => {
  for (const [low, high] of [
    [-60, 3],
    [4, 62],
  ] as const) {
    const operands = (random: Random) => [number(random, low, high), UNUSED] as const;
    check([0xd9, 0xfe], operands, sine);
    check([0xd9, 0xff], operands, cosine);
    check([0xd9, 0xf2], operands, tangent, 1);
  }
});

test("FSINCOS gives what FSIN and FCOS give", () => {
  const random = new Random(5);
  const cases = Array.from({ length: CASES }, () => [number(random, -70, 62), UNUSED] as const);
  const [both, sines, cosines] = [0xfb, 0xfe, 0xff].map((modrm) => executeAll([0xd9, modrm], cases));
  for (let i = 0; i < CASES; i++) {
    assert.deepEqual(both?.[i]?.st(1), sines?.[i]?.st(0));
    assert.deepEqual(both?.[i]?.st(0), cosines?.[i]?.st(0));
    assert.equal((both?.[i]?.status ?? 0) & C1, (sines?.[i]?.status ?? 0) & C1);
  }
});

test("FPATAN gives the angle of all four quadrants rounded to the nearest number", () => {
  const operands = (random: Random) => [number(random, -40, 40), number(random, -40, 40)] as const;
  check([0xd9, 0xf3], operands, (x, y) => angle(y, x));
  check(
    [0xd9, 0xf3],
    (random) => [number(random, -2, 2), number(random, -2, 2)],
    (x, y) => angle(y, x),
  );
});

test("FYL2X of a power of two is exact", () => {
  const cases = [-16382, -1, 1, 2, 1000].map(
    (k) =>
      [
        { m: 1n << 63n, se: BIAS + k },
        { m: 1n << 63n, se: BIAS },
      ] as const,
  );
  const results = executeAll([0xd9, 0xf1], cases).map(({ st }) => Number(toFixedPoint(st(0)) / ONE));
  assert.deepEqual(results, [-16382, -1, 1, 2, 1000]);
});
