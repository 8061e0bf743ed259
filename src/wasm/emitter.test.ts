/** Whatever order instructions are written in, a function does what it was told in the order it was told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { FunctionBuilder, type Hint, type Variable } from "./function.ts";
import { ModuleBuilder, signature } from "./module.ts";
import type { Value } from "./value.ts";

const OPERATIONS: readonly [
  name: "add" | "sub" | "mul" | "and" | "xor" | "shl" | "shrU" | "ltS",
  (a: number, b: number) => number,
][] = [
  ["add", (a, b) => (a + b) | 0],
  ["sub", (a, b) => (a - b) | 0],
  ["mul", (a, b) => Math.imul(a, b)],
  ["and", (a, b) => a & b],
  ["xor", (a, b) => a ^ b],
  ["shl", (a, b) => a << b],
  ["shrU", (a, b) => (a >>> b) | 0],
  ["ltS", (a, b) => Number(a < b)],
];
const HINTS: readonly (Hint | undefined)[] = [undefined, "likely", "unlikely"];
const VARIABLES = 4;
const WORDS = 16;

/** What runs in step with a function under construction. */
interface Machine {
  readonly variables: Int32Array;
  readonly memory: Int32Array;
  readonly calls: number[];
  /** Values by number, as of when they were made. */
  readonly values: number[];
}
type Step = (machine: Machine) => void;

/** A random function, and the same as steps of JavaScript. */
class Program {
  readonly #f: FunctionBuilder;
  readonly #random: SeededRandom;
  readonly #variables: Variable[];
  readonly #note: (value: Value) => void;
  /** Values that can be used here. */
  #known: { value: Value; number: number }[] = [];
  #count = 0;

  constructor(f: FunctionBuilder, random: SeededRandom, note: (value: Value) => void) {
    this.#f = f;
    this.#random = random;
    this.#note = note;
    this.#variables = Array.from({ length: VARIABLES }, (_, i) => f.variable("i32", i + 1));
    for (const i of [0, 1]) this.#known.push({ value: f.param(i), number: this.#count++ });
  }

  build(): Step[] {
    const steps = this.#body(3);
    // All that is left is looked at.
    this.#variables.forEach((variable, i) => {
      steps.push(this.#store(WORDS + i, variable.get(), ({ variables }) => variables[i] as number));
    });
    const last = this.#pick();
    steps.push(this.#store(WORDS + VARIABLES, last.value, ({ values }) => values[last.number] as number));
    return steps;
  }

  #store(word: number, value: Value, compute: (machine: Machine) => number): Step {
    this.#f.store("i32", 0, value, 4 * word);
    return (machine) => {
      machine.memory[word] = compute(machine);
    };
  }

  #pick(): { value: Value; number: number } {
    return this.#random.pick(this.#known);
  }

  #define(value: Value, compute: (machine: Machine) => number): Step {
    const number = this.#count++;
    this.#known.push({ value, number });
    return (machine) => {
      machine.values[number] = compute(machine);
    };
  }

  #body(depth: number): Step[] {
    const outer = this.#known.length;
    const steps: Step[] = [];
    for (let left = 2 + this.#random.below(10); left > 0; left--) steps.push(this.#step(depth));
    if (depth < 3) this.#known.length = outer;
    return steps;
  }

  #step(depth: number): Step {
    const random = this.#random;
    const f = this.#f;
    const kind = random.below(depth > 0 ? 14 : 10);
    if (kind < 4) {
      const [name, compute] = random.pick(OPERATIONS);
      const [a, b] = [this.#pick(), this.#pick()];
      return this.#define(a.value[name](b.value), ({ values }) =>
        compute(values[a.number] as number, values[b.number] as number),
      );
    }
    if (kind === 4) {
      const [a, b, condition] = [this.#pick(), this.#pick(), this.#pick()];
      return this.#define(a.value.when(condition.value, b.value), ({ values }) =>
        values[condition.number] ? (values[a.number] as number) : (values[b.number] as number),
      );
    }
    const i = random.below(VARIABLES);
    const variable = this.#variables[i] as Variable;
    const word = random.below(WORDS);
    if (kind === 5) return this.#define(variable.get(), ({ variables }) => variables[i] as number);
    if (kind === 6) return this.#define(f.load("i32", 0, 4 * word), ({ memory }) => memory[word] as number);
    const source = this.#pick();
    if (kind === 7) {
      variable.set(source.value);
      return ({ variables, values }) => {
        variables[i] = values[source.number] as number;
      };
    }
    if (kind === 8) return this.#store(word, source.value, ({ values }) => values[source.number] as number);
    if (kind === 9) {
      this.#note(source.value);
      return ({ calls, values }) => void calls.push(values[source.number] as number);
    }
    return kind < 13 ? this.#if(source, depth) : this.#loop(depth);
  }

  #if(condition: { value: Value; number: number }, depth: number): Step {
    let [then, otherwise]: [Step[], Step[]] = [[], []];
    const hasOther = this.#random.below(2) === 0;
    this.#f.if(
      condition.value,
      () => {
        then = this.#body(depth - 1);
      },
      hasOther
        ? () => {
            otherwise = this.#body(depth - 1);
          }
        : undefined,
      this.#random.pick(HINTS),
    );
    return (machine) => {
      for (const step of machine.values[condition.number] ? then : otherwise) step(machine);
    };
  }

  #loop(depth: number): Step {
    const f = this.#f;
    const rounds = 1 + this.#random.below(3);
    const left = f.variable("i32", rounds);
    let steps: Step[] = [];
    f.loop((again) => {
      steps = this.#body(depth - 1);
      left.set(left.get().sub(1));
      f.branchIf(again, left.get());
    });
    return (machine) => {
      for (let i = 0; i < rounds; i++) for (const step of steps) step(machine);
    };
  }
}

