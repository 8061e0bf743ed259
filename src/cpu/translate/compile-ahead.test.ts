/** Functions that are compiled ahead are called where they can do nothing, and are none the worse for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HANDLER } from "../emit/enter-block.ts";
import { codeModule, FIRST_READY } from "../interpret/code-table.ts";
import { linkageOf } from "../interpret/handlers.ts";
import { compileAhead, emptyMachine } from "./compile-ahead.ts";

const memoryPages = { initial: 1200, maximum: 65536 };

test("each function is called once, whatever it does", () => {
  const module = codeModule(memoryPages);
  const linkage = linkageOf(module, undefined);
  const functions = [
    module.function(HANDLER, (f) => f.store("i32", 0, 1, 0x100)),
    module.function(HANDLER, (f) => f.unreachable()),
    module.function(HANDLER, (f) => {
      f.store("i32", 0, 1, 0x104);
      f.call(linkage.callee("reachPage"), f.i64(0), 1, 0);
      f.store("i32", 0, 1, 0x108);
    }),
    module.function(HANDLER, (f) => f.returnCallIndirect(HANDLER, f.load("i32", f.param(0)), f.param(0))),
    module.function(HANDLER, (f) => f.store("i32", 0, f.load("i32", 0, 0x10c).add(1), 0x10c)),
  ];
  module.elements(FIRST_READY + 7, functions);
  const machine = emptyMachine({ memoryPages });
  assert.ok(machine);
  const compiled = { at: FIRST_READY + 7, count: functions.length, module: new WebAssembly.Module(module.build()) };
  assert.equal([...compileAhead(compiled, machine)].length, functions.length);
  assert.deepEqual([...new Int32Array(machine.memory.buffer, 0x100, 4)], [1, 1, 0, 1]);
});
