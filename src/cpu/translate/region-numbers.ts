/**
 * What a region's code knows of SSE's numbers, from one instruction of a node to the next: a result that was made sure
 * to be ordinary need not be looked at as an operand, and MXCSR is looked at once. Where code finds that something is
 * not as it takes it to be, the node's other instructions are told by `limit`.
 */
import type { NumberKnowledge, NumberType } from "../../isa/semantics.ts";
import { quietLimit } from "../../isa/sse-native.ts";
import type { FunctionBuilder, Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";

const LOW_LANE = { f32: "f32x4.extract_lane", f64: "f64x2.extract_lane" } as const;

export class RegionNumbers {
  readonly #limit: Variable;
  #isKnown = false;
  #assumed: Record<NumberType, Set<Value>> = { f32: new Set(), f64: new Set() };
  /** Vectors of which the low lane is assumed to be ordinary. */
  #assumedLow: Record<NumberType, Set<Value>> = { f32: new Set(), f64: new Set() };

  constructor(f: FunctionBuilder) {
    this.#limit = f.variable("i32");
  }

  /** A node begins, or MXCSR has changed. */
  forget(): void {
    this.#isKnown = false;
    this.#assumed = { f32: new Set(), f64: new Set() };
    this.#assumedLow = { f32: new Set(), f64: new Set() };
  }

  /** For an instruction of the node. */
  knowledge(o: Parameters<typeof quietLimit>[0]): NumberKnowledge {
    return {
      limit: () => {
        if (!this.#isKnown) this.#limit.set(quietLimit(o) as Value);
        this.#isKnown = true;
        return this.#limit.get();
      },
      isAssumed: (type, value) => {
        const vector = vectorOf(type, value as Value);
        if (vector && (this.#assumedLow[type].has(vector) || this.#assumed[type].has(vector))) return true;
        return this.#assumed[type].has(value as Value);
      },
      assume: (type, ...values) => {
        for (const value of values as Value[]) {
          const vector = vectorOf(type, value);
          if (vector) this.#assumedLow[type].add(vector);
          else this.#assumed[type].add(value);
        }
      },
      doubt: (condition) => {
        this.#limit.set(
          this.#limit
            .get()
            .literal(0)
            .when(condition as Value, this.#limit.get()),
        );
      },
    };
  }
}

/** The vector that a number is the low lane of. */
function vectorOf(type: NumberType, value: Value): Value | undefined {
  return value.opcode?.name === LOW_LANE[type] && value.immediate?.[0] === 0 ? value.args[0] : undefined;
}
