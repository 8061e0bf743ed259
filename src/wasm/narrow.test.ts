/** Code without what changes nothing does the same, and there is less of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { FunctionBuilder, type Variable } from "./function.ts";
import { ModuleBuilder, signature } from "./module.ts";
import type { Value } from "./value.ts";

const REGISTERS = 4;
const WORDS = 16;
const PROGRAMS = 800;
const cut = (value: bigint, width: number) => BigInt.asUintN(width, value);

interface Machine {
  readonly registers: bigint[];
  readonly memory: DataView;
}
type Step = (machine: Machine) => void;

const OPERATIONS: readonly ["add" | "sub" | "and" | "or" | "xor" | "mul", (a: bigint, b: bigint) => bigint][] = [
  ["add", (a, b) => a + b],
  ["sub", (a, b) => a - b],
  ["and", (a, b) => a & b],
  ["or", (a, b) => a | b],
  ["xor", (a, b) => a ^ b],
  ["mul", (a, b) => a * b],
];
const LOADS = [
  [8, "i64.8u", (memory, at) => BigInt(memory.getUint8(at))],
  [16, "i64.16u", (memory, at) => BigInt(memory.getUint16(at, true))],
  [32, "i64.32u", (memory, at) => BigInt(memory.getUint32(at, true))],
  [64, "i64", (memory, at) => memory.getBigUint64(at, true)],
] as const satisfies [number, string, (memory: DataView, at: number) => bigint][];

/** A random function that works on registers as a guest's code does, and the same as steps of JavaScript. */
class Program {
  readonly #f: FunctionBuilder;
  readonly #random: SeededRandom;
  readonly #registers: Variable[];

  constructor(f: FunctionBuilder, random: SeededRandom) {
    this.#f = f;
    this.#random = random;
    this.#registers = Array.from({ length: REGISTERS }, () => f.variable("i64"));
  }

  build(): Step[] {
    const steps = this.#body(3);
    this.#registers.forEach((register, i) => {
      this.#f.store("i64", 0, register.get(), 8 * (WORDS + i));
    });
    return steps;
  }

  #body(depth: number): Step[] {
    return Array.from({ length: 3 + this.#random.below(8) }, () => this.#step(depth));
  }

  #step(depth: number): Step {
    const random = this.#random;
    const f = this.#f;
    const [i, j] = [random.below(REGISTERS), random.below(REGISTERS)];
    const [to, from] = [this.#registers[i], this.#registers[j]] as [Variable, Variable];
    const [name, compute] = random.pick(OPERATIONS);
    const set = (value: Value, next: (a: bigint, b: bigint) => bigint): Step => {
      to.set(value);
      return ({ registers }) => {
        registers[i] = cut(next(registers[i] as bigint, registers[j] as bigint), 64);
      };
    };
    switch (random.below(depth > 0 ? 13 : 9)) {
      case 0: {
        const [, kind, read] = random.pick(LOADS);
        const at = 8 * random.below(WORDS);
        to.set(f.load(kind, 0, at));
        return ({ registers, memory }) => {
          registers[i] = read(memory, at);
        };
      }
      case 1:
        return set(to.get()[name](from.get()), compute);
      case 2:
        return set(to.get().wrap()[name](from.get().wrap()).extendU(), (a, b) => cut(compute(a, b), 32));
      case 3:
      case 4: {
        const width = random.pick([8, 16]);
        const mask = (1 << width) - 1;
        const parts = [to, from].map((register) => register.get().wrap().and(mask)) as [Value, Value];
        const put = parts[0][name](parts[1]).and(mask).extendU();
        return set(to.get().and(~BigInt(mask)).or(put), (a, b) => {
          const low = cut(compute(cut(a, width), cut(b, width)), width);
          return a - cut(a, width) + low;
        });
      }
      case 5: {
        const width = random.pick([8, 16]);
        const by = random.below(8);
        const low = to
          .get()
          .wrap()
          .and((1 << width) - 1)
          .shrU(by)
          .and((1 << width) - 1);
        return set(
          to
            .get()
            .and(~((1n << BigInt(width)) - 1n))
            .or(low.extendU()),
          (a) => {
            return a - cut(a, width) + (cut(a, width) >> BigInt(by));
          },
        );
      }
      case 6: {
        const width = random.pick([8, 16]);
        return set(
          from
            .get()
            .wrap()
            .and((1 << width) - 1)
            .extendU(),
          (_, b) => cut(b, width),
        );
      }
      case 7: {
        const width = random.pick([8, 16]);
        const value = from.get().wrap().signExtend(width).extendU();
        return set(value, (_, b) => cut(BigInt.asIntN(width, b), 32));
      }
      case 8: {
        const other = this.#registers[random.below(REGISTERS)] as Variable;
        const condition = other.get().wrap().and(1);
        const number = this.#registers.indexOf(other);
        to.set(from.get().wrap().when(condition, to.get().wrap()).extendU());
        return ({ registers }) => {
          const isSet = (registers[number] as bigint) & 1n;
          registers[i] = cut(registers[isSet ? j : i] as bigint, 32);
        };
      }
      case 9:
      case 10: {
        let [then, otherwise]: [Step[], Step[]] = [[], []];
        f.if(
          from.get().eqz(),
          () => {
            then = this.#body(depth - 1);
          },
          () => {
            otherwise = this.#body(depth - 1);
          },
        );
        return (machine) => run(machine.registers[j] === 0n ? then : otherwise, machine);
      }
      case 11: {
        // Left in the middle where a bit is set.
        let parts: [Step[], Step[]] = [[], []];
        f.block((end) => {
          const before = this.#body(depth - 1);
          f.branchIf(end, from.get().wrap().and(4));
          parts = [before, this.#body(depth - 1)];
        });
        return (machine) => {
          run(parts[0], machine);
          if (((machine.registers[j] as bigint) & 4n) === 0n) run(parts[1], machine);
        };
      }
      default: {
        const rounds = 1 + random.below(4);
        const left = f.variable("i32", rounds);
        let steps: Step[] = [];
        f.loop((again) => {
          steps = this.#body(depth - 1);
          left.set(left.get().sub(1));
          f.branchIf(again, left.get());
        });
        return (machine) => {
          for (let turn = 0; turn < rounds; turn++) run(steps, machine);
        };
      }
    }
  }
}

function run(steps: readonly Step[], machine: Machine): void {
  for (const step of steps) step(machine);
}

test("random code on parts of registers does what its steps do", () => {
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new SeededRandom(seed * 0x9e37_79b1);
    const module = new ModuleBuilder();
    module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
    let steps: Step[] = [];
    module.function(
      signature([]),
      (f) => {
        steps = new Program(f, random).build();
      },
      { export: "run" },
    );
    const bytes = module.build();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const view = new DataView(memory.buffer);
    for (let at = 0; at < 8 * WORDS; at++) view.setUint8(at, random.below(256));
    const expected: Machine = { registers: Array(REGISTERS).fill(0n), memory: view };
    run(steps, expected);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    (exports.run as () => void)();
    const found = expected.registers.map((_, i) => view.getBigUint64(8 * (WORDS + i), true));
    assert.deepEqual(found, expected.registers, `seed ${seed}`);
  }
});

