import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { functionSpec } from "../../isa/functions.ts";
import "../../isa/bits.ts";
import "../../isa/muldiv.ts";
import type { Callee } from "../../wasm/function.ts";
import { ModuleBuilder, signature } from "../../wasm/module.ts";
import { integerFunctions } from "./functions.ts";

type Integer = (...args: bigint[]) => bigint;

/** The integer functions, compiled on their own. */
function compiled(): Record<string, Integer> {
  const module = new ModuleBuilder();
  const callees = new Map<string, Callee>();
  for (const [name, build] of Object.entries(integerFunctions())) {
    const { params, result } = functionSpec(name);
    const type = signature(params, result ? [result] : []);
    const callee = module.function(type, (f) => build(f, (other) => callees.get(other) as Callee, 0), { export: name });
    callees.set(name, callee);
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()));
  return instance.exports as Record<string, Integer>;
}

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const { divide128, depositBits, extractBits } = compiled() as Record<
  "divide128" | "depositBits" | "extractBits",
  Integer
>;

const EDGES = [0n, 1n, 2n, 3n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x1ffffffffn]
  .flatMap((value) => [value, u64(-value), value << 31n, value ^ 0x8000000000000000n, u64(value << 32n)])
  .map(u64);

/** Makes a picker of edge values and of random ones of random length. */
function picker(seed: number): () => bigint {
  const random = new SeededRandom(seed);
  return () => {
    if (random.below(4) === 0) return random.pick(EDGES);
    return random.bits64() >> BigInt(random.below(64));
  };
}

const ROUNDS = 20_000;

test("a 128-bit dividend over a 64-bit divisor gives the quotient that long arithmetic gives", () => {
  const pick = picker(1);
  for (let i = 0; i < ROUNDS; i++) {
    const divisor = pick();
    if (divisor === 0n) continue;
    const high = pick() % divisor;
    const low = pick();
    assert.equal(u64(divide128(high, low, divisor)), ((high << 64n) | low) / divisor, `${high} ${low} ${divisor}`);
  }
});

test("PDEP spreads the source's low bits over the mask, and PEXT gathers them again", () => {
  const pick = picker(2);
  for (let i = 0; i < ROUNDS; i++) {
    const [source, mask] = [pick(), pick()];
    let [deposited, extracted, next] = [0n, 0n, 0n];
    for (let bit = 0n; bit < 64n; bit++) {
      if (((mask >> bit) & 1n) === 0n) continue;
      deposited |= ((source >> next) & 1n) << bit;
      extracted |= ((source >> bit) & 1n) << next;
      next++;
    }
    assert.equal(u64(depositBits(source, mask)), deposited);
    assert.equal(u64(extractBits(source, mask)), extracted);
  }
});
