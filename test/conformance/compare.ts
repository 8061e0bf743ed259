/** Two states after a test held against each other. */
import type { Form } from "../../src/isa/instruction.ts";
import { resolveWidth } from "../../src/isa/operand.ts";
import type { Decoded } from "../../src/cpu/decode/decoder.ts";
import { type Bits, FIELD, FX, NO_VECTOR, PLACE } from "./record.ts";
import { undefinedAfter } from "./undefined.ts";

/** A part of the state in which the processors differ. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

const GPR_NAMES = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const SELECTOR_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"];
const RESUME_FLAG = 0x1_0000;
const TRAP_FLAG = 0x100;
const VECTOR = { debug: 1, breakpoint: 3, generalProtection: 13, pageFault: 14 } as const;
const ERROR_CODE = { present: 1, fetch: 0x10 } as const;
/** Exceptions that push an error code. */
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);

export interface Outcome {
  readonly vector: number;
  readonly errorCode: number;
  readonly rip: bigint;
  readonly cr2: bigint;
}

/** What the host's signal means: the breakpoint after the instruction, or a fault in fetching the next one, is completion. */
export function hostOutcome(input: DataView, output: DataView): Outcome {
  const outcome = guestOutcome(output);
  const start = input.getBigUint64(FIELD.rip, true);
  const { vector, rip } = outcome;
  const completed = (at: bigint): Outcome => ({ vector: NO_VECTOR, errorCode: 0, rip: at, cr2: 0n });
  if (vector === VECTOR.breakpoint && rip - 1n !== start) return completed(rip - 1n);
  if (rip === start) return outcome;
  if (vector === VECTOR.pageFault && outcome.errorCode & ERROR_CODE.fetch) return completed(rip);
  if (vector === VECTOR.generalProtection) return completed(rip);
  return outcome;
}

