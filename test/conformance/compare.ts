/** Two states after a test held against each other. */
import type { Decoded, DecodeFailure } from "../../src/cpu/decode/decoder.ts";
import { generalName } from "../../src/isa/register-names.ts";
import { type Leniency, leniencyFor, type Stretch, windowOffset } from "./host-differences.ts";
import { linearAddress, stackAddress } from "./linear-address.ts";
import type { Vendor } from "./native/features.ts";
import { type Bits, FIELD, FX, NO_VECTOR, PLACE } from "./record.ts";
import { undefinedAfter } from "./undefined.ts";

/** A part of the state in which the processors differ. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

/** Segment registers by number; the signal handler has its own CS. */
const SELECTOR_NAMES = { 0: "es", 2: "ss", 3: "ds", 4: "fs", 5: "gs" };
const RESUME_FLAG = 0x1_0000;
const TRAP_FLAG = 0x100;
const LOW_HALF = 0xffff_ffffn;
const VECTOR = { debug: 1, breakpoint: 3, stackFault: 12, generalProtection: 13, pageFault: 14 } as const;
/** From here on Linux says of any page that it is there. */
const KERNEL = 0x7fff_ffff_f000n;
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

const VECTOR_NAMES = [
  "#DE",
  "#DB",
  "NMI",
  "#BP",
  "#OF",
  "#BR",
  "#UD",
  "#NM",
  "#DF",
  "",
  "#TS",
  "#NP",
  "#SS",
  "#GP",
  "#PF",
  "",
  "#MF",
  "#AC",
  "#MC",
  "#XM",
];

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
  const hidden = expected.cr2 >= KERNEL ? ERROR_CODE.present : 0;
  return (expected.errorCode | hidden) === (got.errorCode | hidden) && expected.cr2 === got.cr2;
}

/** Whether one of the processors had a fault of memory that the other has no need to touch. */
export function reachedFarther({ reachesFarther }: Leniency, host: Outcome, guest: Outcome): boolean {
  if (!reachesFarther || sameOutcome(host, guest)) return false;
  const { vector, errorCode } = reachesFarther === "host" ? host : guest;
  const ofSegment = vector === VECTOR.stackFault || vector === VECTOR.generalProtection;
  return vector === VECTOR.pageFault || (ofSegment && errorCode === 0);
}

export interface Comparison {
  readonly bits: Bits;
  /** The instruction, or why it is none. */
  readonly decoded: Decoded | DecodeFailure;
  readonly input: DataView;
  readonly vendor: Vendor;
  /** Compares also what the manual leaves undefined. */
  readonly strict: boolean;
}

/** Differences between what the host's processor did and what ours did. */
export function compare(comparison: Comparison, host: DataView, guest: DataView): Difference[] {
  const { bits, input, vendor, strict } = comparison;
  const decoded = typeof comparison.decoded === "string" ? undefined : comparison.decoded;
  const address = decoded && linearAddress(decoded, input, bits);
  const leniency = decoded ? leniencyFor({ vendor, decoded, address, input, host, guest }) : {};
  if (leniency.skip) return [];
  const expected = hostOutcome(input, host);
  const got = guestOutcome(guest);
  if (reachedFarther(leniency, expected, got)) return [];
  const completed = expected.vector === NO_VECTOR;
  const unsettled = completed && decoded && !strict ? undefinedAfter(decoded, input) : { flags: 0, result: false };
  const outcomes = outcomeDifferences(leniency, expected, got);
  if (unsettled.result) return outcomes;
  const last = { bits, leniency, flags: unsettled.flags, input, destination: decoded?.reg, address };
  return [...outcomes, ...stateDifferences(last, host, guest)];
}

/** In what they differ where the one ends as `expected`, the other as `got`. */
export function outcomeDifferences(leniency: Leniency, expected: Outcome, got: Outcome): Difference[] {
  const bothFault = expected.vector !== NO_VECTOR && got.vector !== NO_VECTOR;
  if ((leniency.anyFault && bothFault) || sameOutcome(expected, got)) return [];
  return [{ what: "outcome", expected: outcomeText(expected), got: outcomeText(got) }];
}

