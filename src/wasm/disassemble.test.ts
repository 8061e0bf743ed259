import assert from "node:assert/strict";
import { test } from "node:test";
import { disassembleBody, localsOf, readModule } from "./disassemble.ts";
import type { CodeMark, EncodedFunction } from "./emitter.ts";
import type { FunctionBuilder, Signature } from "./function.ts";
import { ModuleBuilder, signature } from "./module.ts";
import { LOADS, type LoadKind, opcode, opcodesByCode, STORES, type StoreKind } from "./opcodes.ts";

const TAKES_ONE = signature(["i32"], ["i32"]);

function moduleOf(type: Signature, body: (f: FunctionBuilder, module: ModuleBuilder) => void) {
  const module = new ModuleBuilder();
  let encoded: EncodedFunction | undefined;
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
  module.importTable("env", "table", TAKES_ONE, 1);
  module.function(type, (f) => body(f, module), {
    name: "tested",
    encoded: (found) => {
      encoded = found;
    },
  });
  const bytes = module.build();
  // V8 takes it.
  new WebAssembly.Module(bytes);
  return { bytes, encoded: encoded as EncodedFunction };
}

function textOf(type: Signature, body: (f: FunctionBuilder, module: ModuleBuilder) => void): string[] {
  const { names, functions } = readModule(moduleOf(type, body).bytes);
  return disassembleBody(functions[0]?.body as Uint8Array, names).map(
    ({ text, depth }) => `${"  ".repeat(depth)}${text}`,
  );
}

test("control flow, calls, variables and constants read as in the text format", () => {
  const text = textOf(TAKES_ONE, (f, module) => {
    const twice = module.importFunction("env", "twice", TAKES_ONE);
    const v = f.variable("i64", -5);
    f.block((out) => {
      f.loop((again) => {
        f.branchIf(out, f.call(twice, f.param(0)));
        f.branch(again);
      });
    });
    f.if(
      f.param(0),
      () => v.set(0x1234_5678_9abcn),
      () => f.unreachable(),
    );
    f.store("i64", f.param(0), v.get(), 2000);
    f.return(f.load("i32.8u", f.param(0), 3));
  });
  assert.deepEqual(text, [
    "i64.const -5",
    "local.set 1",
    "block",
    "  loop",
    "    local.get 0",
    "    call $twice",
    "    local.tee 2",
    "    br_if 1",
    "    br 0",
    "  end",
    "end",
    "local.get 0",
    "if",
    "  i64.const 0x123456789abc",
    "  local.set 1",
    "else",
    "  unreachable",
    "end",
    "local.get 0",
    "local.get 1",
    "i64.store offset=0x7d0",
    "local.get 0",
    "i32.load8_u offset=3",
    "return",
    "end",
  ]);
});

test("functions have the names of the module, and their local variables", () => {
  const { bytes } = moduleOf(signature(["i32"]), (f) => {
    f.variable("i32", 1);
    f.variable("i32", 2);
    f.variable("v128");
  });
  const { names, functions } = readModule(bytes);
  assert.deepEqual(names, ["tested"]);
  assert.deepEqual(localsOf(functions[0]?.body as Uint8Array), ["i32", "i32", "v128"]);
});

test("every load and store is read with its offset", () => {
  const text = textOf(signature(["i32"]), (f) => {
    for (const kind of Object.keys(LOADS) as LoadKind[]) {
      const store: StoreKind = LOADS[kind].type;
      f.store(store, f.param(0), f.load(kind, f.param(0), 7), 9);
    }
    for (const kind of Object.keys(STORES) as StoreKind[]) {
      if (STORES[kind].type === "i32") f.store(kind, f.param(0), f.param(0), 11);
    }
  });
  for (const name of ["i32.load8_s", "i64.load32_u", "v128.load", "v128.load64_zero", "f64.load"]) {
    assert.ok(text.includes(`${name} offset=7`), name);
  }
  for (const name of ["i32.store8", "i32.store16", "i32.store"]) assert.ok(text.includes(`${name} offset=11`), name);
});

test("every instruction of the table is found by its code, under its own name", () => {
  const known = [...opcodesByCode()];
  assert.ok(known.length > 350);
  for (const [code, { name, immediates }] of known) {
    if (immediates === "memory") continue;
    assert.equal(opcode(name).code.join(), code);
  }
});

/** Two sums and a store, marked or not. */
function sums(isMarked: boolean): EncodedFunction {
  const mark = (f: FunctionBuilder, note: number) => isMarked && f.mark(note);
  return moduleOf(TAKES_ONE, (f) => {
    mark(f, 10);
    const sum = f.load("i32", f.param(0)).add(1);
    mark(f, 11);
    f.ifRare(sum, () => f.store("i32", 0, sum));
    mark(f, 12);
    f.return(sum.add(sum));
  }).encoded;
}

test("marks tell where what belongs to them begins, and change nothing", () => {
  const [plain, marked] = [sums(false), sums(true)];
  assert.deepEqual([...marked.bytes], [...plain.bytes]);
  assert.deepEqual(plain.marks, []);
  const instructions = disassembleBody(marked.bytes, []);
  const first = ({ at }: CodeMark) => instructions.find((instruction) => instruction.at === at)?.text;
  assert.deepEqual(
    marked.marks.map((mark) => [mark.note, first(mark)]),
    [
      [10, "local.get 0"],
      [11, "if"],
      [12, "local.get 1"],
    ],
  );
});

test("what is no module of ours is refused", () => {
  const { bytes } = moduleOf(signature([]), () => {});
  assert.throws(() => readModule(bytes.subarray(0, bytes.length - 3)), RangeError);
  assert.throws(() => disassembleBody(Uint8Array.of(0, 0x25, 0, 0x0b), []), /the instruction 37 at 1 is unknown/);
});
