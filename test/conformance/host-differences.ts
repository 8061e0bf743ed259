/**
 * Where processors may differ and this host's does: what the manuals leave to the implementation, and where makers
 * disagree. Ours follows the SDM, and where that is silent or its maker's processors agree on something else, these,
 * because CPUID says that it is one of them. Tests that come to such a point compare less, or nothing.
 */
import type { Decoded } from "../../src/cpu/decode/decoder.ts";
import { RCX, RDI, RSI } from "../../src/isa/semantics.ts";
import type { Vendor } from "./native/features.ts";
import { FIELD, FX, NO_VECTOR, PLACE, segmentBase } from "./record.ts";

/** Of bytes: offset of the first, and of the one behind the last. */
export type Stretch = readonly [from: number, to: number];

/** What is not compared. */
export interface Leniency {
  /** The test is of no use. */
  readonly skip?: boolean;
  /** Bits of RFLAGS. */
  readonly flags?: number;
  /** Bits of the x87 status word. */
  readonly status?: number;
  /** Parts of the memory operand. */
  readonly operand?: readonly Stretch[];
  /** Parts of the stack, as offsets from the stack pointer before the test. */
  readonly stack?: readonly Stretch[];
  /** Memory as a whole: an image was written in some order. */
  readonly partial?: boolean;
  /** Of several faults, which one comes first. */
  readonly anyFault?: boolean;
  /** Whose access to memory that the other leaves alone may fault: then nothing is compared. */
  readonly reachesFarther?: "host" | "guest";
  /** The upper halves of these general registers. */
  readonly upperHalves?: readonly number[];
  /** The x87 and MMX state. */
  readonly x87?: boolean;
  /** The last units of x87 registers; "underflow": and whether they are scaled, as an unmasked underflow's result is. */
  readonly lastUnits?: "rounding" | "underflow";
  /** Which NaN lanes of the destination with so many bits are, where both have one. */
  readonly anyNan?: 32 | 64;
  /** Lanes of the destination are approximations with 12 bits that count. */
  readonly approximate?: "packed" | "scalar";
}

export interface Situation {
  readonly vendor: Vendor;
  readonly decoded: Decoded;
  /** Linear address of the memory operand, where there is one. */
  readonly address: bigint | undefined;
  /** The state before, and those afterwards. */
  readonly input: DataView;
  readonly host: DataView;
  readonly guest: DataView;
}

const EXACT: Leniency = {};
const C1 = 0x200;
/** The x87 status word's underflow, error summary and busy bit. */
const UE = 0x10;
const ES = 0x80;
const BUSY = 0x8000;
const STATUS_FLAGS = 0x8d5;
const BREAKPOINT = 3;

/** Pointers and opcode; MXCSR_MASK; from 416 on nothing is defined. */
const FXSAVE = [
  [FX.opcode, FX.mxcsr],
  [FX.mxcsrMask, FX.st],
  [416, 512],
] as const;

/** Instruction and data pointers, opcode and their selectors, which AMD keeps only with a pending exception. */
const POINTERS: Readonly<Record<string, (size: number) => readonly (readonly [number, number])[]>> = {
  fnstenv: (size) => (size === 16 ? [[6, 14]] : [[12, 28]]),
  fnsave: (size) => (size === 16 ? [[6, 14]] : [[12, 28]]),
  fxsave: () => FXSAVE,
  fxsave64: () => FXSAVE,
};
/** Stores of ST(0). */
const STORE = /^(fb?stp|fst|fistt?p?)$/;
const IMAGES = /^(fnstenv|fldenv|fnsave|frstor|fxsave|fxrstor)/;

