import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder, signature } from "../../wasm/module.ts";
import { compileBest } from "./best-code.ts";

test("a function has V8's best code before it is called", {
  skip: !compileBest && "V8 has no such option here",
}, () => {
  const module = new ModuleBuilder();
  module.function(signature(["i32"], ["i32"]), (f) => f.return(f.param(0).add(1)), { export: "next" });
  const { next } = new WebAssembly.Instance(new WebAssembly.Module(module.build())).exports as {
    next: (number: number) => number;
  };
  const isBest = new Function("exported", "return %IsTurboFanFunction(exported);");
  assert.equal(isBest(next), false);
  compileBest?.(next);
  assert.equal(isBest(next), true);
  assert.equal(next(41), 42);
});