/** What is known of the last instruction that ran. */
export interface LastInstruction {
  readonly bits: Bits;
  readonly leniency: Leniency;
  /** Bits of RFLAGS that are not compared. */
  readonly flags: number;
  /** The state before it. */
  readonly input: DataView;
  /** Its ModR/M byte's register. */
  readonly destination: number | undefined;
  /** The linear address of its operand. */
  readonly address: bigint | undefined;
}

/** In what registers, flags and memory differ. */
export function stateDifferences(last: LastInstruction, host: DataView, guest: DataView): Difference[] {
  const { bits, leniency, flags, input, destination, address } = last;
  const differences: Difference[] = [];
  const check = (what: string, expected: bigint | number, got: bigint | number) => {
    if (expected !== got) differences.push({ what, expected: hex(expected), got: hex(got) });
  };
  const same64 = (what: string, at: number, mask = 0xffff_ffff_ffff_ffffn) =>
    check(what, host.getBigUint64(at, true) & mask, guest.getBigUint64(at, true) & mask);
  const same16 = (what: string, at: number, ignored = 0) =>
    check(what, host.getUint16(at, true) & ~ignored, guest.getUint16(at, true) & ~ignored);

  if (!sameBytes(host, guest, FIELD.gpr, 128)) {
    // The upper halves mean nothing in compatibility mode.
    const mask = bits === 64 ? 0xffff_ffff_ffff_ffffn : LOW_HALF;
    for (let i = 0; i < (bits === 64 ? 16 : 8); i++) {
      const compared = leniency.upperHalves?.includes(i) ? LOW_HALF : mask;
      same64(generalName(i, bits === 64 ? 64 : 32, true), FIELD.gpr + 8 * i, compared);
    }
  }
  same64("rflags", FIELD.rflags, ~BigInt(flags | (leniency.flags ?? 0) | RESUME_FLAG | TRAP_FLAG) & 0xffff_ffffn);
  for (const [i, name] of Object.entries(SELECTOR_NAMES)) {
    const [expected, got] = [host, guest].map((state) => state.getUint16(FIELD.selectors + 2 * Number(i), true)) as [
      number,
      number,
    ];
    // Coming back from the kernel makes null selectors 0.
    if (expected !== got && (expected > 3 || got > 3)) check(name, expected, got);
  }
  const fx = FIELD.fx;
  if (!leniency.x87) {
    same16("x87 control word", fx + FX.control);
    same16("x87 status word", fx + FX.status, leniency.status ?? 0);
    same16("x87 tags", fx + FX.tag, 0xff00);
  }
  check("mxcsr", host.getUint32(fx + FX.mxcsr, true), guest.getUint32(fx + FX.mxcsr, true));
  if (!sameBytes(host, guest, fx + FX.st, 384)) {
    for (let i = 0; i < 8; i++) {
      const at = fx + FX.st + 16 * i;
      if (leniency.x87 || (leniency.lastUnits && nearly(host, guest, at, leniency.lastUnits))) continue;
      checkBytes(differences, `st(${i})`, host, guest, at, 10);
    }
    for (let i = 0; i < 16; i++) {
      const at = fx + FX.xmm + 16 * i;
      if (leniency.approximate && i === destination && approximately(host, guest, at, leniency.approximate)) continue;
      if (leniency.anyNan && i === destination && sameButNans(host, guest, at, leniency.anyNan)) continue;
      checkBytes(differences, `xmm${i}`, host, guest, at, 16);
    }
  }
  if (!leniency.partial && !sameBytes(host, guest, FIELD.memory, PLACE.windowSize)) {
    checkMemory(differences, host, guest, ignoredMemory(leniency, address, stackAddress(input, bits)));
  }
  return differences;
}