/** Bytes of a function. */
function sizeOf(build: (f: FunctionBuilder, x: Variable, y: Variable) => void): number {
  const f = new FunctionBuilder(signature([]), () => 0);
  const [x, y] = [f.variable("i64"), f.variable("i64")];
  build(f, x, y);
  f.store("i64", 0, x.get().add(y.get()));
  return f.finish().bytes.length;
}

test("what is narrow is not cut, also where it comes through variables, branches and loops", () => {
  const build = (mask: bigint | undefined) => (f: FunctionBuilder, x: Variable, y: Variable) => {
    const masked = (value: Value) => (mask === undefined ? value : value.and(mask));
    x.set(f.load("i64.8u", 0));
    f.if(
      f.load("i32", 8),
      () => x.set(f.load("i64.8u", 16)),
      () => x.set(x.get().shrU(1)),
    );
    f.loop((again) => {
      y.set(masked(x.get()));
      x.set(y.get().xor(0x55));
      f.branchIf(again, f.load("i32", 24));
    });
  };
  assert.equal(sizeOf(build(0xffn)), sizeOf(build(undefined)));
  assert.ok(sizeOf(build(0x7fn)) > sizeOf(build(undefined)));
});

test("what grows in a loop is cut there", () => {
  const build = (mask: bigint | undefined) => (f: FunctionBuilder, x: Variable, y: Variable) => {
    x.set(f.load("i64.8u", 0));
    f.loop((again) => {
      y.set(mask === undefined ? x.get() : x.get().and(mask));
      x.set(x.get().add(1));
      f.branchIf(again, f.load("i32", 24));
    });
  };
  assert.ok(sizeOf(build(0xffff_ffffn)) > sizeOf(build(undefined)));
});

test("a part of a variable that was put there is had as it is", () => {
  const build = (isWhole: boolean) => (f: FunctionBuilder, x: Variable, y: Variable) => {
    x.set(f.load("i64", 0));
    const bit = f.load("i32", 8).eqz();
    x.set(x.get().and(~0xffn).or(bit.extendU()));
    y.set((isWhole ? x.get().wrap().and(0xff) : bit).extendU());
  };
  assert.equal(sizeOf(build(true)), sizeOf(build(false)));
});

test("32 bits of which it is known that no more are set are not cut and extended", () => {
  const build = (isCut: boolean) => (f: FunctionBuilder, x: Variable, y: Variable) => {
    x.set(f.load("i64.32u", 0));
    y.set(f.load("i64.32u", 8));
    const condition = f.load("i32", 16);
    const chosen = isCut ? x.get().wrap().when(condition, y.get().wrap()).extendU() : x.get().when(condition, y.get());
    y.set(chosen);
  };
  assert.equal(sizeOf(build(true)), sizeOf(build(false)));
});
