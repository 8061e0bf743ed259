/** SHA-1 and SHA-256 rounds and message schedules. @spec FIPS 180-4; SDM 2, SHA1RNDS4 and following */
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import { immediate, vector } from "./sse-operand.ts";
import type { Value } from "./value.ts";

/** 32-bit lanes of a v128, lane 0 first. */
function split(value: Value): [Value, Value, Value, Value] {
  return [0, 1, 2, 3].map((i) => value.lane("i32x4.extract_lane", i)) as [Value, Value, Value, Value];
}

function join(lanes: readonly [Value, Value, Value, Value]): Value {
  const [first, ...others] = lanes;
  return others.reduce((all, lane, i) => all.lane("i32x4.replace_lane", i + 1, lane), first.op("i32x4.splat"));
}

function define(name: string, form: string, meaning: (o: Semantics, ...operands: Operand[]) => void): Instruction {
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    feature: "sha",
    unit: "sse",
    meaning,
  });
}

/** Lanes moved up by 4 * `count` bytes, the freed ones filled from the top of `below`. */
function movedUp(value: Value, below: Value, count: number): Value {
  return below.shuffle(
    value,
    Array.from({ length: 16 }, (_, i) => 16 + i - 4 * count),
  );
}

const rotateLanes = (o: Semantics, value: Value, left: number) =>
  value.op("i32x4.shl", o.i32(left)).op("v128.or", value.op("i32x4.shr_u", o.i32(32 - left)));

const SHA1NEXTE = define("sha1nexte", "NP 0F 38 C8 /r Vdq,Wdq", (o, dst, src) => {
  const words = vector(o, src);
  const e = o.get(dst).lane("i32x4.extract_lane", 3).rotl(30);
  o.put(dst, words.lane("i32x4.replace_lane", 3, words.lane("i32x4.extract_lane", 3).add(e)));
});

/** W0..W3 (lane 3 first) exclusive-or the words two further on. */
const SHA1MSG1 = define("sha1msg1", "NP 0F 38 C9 /r Vdq,Wdq", (o, dst, src) => {
  const b = vector(o, src);
  const a = o.get(dst);
  o.put(dst, a.op("v128.xor", movedUp(a, b, 2)));
});

/** The last step of the schedule: word 19 needs word 16, which is computed here as well. */
const SHA1MSG2 = define("sha1msg2", "NP 0F 38 CA /r Vdq,Wdq", (o, dst, src) => {
  const b = vector(o, src);
  const a = o.get(dst);
  const mixed = rotateLanes(o, a.op("v128.xor", movedUp(b, b, 1)), 1);
  const w16 = mixed.lane("i32x4.extract_lane", 3);
  const w19 = a.lane("i32x4.extract_lane", 0).xor(w16).rotl(1);
  o.put(dst, mixed.lane("i32x4.replace_lane", 0, w19));
});

/** Round functions and constants of SHA-1 by the immediate's low two bits. */
const SHA1_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

const SHA1RNDS4 = define("sha1rnds4", "NP 0F 3A CC /r Vdq,Wdq,Ib", (o, dst, src, control) => {
  const words = split(vector(o, src));
  const select = immediate(o, control).and(3);
  const [second, third] = [select.and(1), select.and(2)];
  const [k0, k1, k2, k3] = SHA1_CONSTANTS.map((k) => o.i32(k)) as [Value, Value, Value, Value];
  const constant = k3.when(second, k2).when(third, k1.when(second, k0));
  const choice = (b: Value, c: Value, d: Value) => c.xor(d).and(b).xor(d);
  const parity = (b: Value, c: Value, d: Value) => b.xor(c).xor(d);
  const majority = (b: Value, c: Value, d: Value) => b.and(c).or(b.or(c).and(d));
  const mix = (b: Value, c: Value, d: Value) =>
    parity(b, c, d).when(second, majority(b, c, d).when(third, choice(b, c, d)));
  let [d, c, b, a] = split(o.get(dst));
  let e = o.i32(0);
  for (const word of [...words].reverse()) {
    // The first word has E in it already (SHA1NEXTE).
    const next = mix(b, c, d).add(a.rotl(5)).add(word).add(e).add(constant);
    [a, b, c, d, e] = [next, a, b.rotl(30), c, d];
  }
  o.put(dst, join([d, c, b, a]));
});

/** Two rounds; the words with their constants added are in XMM0's low half. */
const SHA256RNDS2 = define("sha256rnds2", "NP 0F 38 CB /r Vdq,Wdq", (o, dst, src) => {
  let [f, e, b, a] = split(vector(o, src));
  let [h, g, d, c] = split(o.get(dst));
  const words = split(o.xmm(0)).slice(0, 2);
  for (const word of words) {
    const sum1 = e.rotr(6).xor(e.rotr(11)).xor(e.rotr(25));
    const choice = f.xor(g).and(e).xor(g);
    const first = choice.add(sum1).add(word).add(h);
    const sum0 = a.rotr(2).xor(a.rotr(13)).xor(a.rotr(22));
    const majority = a.and(b).or(a.or(b).and(c));
    [a, b, c, d, e, f, g, h] = [first.add(majority).add(sum0), a, b, c, d.add(first), e, f, g];
  }
  o.put(dst, join([f, e, b, a]));
});

/** W + σ0 of the words one further on. */
const SHA256MSG1 = define("sha256msg1", "NP 0F 38 CC /r Vdq,Wdq", (o, dst, src) => {
  const b = vector(o, src);
  const a = o.get(dst);
  const next = a.shuffle(b, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  const sigma = rotateLanes(o, next, 25)
    .op("v128.xor", rotateLanes(o, next, 14))
    .op("v128.xor", next.op("i32x4.shr_u", o.i32(3)));
  o.put(dst, a.op("i32x4.add", sigma));
});

/** + σ1 of the words two back, of which the last two are computed here. */
const SHA256MSG2 = define("sha256msg2", "NP 0F 38 CD /r Vdq,Wdq", (o, dst, src) => {
  const [, , w14, w15] = split(vector(o, src));
  const [a0, a1, a2, a3] = split(o.get(dst));
  const sigma = (word: Value) => word.rotr(17).xor(word.rotr(19)).xor(word.shrU(10));
  const w16 = a0.add(sigma(w14));
  const w17 = a1.add(sigma(w15));
  o.put(dst, join([w16, w17, a2.add(sigma(w16)), a3.add(sigma(w17))]));
});

export const SHA: readonly Instruction[] = [
  SHA1NEXTE,
  SHA1MSG1,
  SHA1MSG2,
  SHA1RNDS4,
  SHA256RNDS2,
  SHA256MSG1,
  SHA256MSG2,
];
