import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionBuilder, Signature } from "./function.ts";
import { ModuleBuilder, signature } from "./module.ts";

type Exported = (...args: (number | bigint)[]) => number | bigint;

/** Builds, instantiates and returns one function. */
function build(type: Signature, body: (f: FunctionBuilder) => void): Exported {
  const module = new ModuleBuilder();
  module.function(type, body, { export: "f" });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()));
  return instance.exports.f as Exported;
}

const I32_TO_I32 = signature(["i32", "i32"], ["i32"]);

test("a value used twice is computed once, where it was made", () => {
  const f = build(I32_TO_I32, (f) => {
    const sum = f.param(0).add(f.param(1));
    f.return(sum.mul(sum));
  });
  assert.equal(f(3, 4), 49);
});

test("a variable read before it is set keeps the old value", () => {
  const f = build(I32_TO_I32, (f) => {
    const v = f.variable("i32", f.param(0));
    const before = v.get();
    v.set(f.param(1));
    f.return(before.sub(v.get()));
  });
  assert.equal(f(10, 3), 7);
});

test("constants are folded as 32-bit arithmetic", () => {
  const f = build(signature([], ["i32"]), (f) => f.return(f.i32(0x7fffffff).add(1).shrU(31)));
  assert.equal(f(), 1);
});

test("64-bit constants of any size survive the encoding", () => {
  for (const value of [0n, -1n, 127n, 128n, -(2n ** 63n), 2n ** 63n - 1n, 0x1234_5678_9abc_def0n]) {
    const f = build(signature([], ["i64"]), (f) => f.return(f.i64(value)));
    assert.equal(f(), value);
  }
});

test("if and otherwise run one of two bodies", () => {
  const f = build(I32_TO_I32, (f) => {
    const result = f.variable("i32");
    f.if(
      f.param(0).ltS(f.param(1)),
      () => result.set(f.param(1)),
      () => result.set(f.param(0)),
    );
    f.return(result.get());
  });
  assert.equal(f(-5, 2), 2);
  assert.equal(f(9, 2), 9);
});

test("a loop in a block ends where the block's label is branched to", () => {
  const f = build(I32_TO_I32, (f) => {
    const i = f.variable("i32", 0);
    const sum = f.variable("i32", 0);
    f.block((end) => {
      f.loop((again) => {
        f.branchIf(end, i.get().geS(f.param(0)));
        sum.set(sum.get().add(i.get()));
        i.set(i.get().add(1));
        f.branch(again);
      });
    });
    f.return(sum.get());
  });
  assert.equal(f(10, 0), 45);
});

test("a switch leaves for the label of its selector, or for the last", () => {
  const f = build(I32_TO_I32, (f) => {
    f.block((other) => {
      f.block((one) => {
        f.block((zero) => f.switch(f.param(0), [zero, one, other]));
        f.return(f.i32(100));
      });
      f.return(f.i32(200));
    });
    f.return(f.i32(300));
  });
  assert.deepEqual(
    [0, 1, 2, 7].map((n) => f(n, 0)),
    [100, 200, 300, 300],
  );
});

test("a load is not moved past a store that follows it", () => {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
  module.function(
    signature(["i32"], ["i32"]),
    (f) => {
      const old = f.load("i32", 0, 64);
      f.store("i32", 0, f.param(0), 64);
      f.return(old);
    },
    { export: "swap" },
  );
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  const swap = exports.swap as Exported;
  assert.deepEqual([swap(5), swap(6), swap(7)], [0, 5, 6]);
});

test("functions call each other, also imported ones that were asked for while bodies were built", () => {
  const module = new ModuleBuilder();
  const twice = module.function(signature(["i32"], ["i32"]), (f) => f.return(f.param(0).shl(1)));
  module.function(
    signature(["i32"], ["i32"]),
    (f) => {
      const triple = module.importFunction("env", "triple", signature(["i32"], ["i32"]));
      f.return(f.call(twice, f.call(triple, f.param(0))));
    },
    { export: "f" },
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { triple: (value: number) => value * 3 },
  });
  assert.equal((exports.f as Exported)(7), 42);
});

test("tail calls through the table do not use up the stack", () => {
  const module = new ModuleBuilder();
  const type = signature(["i32"], ["i32"]);
  module.importTable("env", "table", type, 1);
  const down = module.function(
    type,
    (f) => {
      f.if(f.param(0).eqz(), () => f.return(f.i32(99)));
      f.returnCallIndirect(type, f.i32(0), f.param(0).sub(1));
    },
    { export: "down" },
  );
  module.elements(0, [down]);
  const owner = new ModuleBuilder();
  owner.exportTable(
    "table",
    1,
    owner.function(type, (f) => f.unreachable()),
  );
  const { exports: owned } = new WebAssembly.Instance(new WebAssembly.Module(owner.build()));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { table: owned.table as WebAssembly.Table },
  });
  assert.equal((exports.down as Exported)(1_000_000), 99);
});

test("an operand of the wrong type is refused when the function is built", () => {
  assert.throws(() => build(I32_TO_I32, (f) => f.return(f.param(0).add(f.i64(1)))), /operand is i64, expected i32/);
});
