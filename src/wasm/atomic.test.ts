/** Atomic instructions, and code that is put before other code which was built in front of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionBuilder } from "./function.ts";
import { ModuleBuilder, signature } from "./module.ts";
import type { AtomicOperation } from "./opcodes.ts";

const WIDTHS = [8, 16, 32, 64] as const;
const OPERATIONS: Readonly<Record<AtomicOperation, (old: bigint, operand: bigint) => bigint>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  xchg: (_a, b) => b,
  cmpxchg: (a, b) => (a === OLD ? b : a),
};
const OLD = 0x77n;
const NEW = 0x1234_5678_9abc_def5n;

function run(params: readonly ("i32" | "i64")[], build: (f: FunctionBuilder) => void) {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
  module.function(signature([...params], ["i64"]), build, { export: "run" });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  const { run } = exports as { run: (operand: number | bigint) => bigint };
  return { run, memory: new DataView(memory.buffer) };
}

test("every atomic instruction gives what was there, and leaves what it should", () => {
  for (const width of WIDTHS) {
    for (const operation of Object.keys(OPERATIONS) as AtomicOperation[]) {
      for (const there of operation === "cmpxchg" ? [OLD, OLD + 1n] : [0xfedc_ba98_7654_32f7n]) {
        const type = width === 64 ? "i64" : "i32";
        const { run: atomic, memory } = run([type], (f) => {
          const expected = operation === "cmpxchg" ? [f.i32(0).literal(OLD, type)] : [];
          f.return(f.atomic(operation, width, f.i32(64), ...expected, f.param(0)).extendU());
        });
        memory.setBigUint64(64, there, true);
        const about = `${operation} ${width}`;
        assert.equal(
          BigInt.asUintN(64, atomic(width === 64 ? NEW : Number(BigInt.asIntN(32, NEW)))),
          BigInt.asUintN(width, there),
          about,
        );
        const rest = (there >> BigInt(width)) << BigInt(width);
        const left = BigInt.asUintN(width, OPERATIONS[operation](BigInt.asUintN(width, there), NEW));
        assert.equal(memory.getBigUint64(64, true), rest | left, about);
      }
    }
  }
});

test("what a value needs of a body is done first, and nothing else of it", () => {
  const { run: difference, memory } = run(["i64"], (f) => {
    const variable = f.variable("i64", 3);
    let product = f.i64(0);
    const body = f.detached(() => {
      const read = variable.get();
      const sum = read.add(f.param(0));
      variable.set(100);
      product = sum.mul(f.param(0));
      f.store("i64", 8, sum);
    });
    f.place(body.take([product]));
    f.store("i64", 0, f.load("i64", 0, 8));
    f.place(body);
    f.return(product.sub(variable.get()));
  });
  assert.equal(difference(7n), 70n - 100n);
  assert.deepEqual([memory.getBigUint64(0, true), memory.getBigUint64(8, true)], [0n, 10n]);
});

test("what reads behind a change or has an effect itself is not done before others", () => {
  run([], (f) => {
    const variable = f.variable("i64");
    for (const what of [() => variable.get(), () => f.atomic("add", 64, f.i32(0), f.i64(1))]) {
      let value = f.i64(0);
      const body = f.detached(() => {
        variable.set(5);
        value = what().add(1);
      });
      assert.throws(() => body.take([value]), /cannot be done before what stands in front of it/);
    }
    f.return(f.i64(0));
  });
});
