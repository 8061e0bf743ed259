/** What makes the interpreter's flag words of the flags that translated code has kept unevaluated. */
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import { flagMemory } from "../interpret/handler.ts";
import { FLAG_CODES, flagVariables, LazyFlags, stateOfCode } from "./lazy-flags.ts";

/** Exports `storeFlags`: (code, a, b, r of 32 bits, a, b, r of 64 bits); see lazy-flags.ts. */
export function storeFlagsFunction(module: ModuleBuilder, vcpu: number): Callee {
  return module.function(
    signature(["i32", "i32", "i32", "i32", "i64", "i64", "i64"]),
    (f) => {
      const operands = {
        narrow: { a: f.param(1), b: f.param(2), r: f.param(3) },
        wide: { a: f.param(4), b: f.param(5), r: f.param(6) },
      };
      const labels = Array.from({ length: FLAG_CODES }, () => f.label("block"));
      const cases = (code: number): void => {
        if (code === FLAG_CODES) {
          f.switch(f.param(0), labels);
          return;
        }
        f.block(() => cases(code + 1), labels[code] as Label);
        store(
          f,
          vcpu,
          stateOfCode(code, (size) => operands[size]),
        );
        f.return();
      };
      cases(0);
    },
    { export: "storeFlags" },
  );
}

function store(f: FunctionBuilder, vcpu: number, state: ReturnType<typeof stateOfCode>): void {
  if (state.kind === "memory") return;
  const memory = flagMemory(f, vcpu);
  const flags = new LazyFlags(f, flagVariables(f), memory);
  flags.state = state;
  const words = flags.words();
  memory.setResult(words.result);
  memory.setCarry(words.carry);
  memory.setAux(words.aux);
}
