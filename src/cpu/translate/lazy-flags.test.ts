/** Flags that are worked out late are the flags that the interpreter works out at once, and those of the manual. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import type { ArithmeticFlags, Flag } from "../../isa/semantics.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import { ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { type FlagStore, Flags, type FlagUnit } from "../emit/flags.ts";
import { Registers } from "../registers.ts";
import { VCPU_BASE } from "../state.ts";
import { flagCode, flagVariables, LazyFlags } from "./lazy-flags.ts";
import { storeFlagsFunction } from "./store-flags.ts";

const KINDS = ["add", "adc", "inc", "sub", "sbb", "dec", "logic"] as const;
type Kind = (typeof KINDS)[number];
const WIDTHS = [8, 16, 32, 64] as const;
const FLAGS: readonly Flag[] = ["c", "p", "a", "z", "s", "o"];
const PAIRS = 1000;

const OPTIONS: Record<Kind, ArithmeticFlags | undefined> = {
  add: undefined,
  adc: { withCarry: true },
  inc: { keepCarry: true },
  sub: undefined,
  sbb: { withCarry: true },
  dec: { keepCarry: true },
  logic: undefined,
};
const SUBTRACTS = new Set<Kind>(["sub", "sbb", "dec"]);

/** Operands and result of an operation, of which `b` is 1 where it has only one. */
function operate(kind: Kind, width: number, a: bigint, b: bigint, carry: number) {
  const second = kind === "inc" || kind === "dec" ? 1n : b;
  const extra = kind === "adc" || kind === "sbb" ? BigInt(carry) : 0n;
  const result = kind === "logic" ? a & b : SUBTRACTS.has(kind) ? a - second - extra : a + second + extra;
  return { second, extra, exact: result, result: BigInt.asUintN(width, result) };
}

/** @spec SDM 1, 3.4.3.1 */
function manual(kind: Kind, width: number, a: bigint, b: bigint, carry: number): Record<Flag, number> {
  const { second, extra, exact, result } = operate(kind, width, a, b, carry);
  const signed = (value: bigint) => BigInt.asIntN(width, value);
  const sign = SUBTRACTS.has(kind) ? -1n : 1n;
  const wide = signed(a) + sign * (signed(second) + extra);
  const low = (a & 15n) + sign * ((second & 15n) + extra);
  const logic = kind === "logic";
  const bits = (result & 0xffn).toString(2).replaceAll("0", "").length;
  return {
    c: logic ? 0 : OPTIONS[kind]?.keepCarry ? carry : Number(exact !== result),
    p: Number(bits % 2 === 0),
    a: logic ? 0 : Number(low < 0n || low > 15n),
    z: Number(result === 0n),
    s: Number(signed(result) < 0n),
    o: logic ? 0 : Number(wide !== signed(wide)),
  };
}

/** @spec SDM 1, appendix B */
function conditions({ c, p, z, s, o }: Record<Flag, number>): number[] {
  const positive = [o, c, z, c | z, s, p, s ^ o, (s ^ o) | z];
  return positive.flatMap((holds) => [holds, holds ^ 1]);
}

const packed = ({ c, p, a, z, s, o }: Record<Flag, number>): number =>
  c | 2 | (p << 2) | (a << 4) | (z << 6) | (s << 7) | (o << 11);

function storeOf(f: FunctionBuilder, carry: Value): FlagStore {
  const [result, carryWord, aux] = [f.variable("i64", 1), f.variable("i32", carry.shl(31)), f.variable("i32")];
  return {
    getResult: () => result.get(),
    getCarry: () => carryWord.get(),
    getAux: () => aux.get(),
    setResult: (value) => result.set(value),
    setCarry: (value) => carryWord.set(value),
    setAux: (value) => aux.set(value),
    clearCarryAux() {
      carryWord.set(0);
      aux.set(0);
    },
  };
}

/** All that a unit says, at `at` in memory: six flags, sixteen conditions, and the flags in their places. */
const WORDS = FLAGS.length + 16 + 1;
function write(f: FunctionBuilder, unit: FlagUnit, at: number): void {
  const values = [
    ...FLAGS.map((flag) => unit.flag(flag)),
    ...Array.from({ length: 16 }, (_, code) => unit.condition(code).ne(0)),
    unit.packed(),
  ];
  values.forEach((value, i) => f.store("i32", 0, value, at + 4 * i));
}

/** Where each way to get at flags leaves them. */
const PLACES = { atOnce: 0, late: 0x100, kept: 0x200, words: 0x300 } as const;

