/** Control and status words written by programs, and the tag word they see. @spec SDM 1, 8.1.3 to 8.1.7 and 8.6 */
import { FPU_SET_CONTROL, FPU_SET_STATUS, FPU_TAG_WORD } from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import {
  BUSY,
  C0,
  C1,
  C2,
  C3,
  ES,
  EXCEPTIONS,
  exponentOf,
  type FpuBodies,
  type FpuCode,
  isUnsupported,
  MAX_EXPONENT,
  SF,
} from "./code.ts";

/** Bits that a program can write; bit 6 always reads 1. */
const CONTROL_BITS = 0x1f3f;
const CONTROL_ONES = 0x40;
const STATUS_BITS = EXCEPTIONS | SF | C0 | C1 | C2 | C3;

/** Writes the status word with ES and B as the exceptions in it and their masks make them. */
function setStatus(c: FpuCode, status: Value, control: Value): void {
  const pending = status.and(control.not()).and(EXCEPTIONS);
  c.setStatus(status.and(STATUS_BITS).or(c.bitsIf(pending.ne(0), ES | BUSY)));
  c.if(
    pending,
    () => c.setPending(true),
    () => c.setPending(false),
  );
}

export const CONTROL: FpuBodies = {
  [FPU_SET_CONTROL](c, word: Value) {
    const control = word.and(CONTROL_BITS).or(CONTROL_ONES);
    c.setControl(control);
    setStatus(c, c.status(), control);
  },

  [FPU_SET_STATUS](c, word: Value) {
    setStatus(c, word, c.control());
  },

  [FPU_TAG_WORD](c) {
    let word: Value = c.i32(0);
    for (let i = 0; i < 8; i++) {
      const pointer = c.fpu.add(16 * i);
      const x = c.read(pointer);
      const special = exponentOf(x).eqz().or(exponentOf(x).eq(MAX_EXPONENT)).or(isUnsupported(x));
      const zero = exponentOf(x).eqz().and(x.m.eqz());
      const kind = c.i32(1).when(zero, special.shl(1));
      word = word.or(
        c
          .i32(3)
          .when(c.isEmpty(pointer), kind)
          .shl(2 * i),
      );
    }
    c.f.return(word);
  },
};
