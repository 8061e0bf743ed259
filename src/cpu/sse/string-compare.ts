/** PCMPESTRI and its kin: strings of 16 bytes or 8 words compared. @spec SDM 1, 12.13; SDM 2B, 4.1 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";

/** Immediate: elements are words; they are signed; which aggregation; how IntRes1 is negated. */
const WORDS = 1;
const SIGNED = 2;
const AGGREGATION = { equalAny: 0, ranges: 1, equalEach: 2, equalOrdered: 3 } as const;

const repeat = (f: FunctionBuilder, ...bytes: number[]) =>
  f.v128(Array.from({ length: 16 }, (_, i) => bytes[i % bytes.length] as number));

/** (a, b, length of a, length of b, immediate) → IntRes2. */
function compareStrings(f: FunctionBuilder): void {
  const [a, b, lengthA, lengthB, control] = [0, 1, 2, 3, 4].map((i) => f.param(i)) as [
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  const words = control.and(WORDS);
  const all = f.i32(0xff).when(words, 0xffff);
  const validB = f.i32(1).shl(lengthB).sub(1);
  const aggregation = control.shrU(2).and(3);

  /** Bits of elements of a mask of whole bytes or words. */
  const bitsOf = (byteMask: Value, wordMask: Value) =>
    wordMask.op("i16x8.bitmask").when(words, byteMask.op("i8x16.bitmask"));
  const equalBits = (x: Value, y: Value) => bitsOf(x.op("i8x16.eq", y), x.op("i16x8.eq", y));
  /** Element `index` of `source` in all places. */
  const spread = (source: Value, index: Value) => {
    const first = index.shl(words);
    const offsets = repeat(f, 0, 1).when(words, repeat(f, 0));
    return source.op("i8x16.swizzle", first.op("i8x16.splat").op("i8x16.add", offsets));
  };

  const result = f.variable("i32", 0);
  const index = f.variable("i32", 0);
  /** Runs `body` for the elements 0, `step`, ... below the length of a. */
  const overA = (step: number, limit: Value, body: (index: Value) => void) => {
    f.block((end) => {
      f.loop((again) => {
        const i = index.get();
        f.branchIf(end, i.geU(limit));
        body(i);
        index.set(i.add(step));
        f.branch(again);
      });
    });
  };

  f.if(aggregation.eq(AGGREGATION.equalAny), () => {
    overA(1, lengthA, (i) => result.set(result.get().or(equalBits(spread(a, i), b))));
    result.set(result.get().and(validB));
  });
  f.if(aggregation.eq(AGGREGATION.ranges), () => {
    // Signed elements are ordered as unsigned ones with their sign bit inverted.
    const signs = repeat(f, 0, 0x80).when(words, repeat(f, 0x80));
    const bias = signs.when(control.and(SIGNED), repeat(f, 0));
    const low = a.op("v128.xor", bias);
    const value = b.op("v128.xor", bias);
    overA(2, lengthA.and(-2), (i) => {
      const from = spread(low, i);
      const to = spread(low, i.add(1));
      const bytes = from.op("i8x16.le_u", value).op("v128.and", value.op("i8x16.le_u", to));
      const words16 = from.op("i16x8.le_u", value).op("v128.and", value.op("i16x8.le_u", to));
      result.set(result.get().or(bitsOf(bytes, words16)));
    });
    result.set(result.get().and(validB));
  });
  f.if(aggregation.eq(AGGREGATION.equalEach), () => {
    const validA = f.i32(1).shl(lengthA).sub(1);
    const bothEnded = validA.or(validB).not().and(all);
    result.set(equalBits(a, b).and(validA).and(validB).or(bothEnded));
  });
  f.if(aggregation.eq(AGGREGATION.equalOrdered), () => {
    result.set(all);
    overA(1, lengthA, (i) => {
      const matches = equalBits(spread(a, i), b).and(validB).shrU(i);
      // Places beyond the end of the register are not compared.
      const beyond = all.shrU(i).not();
      result.set(result.get().and(matches.or(beyond)));
    });
  });

  const first = result.get();
  // Polarity: 01 negates all bits, 11 those of elements that b has.
  const negated = validB.when(control.and(0x20), all).when(control.and(0x10), 0);
  f.return(first.xor(negated));
}

export function stringFunctions(): WasmFunctions {
  return { compareStrings };
}