export function guestOutcome(output: DataView): Outcome {
  return {
    vector: output.getUint32(FIELD.vector, true),
    errorCode: output.getUint32(FIELD.errorCode, true),
    rip: output.getBigUint64(FIELD.rip, true),
    cr2: output.getBigUint64(FIELD.cr2, true),
  };
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

const VECTOR_NAMES = ["#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "", "#MF", "#AC", "#MC", "#XM"];

function outcomeText({ vector, errorCode, rip, cr2 }: Outcome): string {
  if (vector === NO_VECTOR) return `goes on at ${hex(rip)}`;
  const code = WITH_ERROR_CODE.has(vector) ? `(${hex(errorCode)})` : "";
  return `${VECTOR_NAMES[vector] ?? vector}${code} at ${hex(rip)}${vector === VECTOR.pageFault ? `, address ${hex(cr2)}` : ""}`;
}

function sameOutcome(expected: Outcome, got: Outcome): boolean {
  if (expected.vector !== got.vector || expected.rip !== got.rip) return false;
  if (!WITH_ERROR_CODE.has(expected.vector)) return true;
  if (expected.vector !== VECTOR.pageFault) return expected.errorCode === got.errorCode;
  // Linux does not tell programs which kernel pages are there.
  const hidden = expected.cr2 >= 0x8000_0000_0000n ? ERROR_CODE.present : 0;
  return (expected.errorCode | hidden) === (got.errorCode | hidden) && expected.cr2 === got.cr2;
}

/** What is not compared: bits of the status word and of memory that differ between processors by design. */
export interface Leniency {
  /** Bits of the x87 status word. */
  readonly status: number;
  /** Bytes of the window, from the first to before the second. */
  readonly memory: readonly (readonly [number, number])[];
}

export interface Comparison {
  readonly bits: Bits;
  readonly form: Form;
  readonly decoded: Decoded;
  readonly input: DataView;
  readonly leniency: Leniency;
}

/** Differences between what the host's processor did and what ours did. */
export function compare({ bits, form, decoded, input, leniency }: Comparison, host: DataView, guest: DataView): Difference[] {
  const differences: Difference[] = [];
  const expectedOutcome = hostOutcome(input, host);
  const gotOutcome = guestOutcome(guest);
  if (!sameOutcome(expectedOutcome, gotOutcome)) {
    differences.push({ what: "outcome", expected: outcomeText(expectedOutcome), got: outcomeText(gotOutcome) });
  }
  const completed = expectedOutcome.vector === NO_VECTOR;
  const first = form.operands[0];
  const operandWidth = first ? resolveWidth(first.width, decoded.operandSize) : decoded.operandSize;
  const unsettled = completed
    ? undefinedAfter({ form, operandWidth, immediate: decoded.immediate }, input)
    : { flags: 0, result: false };
  if (unsettled.result) return differences;
  const check = (what: string, expected: bigint | number, got: bigint | number) => {
    if (expected !== got) differences.push({ what, expected: hex(expected), got: hex(got) });
  };
  const same64 = (what: string, at: number, mask = 0xffff_ffff_ffff_ffffn) =>
    check(what, host.getBigUint64(at, true) & mask, guest.getBigUint64(at, true) & mask);
  const same16 = (what: string, at: number, ignored = 0) =>
    check(what, host.getUint16(at, true) & ~ignored, guest.getUint16(at, true) & ~ignored);

  if (!sameBytes(host, guest, FIELD.gpr, 128)) {
    // The upper halves mean nothing in 32-bit code.
    const mask = bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
    for (let i = 0; i < (bits === 64 ? 16 : 8); i++) {
      same64(bits === 64 ? (GPR_NAMES[i] as string) : (GPR_NAMES[i] as string).replace("r", "e"), FIELD.gpr + 8 * i, mask);
    }
  }
  same64("rflags", FIELD.rflags, ~BigInt(unsettled.flags | RESUME_FLAG | TRAP_FLAG) & 0xffff_ffffn);
  for (let i = 0; i < 6; i++) same16(SELECTOR_NAMES[i] as string, FIELD.selectors + 2 * i);
  const fx = FIELD.fx;
  same16("x87 control word", fx + FX.control);
  same16("x87 status word", fx + FX.status, leniency.status);
  same16("x87 tags", fx + FX.tag, 0xff00);
  check("mxcsr", host.getUint32(fx + FX.mxcsr, true), guest.getUint32(fx + FX.mxcsr, true));
  if (!sameBytes(host, guest, fx + FX.st, 384)) {
    for (let i = 0; i < 8; i++) checkBytes(differences, `st(${i})`, host, guest, fx + FX.st + 16 * i, 10);
    for (let i = 0; i < 16; i++) checkBytes(differences, `xmm${i}`, host, guest, fx + FX.xmm + 16 * i, 16);
  }
  if (!sameBytes(host, guest, FIELD.memory, PLACE.windowSize)) checkMemory(differences, host, guest, leniency.memory);
  return differences;
}

function sameBytes(a: DataView, b: DataView, at: number, size: number): boolean {
  const view = (data: DataView) => Buffer.from(data.buffer, data.byteOffset + at, size);
  return view(a).equals(view(b));
}

/** Bytes as one little-endian number, in hexadecimal. */
function number(data: DataView, at: number, size: number): string {
  let text = "";
  for (let i = size - 1; i >= 0; i--) text += data.getUint8(at + i).toString(16).padStart(2, "0");
  return text;
}

function checkBytes(differences: Difference[], what: string, host: DataView, guest: DataView, at: number, size: number): void {
  if (sameBytes(host, guest, at, size)) return;
  differences.push({ what, expected: number(host, at, size), got: number(guest, at, size) });
}

/** The first stretch of memory that differs. */
function checkMemory(differences: Difference[], host: DataView, guest: DataView, ignored: Leniency["memory"]): void {
  const differs = (i: number) =>
    host.getUint8(FIELD.memory + i) !== guest.getUint8(FIELD.memory + i) && !ignored.some(([from, to]) => i >= from && i < to);
  let first = 0;
  while (first < PLACE.windowSize && !differs(first)) first++;
  if (first === PLACE.windowSize) return;
  const size = Math.min(16, PLACE.windowSize - first);
  const at = FIELD.memory + first;
  differences.push({
    what: `memory at ${hex(PLACE.window + first)}`,
    expected: number(host, at, size),
    got: number(guest, at, size),
  });
}