const PROGRAMS = 600;

test("random functions do what their steps do one after the other", () => {
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const random = new SeededRandom(seed * 0x9e37_79b1);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const module = new ModuleBuilder();
    module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
    const note = module.importFunction("env", "note", signature(["i32"]));
    let steps: Step[] = [];
    module.function(
      signature(["i32", "i32"]),
      (f) => {
        steps = new Program(f, random, (value) => void f.call(note, value)).build();
      },
      { export: "f" },
    );
    const calls: number[] = [];
    const imports = { env: { memory, note: (value: number) => void calls.push(value) } };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), imports);
    const words = new Int32Array(memory.buffer);
    for (let run = 0; run < 3; run++) {
      const [a, b] = [random.next() | 0, random.below(3)];
      const machine: Machine = {
        variables: Int32Array.from({ length: VARIABLES }, (_, i) => i + 1),
        memory: Int32Array.from({ length: WORDS + VARIABLES + 1 }, () => random.next() | 0),
        calls: [],
        values: [a, b],
      };
      words.set(machine.memory);
      calls.length = 0;
      for (const step of steps) step(machine);
      (exports.f as (a: number, b: number) => void)(a, b);
      assert.deepEqual([...words.subarray(0, WORDS + VARIABLES + 1)], [...machine.memory], `memory, seed ${seed}`);
      assert.deepEqual(calls, machine.calls, `calls, seed ${seed}`);
    }
  }
});

/** A function (a, b) of one body. */
function build(body: (f: FunctionBuilder) => void): (a: number, b: number) => number {
  const module = new ModuleBuilder();
  module.function(signature(["i32", "i32"], ["i32"]), body, { export: "f" });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()));
  return exports.f as (a: number, b: number) => number;
}

/** The quotient, where the divisor is not zero; dividing by zero would trap. */
function quotient(hint: Hint | undefined, dress: (value: Value) => Value = (value) => value) {
  return build((f) => {
    const result = f.variable("i32", -1);
    const value = dress(f.param(0).divU(f.param(1)));
    f.if(f.param(1), () => result.set(value), undefined, hint);
    f.return(result.get());
  });
}

test("what only rare code needs is computed there", () => {
  const rare = quotient("unlikely");
  assert.equal(rare(7, 2), 3);
  assert.equal(rare(7, 0), -1);
});

test("what code that is not rare needs is computed where it was made", () => {
  const always = quotient(undefined);
  assert.equal(always(7, 2), 3);
  assert.throws(() => always(7, 0), /divide by zero/);
});

test("what is too much to compute at each rare use is computed where it was made", () => {
  const long = quotient("unlikely", (value) => {
    let sum = value;
    for (let i = 0; i < 30; i++) sum = sum.xor(i).add(sum);
    return sum;
  });
  assert.throws(() => long(7, 0), /divide by zero/);
});

test("hints stand at the conditions that they are about", () => {
  const f = new FunctionBuilder(signature(["i32", "i32"]), () => 0);
  const v = f.variable("i32");
  f.if(f.param(0), () => v.set(f.param(1).mul(0x1234_5678)), undefined, "likely");
  f.if(f.param(1), () => f.ifRare(v.get(), () => v.set(0x0404)));
  f.if(
    v.get(),
    () => v.set(1),
    () => f.if(f.param(1), () => v.set(2), undefined, "likely"),
    "unlikely",
  );
  f.store("i32", 0, v.get());
  const { bytes, hints } = f.finish();
  assert.deepEqual(
    hints.map(({ likely }) => likely),
    [true, false, false, true],
  );
  // Opcode of `if`, with no result.
  for (const { at } of hints) assert.deepEqual([bytes[at], bytes[at + 1]], [0x04, 0x40]);
});
