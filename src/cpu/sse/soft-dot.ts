/** DPPS and DPPD: products, then sums of pairs, each step rounded and looked at for exceptions by itself. */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { F32, F64, type SoftFormat } from "./soft-format.ts";
import { RAISED, softParameters } from "./soft-lanes.ts";

/** Immediate: bits 7:4 choose the products, bits 3:0 the lanes of the result; the others are +0. */
function dotProduct(name: string, format: SoftFormat): WasmFunctions {
  const single = format.name === "f32";
  const lanes = single ? 4 : 2;
  const extract = single ? "i32x4.extract_lane" : "i64x2.extract_lane";
  return {
    [name]: (f, callee) => {
      const { operands, controls, mxcsr: pointer, result } = softParameters(f, name, 2);
      const control = controls[0] as Value;
      const mxcsr = f.load("i32", pointer);
      const raised = result.add(RAISED);
      const settle = () => {
        const unmasked = f.call(callee("soft.settle"), pointer, result);
        f.if(unmasked, () => f.return(unmasked));
        f.store("i32", raised, 0);
      };

      f.store("i32", raised, 0);
      let terms = Array.from({ length: lanes }, (_, i) => {
        const [a, b] = operands.map((operand) => operand.lane(extract, i).extendU()) as [Value, Value];
        return chosen(f, control.and(1 << (4 + i)), () =>
          f.call(callee(`${format.name}.product`), a, b, mxcsr, raised),
        );
      });
      settle();
      while (terms.length > 1) {
        const sums: Value[] = [];
        for (let i = 0; i < terms.length; i += 2) {
          const [a, b] = terms.slice(i, i + 2) as [Value, Value];
          sums.push(f.call(callee(`${format.name}.sum`), a, b, 0, mxcsr, raised));
        }
        settle();
        terms = sums;
      }
      for (let i = 0; i < lanes; i++) {
        const value = (terms[0] as Value).when(control.and(1 << i), 0);
        f.store(single ? "i64.32" : "i64", result, value, (i * 16) / lanes);
      }
      f.return(f.i32(0));
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
