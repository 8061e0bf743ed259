/**
 * FXSAVE and FXRSTOR. The x87 pointers are always saved and restored, as Intel's processors do; AMD's only do it while
 * an exception is pending. FXSAVE without CR4.OSFXSR and EFER.FFXSR's faster form are not told apart: the XMM registers
 * are always included. @spec SDM 2, FXSAVE, tables 3-43 to 3-47; SDM 1, 10.5
 */
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";
import { statusWord } from "./x87-control.ts";
import { FPU_REGISTER, FPU_SET_CONTROL, FPU_SET_STATUS, fpuOf } from "./x87-functions.ts";
import { requireWritable } from "./x87-operand.ts";

const MXCSR_MASK = 0xffff;
/** The whole image must be writable, also its unused end. */
const IMAGE_BYTES = 512;
const POINTERS = 8;
const MXCSR = 24;
const REGISTERS = 32;
const XMM = 160;

const xmmCount = (o: Semantics): number => (o.long ? 16 : 8);

/** An x87 pointer in memory: 64 bits, or an offset of 32 and a selector of 16. */
function storePointer(
  o: Semantics,
  dst: Operand,
  at: number,
  wide: boolean,
  offset: "fpuIp" | "fpuDp",
  selector: "fpuCs" | "fpuDs",
): void {
  const low = o.state(offset).and(0xffff_ffffn);
  o.storeAt(dst, at, 64, wide ? o.state(offset) : low.or(o.state(selector).and(0xffff).extendU().shl(32)));
}

function save(o: Semantics, dst: Operand, wide: boolean): void {
  o.checkAligned(dst, 16);
  requireWritable(o, dst, IMAGE_BYTES);
  const control = o.state("fpuControl").or(statusWord(o).shl(16));
  const tags = o.state("fpuTag").not().and(0xff).or(o.state("fpuOpcode").shl(16));
  o.storeAt(dst, 0, 64, control.extendU().or(tags.extendU().shl(32)));
  storePointer(o, dst, POINTERS, wide, "fpuIp", "fpuCs");
  storePointer(o, dst, POINTERS + 8, wide, "fpuDp", "fpuDs");
  o.storeAt(
    dst,
    MXCSR,
    64,
    o
      .state("mxcsr")
      .extendU()
      .or(BigInt(MXCSR_MASK) << 32n),
  );
  for (let i = 0; i < 8; i++) {
    const register = o.call(FPU_REGISTER, fpuOf(o), i);
    o.storeAt(dst, REGISTERS + 16 * i, 64, o.loadState("i64", register));
    o.storeAt(dst, REGISTERS + 16 * i + 8, 64, o.loadState("i32.16u", register, 8).extendU());
  }
  for (let i = 0; i < xmmCount(o); i++) o.storeAt(dst, XMM + 16 * i, 128, o.xmm(i));
}

function restore(o: Semantics, src: Operand, wide: boolean): void {
  o.checkAligned(src, 16);
  const first = o.loadAt(src, 0, 64);
  const [ip, dp] = [o.loadAt(src, POINTERS, 64), o.loadAt(src, POINTERS + 8, 64)];
  const mxcsr = o.loadAt(src, MXCSR, 32);
  o.raiseIf(mxcsr.and(~MXCSR_MASK), "GP", 0);
  const registers = Array.from({ length: 8 }, (_, i) => ({
    significand: o.loadAt(src, REGISTERS + 16 * i, 64),
    exponent: o.loadAt(src, REGISTERS + 16 * i + 8, 16),
  }));
  const xmm = Array.from({ length: xmmCount(o) }, (_, i) => o.loadAt(src, XMM + 16 * i, 128));

  const [control, status] = [first.wrap(), first.shrU(16).wrap().and(0xffff)];
  const tags = first.shrU(32).wrap();
  o.setState("fpuTop", status.shrU(11).and(7));
  o.setState("fpuTag", tags.not().and(0xff));
  o.setState("fpuOpcode", tags.shrU(16).and(0x7ff));
  o.setState("fpuIp", wide ? ip : ip.and(0xffff_ffffn));
  o.setState("fpuDp", wide ? dp : dp.and(0xffff_ffffn));
  o.setState("fpuCs", wide ? 0 : ip.shrU(32).wrap().and(0xffff));
  o.setState("fpuDs", wide ? 0 : dp.shrU(32).wrap().and(0xffff));
  o.call(FPU_SET_STATUS, fpuOf(o), status);
  o.call(FPU_SET_CONTROL, fpuOf(o), control);
  for (const [i, { significand, exponent }] of registers.entries()) {
    const register = o.call(FPU_REGISTER, fpuOf(o), i);
    o.storeState("i64", register, significand);
    o.storeState("i32.16", register, exponent, 8);
  }
  o.setState("mxcsr", mxcsr);
  for (const [i, value] of xmm.entries()) o.setXmm(i, value);
}

const fxsave = (name: string, wide: boolean): Instruction =>
  instruction(name, {
    spec: "SDM 2, FXSAVE",
    forms: [`NP 0F AE /0 M ; ${wide ? "w1" : "w0"}`],
    feature: "fxsr",
    unit: "x87-nowait",
    meaning: (o, dst) => save(o, dst, wide),
  });

const fxrstor = (name: string, wide: boolean): Instruction =>
  instruction(name, {
    spec: "SDM 2, FXRSTOR",
    forms: [`NP 0F AE /1 M ; ${wide ? "w1" : "w0"}`],
    feature: "fxsr",
    unit: "x87-nowait",
    meaning: (o, src) => restore(o, src, wide),
  });

export const X87_FXSAVE: readonly Instruction[] = [
  fxsave("fxsave", false),
  fxsave("fxsave64", true),
  fxrstor("fxrstor", false),
  fxrstor("fxrstor64", true),
];
