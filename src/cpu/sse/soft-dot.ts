/** DPPS and DPPD: products, then sums of pairs, each step rounded and looked at for exceptions. */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { F32, F64, type SoftFormat } from "./soft-format.ts";
import { RAISED, softParameters } from "./soft-lanes.ts";

/** Immediate: bits 7:4 choose the products, bits 3:0 the lanes of the result; the others are +0. */
function dotProduct(name: string, format: SoftFormat): WasmFunctions {
  const lanes = format.name === "f32" ? 4 : 2;
  const shape = format.name === "f32" ? "i32x4" : "i64x2";
  return {
    [name]: (f, callee) => {
      const { operands, controls, mxcsr: pointer, result } = softParameters(f, name, 2);
      const control = controls[0] as Value;
      const raised = result.add(RAISED);
      f.store("i32", raised, 0);
      const mxcsr = f.load("i32", pointer);
      const settle = () => f.return(f.call(callee("soft.settle"), pointer, result));
      const leaveIfUnmasked = () => {
        f.if(f.load("i32", raised).and(mxcsr.shrU(7).not()), settle);
      };
      const products = Array.from({ length: lanes }, (_, i) => {
        const [a, b] = operands.map((operand) => operand.lane(`${shape}.extract_lane`, i).extendU());
        return chosen(f, control.and(1 << (4 + i)), () =>
          f.call(callee(`${format.name}.product`), a as Value, b as Value, mxcsr, raised),
        );
      });
      let terms = products;
      while (terms.length > 1) {
        leaveIfUnmasked();
        const sums: Value[] = [];
        for (let i = 0; i < terms.length; i += 2) {
          const pair = terms.slice(i, i + 2) as [Value, Value];
          sums.push(f.call(callee(`${format.name}.sum`), ...pair, 0, mxcsr, raised));
        }
        terms = sums;
      }
      const sum = terms[0] as Value;
      for (let i = 0; i < lanes; i++) {
        const value = sum.when(control.and(1 << i), 0);
        f.store(lanes === 4 ? "i64.32" : "i64", result, value, (i * 16) / lanes);
      }
      settle();
    },
  };
}

/** A number where `condition`, else +0; it is computed only then. */
function chosen(f: FunctionBuilder, condition: Value, compute: () => Value): Value {
  const result = f.variable("i64", 0);
  f.if(condition, () => result.set(compute()));
  return result.get();
}

export function dotProductFunctions(): WasmFunctions {
  return { ...dotProduct("soft.dpps", F32), ...dotProduct("soft.dppd", F64) };
}
