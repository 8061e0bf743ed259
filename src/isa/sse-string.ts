/** SSE4.2 string comparison (PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM) and CRC32. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { RAX, RCX, RDX, type Semantics } from "./semantics.ts";
import { immediate, maskOfBits, zero, zeroExtended } from "./sse-operand.ts";
import type { Value } from "./value.ts";

/**
 * Strings a and b, their lengths in elements (at most 8 or 16) and the immediate to IntRes2, one bit for
 * each element of b. @spec SDM 1, 12.13 ("String and text processing"); SDM 2B 4.1
 */
const COMPARE = declareFunction("compareStrings", {
  in: "wasm",
  params: ["v128", "v128", "i32", "i32", "i32"],
  result: "i32",
});

/** Immediate: bit 0 words, else bytes. */
const WORDS = 1;
/** Immediate: bit 6 asks for the highest index, or for a mask of whole elements. */
const LAST_OR_ELEMENTS = 0x40;

/** The length of a string that ends at its first zero element. */
function implicitLength(o: Semantics, value: Value, control: Value, count: Value): Value {
  const bytes = value.op("i8x16.eq", zero(o)).op("i8x16.bitmask");
  const words = value.op("i16x8.eq", zero(o)).op("i16x8.bitmask");
  const length = words.when(control.and(WORDS), bytes).ctz();
  return length.when(length.ltU(count), count);
}

/** The magnitude of a length register, at most the number of elements. */
function explicitLength(o: Semantics, register: number, count: Value): Value {
  const length = o.register(register, o.operandSize === 64 ? 64 : 32);
  const magnitude = length.neg().when(length.ltS(0), length);
  const small = magnitude.ltU(count.type === length.type ? count : count.extendU());
  return magnitude.wrap().when(small, count);
}

function stringCompare(name: string, opcode: string): Instruction {
  const explicit = name.includes("estr");
  const index = name.endsWith("i");
  return instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`66 0F 3A ${opcode} /r Vdq,Wdq,Ib`],
    feature: "sse4_2",
    unit: "sse",
    meaning(o, dst, src, operand) {
      const b = o.get(src);
      const a = o.get(dst);
      const control = immediate(o, operand);
      const count = o.i32(8).when(control.and(WORDS), 16);
      const lengthA = explicit ? explicitLength(o, RAX, count) : implicitLength(o, a, control, count);
      const lengthB = explicit ? explicitLength(o, RDX, count) : implicitLength(o, b, control, count);
      const bits = o.call(COMPARE, a, b, lengthA, lengthB, control);
      const last = control.and(LAST_OR_ELEMENTS);
      if (index) {
        const position = o.i32(31).sub(bits.clz()).when(last, bits.ctz());
        o.setRegister(RCX, 32, position.when(bits, count));
      } else {
        const elements = maskOfBits(o, bits, 16).when(control.and(WORDS), maskOfBits(o, bits, 8));
        o.setXmm(0, elements.when(last, zeroExtended(o, bits)));
      }
      const none = o.i32(0);
      o.setFlags({
        c: bits.ne(0),
        z: lengthB.ltU(count),
        s: lengthA.ltU(count),
        o: bits.and(1),
        a: none,
        p: none,
      });
    },
  });
}

/** CRC-32C of a remainder (i32) and a datum of 8, 16, 32 (i32) or 64 bits. */
const CRC = Object.fromEntries(
  ([8, 16, 32, 64] as const).map((width) => [
    width,
    declareFunction(`crc32c${width}`, {
      in: "wasm",
      params: ["i32", width === 64 ? "i64" : "i32"],
      result: "i32",
    }),
  ]),
) as Record<number, string>;

const CRC32 = instruction("crc32", {
  spec: "SDM 2, CRC32",
  forms: ["F2 0F 38 F0 /r Gy,Eb", "F2 0F 38 F1 /r Gy,Ev"],
  feature: "sse4_2",
  meaning(o, dst, src) {
    const data = o.get(src);
    const result = o.call(CRC[src.width] as string, o.get(dst).wrap(), data);
    o.put(dst, dst.width === 64 ? result.extendU() : result);
  },
});

export const SSE_STRING: readonly Instruction[] = [
  stringCompare("pcmpestrm", "60"),
  stringCompare("pcmpestri", "61"),
  stringCompare("pcmpistrm", "62"),
  stringCompare("pcmpistri", "63"),
  CRC32,
];
