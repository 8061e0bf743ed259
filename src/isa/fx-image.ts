/**
 * The image that FXSAVE and XSAVE make of x87 and SSE state. @spec SDM 1, 10.5.1 and 13.4.1; SDM 2, FXSAVE
 *
 * What restores a part of it changes registers while it reads: the whole image must have been found to be readable.
 */
import type { Operand, Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import { statusWord } from "./x87-control.ts";
import { FPU_SET_CONTROL, FPU_SET_STATUS } from "./x87-functions.ts";

/** Offsets in the image. */
const INSTRUCTION_POINTER = 8;
const DATA_POINTER = 16;
const MXCSR = 24;
const X87_REGISTERS = 32;
const XMM_REGISTERS = 160;
/** Bytes that it has in all, with 96 that are left to software. */
export const FX_IMAGE_SIZE = 512;

/** Bits of MXCSR that there are: no misaligned-access bit 17. */
const MXCSR_MASK = 0xffff;

const xmmCount = (o: Semantics): number => (o.long ? 16 : 8);

/** Runs `each` with the address of ST(i) and the offset of its image, for all eight. */
function forEachRegister(o: Semantics, each: (register: Value, at: Value) => void): void {
  const number = o.variable("i32", 0);
  o.loop((leaveIf) => {
    const i = number.get();
    const register = o.state("fpuTop").add(i).and(7).shl(4).add(o.slot("fpu"));
    each(register, i.shl(4).add(X87_REGISTERS).extendU());
    number.set(i.add(1));
    leaveIf(number.get().eq(8));
  });
}

/** A pointer has 64 bits (`wide`), or an offset of 32 and a selector of 16. */
export function saveX87(o: Semantics, image: Operand, wide: boolean): void {
  const control = o.state("fpuControl").or(statusWord(o).shl(16));
  const tags = o.state("fpuTag").not().and(0xff).or(o.state("fpuOpcode").shl(16));
  o.storeAt(image, 0, 64, control.extendU().or(tags.extendU().shl(32)));
  const pointer = (at: number, offset: "fpuIp" | "fpuDp", selector: "fpuCs" | "fpuDs") => {
    const narrow = o.state(offset).and(0xffff_ffffn).or(o.state(selector).and(0xffff).extendU().shl(32));
    o.storeAt(image, at, 64, wide ? o.state(offset) : narrow);
  };
  pointer(INSTRUCTION_POINTER, "fpuIp", "fpuCs");
  pointer(DATA_POINTER, "fpuDp", "fpuDs");
  forEachRegister(o, (register, at) => {
    o.storeAt(image, at, 64, o.loadState("i64", register));
    o.storeAt(image, at.add(8), 64, o.loadState("i32.16u", register, 8).extendU());
  });
}

export function restoreX87(o: Semantics, image: Operand, wide: boolean): void {
  const words = o.loadAt(image, 0, 64);
  const status = words.shrU(16).wrap().and(0xffff);
  const tags = words.shrU(32).wrap();
  o.setState("fpuTop", status.shrU(11).and(7));
  o.setState("fpuTag", tags.not().and(0xff));
  o.setState("fpuOpcode", tags.shrU(16).and(0x7ff));
  const pointer = (at: number, offset: "fpuIp" | "fpuDp", selector: "fpuCs" | "fpuDs") => {
    const value = o.loadAt(image, at, 64);
    o.setState(offset, wide ? value : value.and(0xffff_ffffn));
    o.setState(selector, wide ? 0 : value.shrU(32).wrap().and(0xffff));
  };
  pointer(INSTRUCTION_POINTER, "fpuIp", "fpuCs");
  pointer(DATA_POINTER, "fpuDp", "fpuDs");
  o.call(FPU_SET_STATUS, o.slot("fpu"), status);
  o.call(FPU_SET_CONTROL, o.slot("fpu"), words.wrap());
  forEachRegister(o, (register, at) => {
    o.storeState("i64", register, o.loadAt(image, at, 64));
    o.storeState("i32.16", register, o.loadAt(image, at.add(8), 16), 8);
  });
}

export function saveMxcsr(o: Semantics, image: Operand): void {
  o.storeAt(
    image,
    MXCSR,
    64,
    o
      .state("mxcsr")
      .extendU()
      .or(BigInt(MXCSR_MASK) << 32n),
  );
}

/** The image's MXCSR; #GP(0) where it sets reserved bits. */
export function imageMxcsr(o: Semantics, image: Operand): Value {
  const mxcsr = o.loadAt(image, MXCSR, 32);
  o.raiseIf(mxcsr.and(~MXCSR_MASK), "GP", 0);
  return mxcsr;
}

export function saveXmm(o: Semantics, image: Operand): void {
  for (let i = 0; i < xmmCount(o); i++) o.storeAt(image, XMM_REGISTERS + 16 * i, 128, o.xmm(i));
}

export function restoreXmm(o: Semantics, image: Operand): void {
  for (let i = 0; i < xmmCount(o); i++) o.setXmm(i, o.loadAt(image, XMM_REGISTERS + 16 * i, 128));
}

/** All XMM registers that the mode has become zero. */
export function clearXmm(o: Semantics): void {
  const zero = o.v128(Array.from({ length: 16 }, () => 0));
  for (let i = 0; i < xmmCount(o); i++) o.setXmm(i, zero);
}
