/** AES-NI and PCLMULQDQ. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { high, immediate, low, vector } from "./sse-operand.ts";

const spec = (name: string) => `SDM 2, ${name.toUpperCase()}`;

/** State and round key to the state after the round (v128 each). @spec FIPS 197, 5.1 and 5.3.5 */
function round(name: string, opcode: string): Instruction {
  const compute = declareFunction(name, { in: "wasm", params: ["v128", "v128"], result: "v128" });
  return instruction(name, {
    spec: spec(name),
    forms: [`66 0F 38 ${opcode} /r Vdq,Wdq`],
    feature: "aes",
    unit: "sse",
    meaning(o, dst, src) {
      const key = vector(o, src);
      o.put(dst, o.call(compute, o.get(dst), key));
    },
  });
}

const INVERSE_MIX = declareFunction("aesimc", { in: "wasm", params: ["v128"], result: "v128" });
const AESIMC = instruction("aesimc", {
  spec: spec("aesimc"),
  forms: ["66 0F 38 DB /r Vdq,Wdq"],
  feature: "aes",
  unit: "sse",
  meaning: (o, dst, src) => o.put(dst, o.call(INVERSE_MIX, vector(o, src))),
});

/** S-box on all bytes. */
const SUBSTITUTE = declareFunction("aesSubBytes", { in: "wasm", params: ["v128"], result: "v128" });
declareFunction("aesInvSubBytes", { in: "wasm", params: ["v128"], result: "v128" });

/** Lanes 1 and 3 substituted, in lanes 1 and 3 also rotated and with the round constant. */
const AESKEYGENASSIST = instruction("aeskeygenassist", {
  spec: spec("aeskeygenassist"),
  forms: ["66 0F 3A DF /r Vdq,Wdq,Ib"],
  feature: "aes",
  unit: "sse",
  meaning(o, dst, src, constant) {
    const substituted = o.call(SUBSTITUTE, vector(o, src));
    const words = substituted.shuffle(substituted, [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]);
    const odd = immediate(o, constant).extendU().shl(32).op("i64x2.splat");
    o.put(dst, words.op("v128.xor", odd));
  },
});

/** Carry-less product of two i64, stored at the pointer as 16 bytes. */
const MULTIPLY = declareFunction("carrylessMultiply", { in: "wasm", params: ["i64", "i64", "i32"] });
declareFunction("carrylessMultiply32", { in: "wasm", params: ["i64", "i64"], result: "i64" });

const PCLMULQDQ = instruction("pclmulqdq", {
  spec: spec("pclmulqdq"),
  forms: ["66 0F 3A 44 /r Vdq,Wdq,Ib"],
  feature: "pclmulqdq",
  unit: "sse",
  meaning(o, dst, src, control) {
    const b = vector(o, src);
    const a = o.get(dst);
    const select = immediate(o, control);
    const result = o.slot("simdResult");
    o.call(MULTIPLY, high(a).when(select.and(1), low(a, 64)), high(b).when(select.and(16), low(b, 64)), result);
    o.put(dst, o.loadState("v128", result));
  },
});

export const AES: readonly Instruction[] = [
  AESIMC,
  round("aesenc", "DC"),
  round("aesenclast", "DD"),
  round("aesdec", "DE"),
  round("aesdeclast", "DF"),
  AESKEYGENASSIST,
  PCLMULQDQ,
];