export function leniencyFor(situation: Situation): Leniency {
  const { vendor, decoded, host } = situation;
  const { name } = decoded.form.instruction;
  const vector = host.getUint32(FIELD.vector, true);
  const faulted = vector !== BREAKPOINT && vector !== NO_VECTOR;
  const pointers = POINTERS[name];
  if (pointers && !faulted) return { operand: pointers(decoded.operandSize) };
  if (IMAGES.test(name) && faulted) return { partial: true, anyFault: true };
  // The target may not be canonical, the stack not writable. Intel's processors push before they look at the target.
  if (name === "call") {
    const pushed: Stretch = [-decoded.operandSize / 8, 0];
    return { anyFault: true, ...(faulted && vendor !== "amd" ? { stack: [pushed] } : {}) };
  }
  const approximation = /^(rcp|rsqrt)(ps|ss)$/.exec(name);
  if (approximation) return { approximate: approximation[2] === "ps" ? "packed" : "scalar" };
  // Less than one unit off, as the manual promises; that the last bit differs, its rounding and C1 follow from that.
  if (/^(f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos)$/.test(name)) {
    return atUnderflow(situation)
      ? { lastUnits: "underflow", status: C1 | UE | unmasked(situation, UE) }
      : { lastUnits: "rounding", status: C1 };
  }
  // C1 is left alone by both makers' processors where the SDM clears it.
  if (/^fu?comip?$/.test(name)) return { status: C1 };
  // The address must be canonical also before the bit number, or the segment's base, is added.
  if (/^(bt[src]?|maskmov.*)$/.test(name) && faulted) return { anyFault: true, x87: true };
  // Registers that came before the fault may be changed.
  if (name.startsWith("popa") && faulted) return { skip: true };
  return vendor === "amd" ? onAmd(situation, faulted) : elsewhere(situation, faulted);
}

/** What pending exceptions add to the x87 status word, where `exception` is not masked. */
function unmasked({ input }: Situation, exception: number): number {
  return input.getUint16(FIELD.fx + FX.control, true) & exception ? 0 : ES | BUSY;
}

/**
 * Whether the results differ, and one is at most the smallest normal number: then its last unit decides whether it has
 * underflowed.
 */
function atUnderflow({ decoded, host, guest }: Situation): boolean {
  const at = FIELD.fx + FX.st + (/^(fsincos|fptan)$/.test(decoded.form.instruction.name) ? 16 : 0);
  const exponents = [host, guest].map((state) => state.getUint16(at + 8, true) & 0x7fff);
  return host.getBigUint64(at, true) !== guest.getBigUint64(at, true) && Math.min(...exponents) <= 1;
}

/** What AMD processors do that ours does not. */
function onAmd({ decoded, address, input, guest }: Situation, faulted: boolean): Leniency {
  const { name, unit, repeat } = decoded.form.instruction;
  // The x87 state becomes that of MMX also where the instruction faults later.
  if (unit === "mmx" && faulted) return { x87: true };
  // Whether memory can be written is found out also where an unmasked exception prevents the store.
  if (STORE.test(name) && address !== undefined) {
    return guest.getUint16(FIELD.fx + FX.status, true) & ES ? { reachesFarther: "host" } : EXACT;
  }
  // Operands in memory need no alignment.
  if (name.startsWith("sha") && address !== undefined && address % 16n !== 0n) return { skip: true };
  // There are no pointers with offsets of 64 bits.
  if (/^l[sfg]s$/.test(name) && decoded.operandSize === 64) return { skip: true };
  // 32 bits are read also where 16 are used.
  if (name === "movsxd" && decoded.operandSize === 16 && faulted) return { skip: true };
  if (repeat !== undefined && decoded.repeat !== "none") return repeatedOnAmd(decoded, input, faulted);
  return EXACT;
}

function repeatedOnAmd({ form, addressSize }: Decoded, input: DataView, faulted: boolean): Leniency {
  // Flags are those of the last comparison; the SDM has them as before the instruction.
  const flags = form.instruction.repeat === "repe" && faulted ? { flags: STATUS_FLAGS } : {};
  // Without a first element that is done, 32-bit addresses leave the upper halves of count and pointers alone.
  const none = faulted || input.getUint32(FIELD.gpr + 8 * RCX, true) === 0;
  return addressSize === 32 && none ? { ...flags, upperHalves: [RCX, RSI, RDI] } : flags;
}