function sameBytes(a: DataView, b: DataView, at: number, size: number): boolean {
  const view = (data: DataView) => Buffer.from(data.buffer, data.byteOffset + at, size);
  return view(a).equals(view(b));
}

/** Bytes as one little-endian number, in hexadecimal. */
function number(data: DataView, at: number, size: number): string {
  let text = "";
  for (let i = size - 1; i >= 0; i--)
    text += data
      .getUint8(at + i)
      .toString(16)
      .padStart(2, "0");
  return text;
}

function checkBytes(
  differences: Difference[],
  what: string,
  host: DataView,
  guest: DataView,
  at: number,
  size: number,
): void {
  if (sameBytes(host, guest, at, size)) return;
  differences.push({ what, expected: number(host, at, size), got: number(guest, at, size) });
}

/** Largest difference of two approximations, relative to them: each is off by up to 1.5 * 2^-12. @spec SDM 2, RCPPS */
const TOLERANCE = 3 / 4096;
/** The largest approximation that may be flushed to zero. */
const SMALLEST = 2 ** -126 * (1 + TOLERANCE);

/** Whether the lanes that are approximations are near enough, and the others equal. */
function approximately(host: DataView, guest: DataView, at: number, lanes: "packed" | "scalar"): boolean {
  for (let lane = 0; lane < 4; lane++) {
    const [a, b] = [host.getFloat32(at + 4 * lane, true), guest.getFloat32(at + 4 * lane, true)];
    // Results below the normal numbers may be zero.
    const near = Math.abs(a - b) <= TOLERANCE * Math.abs(a) || (Math.abs(a - b) <= SMALLEST && a * b >= 0);
    const equal = host.getUint32(at + 4 * lane, true) === guest.getUint32(at + 4 * lane, true);
    if (!equal && !(near && (lane === 0 || lanes === "packed"))) return false;
  }
  return true;
}

/** Whether the lanes of `width` bits are equal, or NaNs both. */
function sameButNans(host: DataView, guest: DataView, at: number, width: 32 | 64): boolean {
  for (let lane = at; lane < at + 16; lane += width / 8) {
    const isNan = (state: DataView) =>
      Number.isNaN(width === 32 ? state.getFloat32(lane, true) : state.getFloat64(lane, true));
    if (!sameBytes(host, guest, lane, width / 8) && !(isNan(host) && isNan(guest))) return false;
  }
  return true;
}

/** What an unmasked underflow adds to the exponent of its result. @spec SDM 1, 8.5.5 */
const SCALE = 24576n << 63n;

/** Whether two numbers of 80 bits are the same but for the last two units. */
function nearly(host: DataView, guest: DataView, at: number, units: "rounding" | "underflow"): boolean {
  const number = (state: DataView) =>
    (BigInt(state.getUint16(at + 8, true)) << 63n) | BigInt.asUintN(63, state.getBigUint64(at, true));
  const difference = number(host) - number(guest);
  const shifts = units === "underflow" ? [0n, SCALE, -SCALE] : [0n];
  return shifts.some((shift) => difference + shift >= -2n && difference + shift <= 2n);
}

/** Stretches of the window that are not compared. */
function ignoredMemory({ operand = [], stack = [] }: Leniency, address: bigint | undefined, top: bigint): Stretch[] {
  const from = (base: bigint, stretches: readonly Stretch[]) =>
    stretches.map(([first, end]): Stretch => [windowOffset(base) + first, windowOffset(base) + end]);
  return [...(address === undefined ? [] : from(address, operand)), ...from(top, stack)];
}

/** The first stretch of memory that differs. */
function checkMemory(differences: Difference[], host: DataView, guest: DataView, ignored: readonly Stretch[]): void {
  const differs = (i: number) =>
    host.getUint8(FIELD.memory + i) !== guest.getUint8(FIELD.memory + i) &&
    !ignored.some(([from, to]) => i >= from && i < to);
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