function build(kind: Kind, width: number) {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 16, maximum: 16, shared: true });
  storeFlagsFunction(module, VCPU_BASE);
  let code = 0;
  module.function(
    signature(["i64", "i64", "i32", "i64"]),
    (f) => {
      const [carry, result] = [f.param(2), f.param(3)];
      // Bits above the width say nothing.
      const fit = (value: Value) => (width === 64 ? value : value.wrap());
      const [a, b, r] = [fit(f.param(0)), fit(f.param(1)), fit(result)];
      const set = (unit: FlagUnit) => {
        if (kind === "logic") unit.logic(r, width);
        else if (SUBTRACTS.has(kind)) unit.sub(a, b, r, width, OPTIONS[kind]);
        else unit.add(a, b, r, width, OPTIONS[kind]);
      };
      const atOnce = new Flags(f, storeOf(f, carry));
      set(atOnce);
      write(f, atOnce, PLACES.atOnce);
      const late = new LazyFlags(f, flagVariables(f), storeOf(f, carry));
      set(late);
      code = flagCode(late.state) as number;
      write(f, late, PLACES.late);
      late.keep();
      late.state = late.fromVariables(code);
      write(f, late, PLACES.kept);
      late.keepWords();
      late.state = late.fromKeptWords();
      write(f, late, PLACES.words);
    },
    { export: "run" },
  );
  const compiled = new WebAssembly.Module(module.build());
  const { run, storeFlags } = new WebAssembly.Instance(compiled, { env: { memory } }).exports as {
    run: (a: bigint, b: bigint, carry: number, result: bigint) => void;
    storeFlags: (code: number, a: number, b: number, r: number, wideA: bigint, wideB: bigint, wideR: bigint) => void;
  };
  return { run, storeFlags, code, words: new Int32Array(memory.buffer), registers: new Registers(memory, VCPU_BASE) };
}

function operands(random: SeededRandom, width: number): bigint {
  const top = 1n << BigInt(width - 1);
  const near = BigInt(random.below(5)) - 2n;
  return BigInt.asUintN(width, random.pick([near, top + near, random.bits64(), random.bits64() & 0xffn]));
}

for (const kind of KINDS) {
  for (const width of WIDTHS) {
    test(`${kind} of ${width} bits: flags and conditions are those of the manual, however they are kept`, () => {
      const { run, storeFlags, code, words, registers } = build(kind, width);
      const random = new SeededRandom(width + kind.length);
      const garbage = () => BigInt.asIntN(64, (random.bits64() << BigInt(width)) & 0xffff_ffff_ffff_ffffn);
      for (let i = 0; i < PAIRS; i++) {
        const [a, b, carry] = [operands(random, width), operands(random, width), random.below(2)];
        const { second, result } = operate(kind, width, a, b, carry);
        const expected = manual(kind, width, a, b, carry);
        const all = [...FLAGS.map((flag) => expected[flag]), ...conditions(expected), packed(expected)];
        const [dirtyA, dirtyB, dirtyR] = [a, second, result].map((value) => BigInt.asIntN(64, value | garbage())) as [
          bigint,
          bigint,
          bigint,
        ];
        run(dirtyA, dirtyB, carry, dirtyR);
        const name = `${a.toString(16)}, ${b.toString(16)}, carry ${carry}`;
        for (const [way, at] of Object.entries(PLACES)) {
          assert.deepEqual([...words.subarray(at / 4, at / 4 + WORDS)], all, `${way}: ${name}`);
        }
        // INC and DEC keep CF in place of a second operand.
        const keepsCarry = OPTIONS[kind]?.keepCarry === true;
        const narrow = [dirtyA, keepsCarry ? BigInt(carry) : dirtyB, dirtyR].map((value) =>
          Number(BigInt.asIntN(32, value)),
        ) as [number, number, number];
        storeFlags(code, ...narrow, dirtyA, dirtyB, dirtyR);
        assert.equal(registers.eflags & 0x8d7, packed(expected), `stored: ${name}`);
      }
    });
  }
}

test("single flags are set, and leave the others", () => {
  const module = new ModuleBuilder();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
  const chosen: Flag[][] = Array.from({ length: 64 }, (_, set) => FLAGS.filter((_flag, i) => (set >> i) & 1));
  chosen.forEach((flags, i) => {
    module.function(
      signature(["i32", "i32"]),
      (f) => {
        const bit = (word: Value, flag: Flag) => word.shrU(FLAGS.indexOf(flag)).and(1);
        const unit = new LazyFlags(f, flagVariables(f), storeOf(f, f.i32(0)));
        unit.set(Object.fromEntries(FLAGS.map((flag) => [flag, bit(f.param(0), flag)])));
        unit.set(Object.fromEntries(flags.map((flag) => [flag, bit(f.param(1), flag)])));
        write(f, unit, 0);
      },
      { export: `set${i}` },
    );
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  const words = new Int32Array(memory.buffer);
  const random = new SeededRandom(1);
  chosen.forEach((flags, i) => {
    for (let round = 0; round < 20; round++) {
      const [before, change] = [random.below(64), random.below(64)];
      (exports[`set${i}`] as (before: number, change: number) => void)(before, change);
      const value = (flag: Flag) => ((flags.includes(flag) ? change : before) >> FLAGS.indexOf(flag)) & 1;
      assert.deepEqual([...words.subarray(0, 6)], FLAGS.map(value), `${flags.join("")} of ${before} to ${change}`);
    }
  });
});