/** Whether repeated MOVS reads through one mapping of the window what it writes through the other. */
function movesOverItself({ decoded, input }: Situation): boolean {
  const { form, repeat, addressSize, operandSize, segment } = decoded;
  if (form.instruction.repeat !== "rep" || !form.instruction.name.startsWith("movs") || repeat === "none") return false;
  const register = (index: number) => BigInt.asUintN(addressSize, input.getBigUint64(FIELD.gpr + 8 * index, true));
  const source = register(RSI) + segmentBase(64, segment);
  const destination = register(RDI);
  const distance = Math.abs(windowOffset(source) - windowOffset(destination));
  const size = form.instruction.name === "movsb" ? 1 : operandSize / 8;
  return source >= PLACE.alias !== destination >= PLACE.alias && BigInt(distance) < register(RCX) * BigInt(size);
}

/** Whether FSCALE by zero, or FPREM by infinity, has a denormal in ST(0) and underflow is not masked. */
function leavesDenormal({ decoded, input }: Situation): boolean {
  const { name } = decoded.form.instruction;
  const exponent = (i: number) => input.getUint16(FIELD.fx + FX.st + 16 * i + 8, true) & 0x7fff;
  const divisor = { fscale: 0, fprem: 0x7fff, fprem1: 0x7fff }[name];
  if (divisor !== exponent(1) || exponent(0) !== 0) return false;
  const zero = input.getBigUint64(FIELD.fx + FX.st + 16, true) === 0n;
  return (name !== "fscale" || zero) && (input.getUint16(FIELD.fx + FX.control, true) & UE) === 0;
}

/** Whether an MMX register goes to memory, if the operand is there. */
function storesMmx({ form }: Decoded): boolean {
  return form.operands[1]?.file === "mmx" && form.operands[0]?.memory !== "never";
}

/** What Intel's processors do that ours does not. */
function elsewhere(situation: Situation, faulted: boolean): Leniency {
  const { decoded } = situation;
  const { name } = decoded.form.instruction;
  const bytes = decoded.operandSize / 8;
  // Bytes that are not written need not be writable; ours, like AMD's processors, looks at all of them.
  if (name.startsWith("maskmov")) return { reachesFarther: "guest" };
  // A selector is pushed as 16 bits, and the bytes above it are left alone; the SDM allows that as well as zeros.
  if (/^push [c-gs]s$/.test(name) && bytes > 2) return { stack: [[2 - bytes, 0]], reachesFarther: "guest" };
  // Only the 16 bits of the selector are read.
  if (/^pop [defgs]s$/.test(name) && bytes > 2) return { reachesFarther: "guest" };
  // Of 80 bits that two pages share, those in the first may be written though the second cannot. @spec SDM 3A, 9.1.1
  if (/^fb?stp$/.test(name) && decoded.form.operands[0]?.memoryWidth === 80 && faulted) return { operand: [[0, 10]] };
  // The x87 state becomes that of MMX also where these fault later.
  if (faulted && (/^cvt.*pi/.test(name) || (/^mov/.test(name) && storesMmx(decoded)))) return { x87: true };
  // Many elements are moved at once where linear addresses do not overlap, even if they are of the same memory.
  if (movesOverItself(situation)) return { partial: true };
  // Where it is ST(0) as it was, a denormal result is no underflow.
  if (leavesDenormal(situation)) return { x87: true };
  // Each lane is summed in an order of its own, which shows where several operands are NaNs.
  if (name === "dpps" || name === "dppd") return { anyNan: name === "dpps" ? 32 : 64 };
  return EXACT;
}

/** The part of the window that stands at `address`, as an offset. */
export function windowOffset(address: bigint): number {
  return Number(address - (address >= PLACE.alias ? PLACE.alias : BigInt(PLACE.window)));
}
