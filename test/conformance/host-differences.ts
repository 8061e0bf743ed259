/**
 * Where processors may differ and this host's does: what the manuals leave to the implementation, and where makers
 * disagree. Ours follows the SDM. Tests that come to such a point compare less, or nothing.
 */
import type { Decoded } from "../../src/cpu/decode/decoder.ts";
import type { Vendor } from "./native/features.ts";
import { FIELD, FX, NO_VECTOR, PLACE } from "./record.ts";

/** What is not compared. */
export interface Leniency {
  /** The test is of no use. */
  readonly skip?: boolean;
  /** Bits of RFLAGS. */
  readonly flags?: number;
  /** Bits of the x87 status word. */
  readonly status?: number;
  /** Parts of the memory operand: offset of the first byte, and of the one behind the last. */
  readonly operand?: readonly (readonly [number, number])[];
  /** Memory as a whole: an image was written in some order. */
  readonly partial?: boolean;
  /** Of several faults, which one comes first. */
  readonly anyFault?: boolean;
  /** The x87 and MMX state. */
  readonly x87?: boolean;
  /** The last units of x87 registers. */
  readonly transcendental?: boolean;
  /** Lanes of the destination are approximations with 12 bits that count. */
  readonly approximate?: "packed" | "scalar";
}

export interface Situation {
  readonly vendor: Vendor;
  readonly decoded: Decoded;
  /** Linear address of the memory operand, where there is one. */
  readonly address: bigint | undefined;
  /** The host's state afterwards. */
  readonly host: DataView;
}

const EXACT: Leniency = {};
const C1 = 0x200;
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
const IMAGES = /^(fnstenv|fldenv|fnsave|frstor|fxsave|fxrstor)/;

export function leniencyFor({ vendor, decoded, address, host }: Situation): Leniency {
  const { name } = decoded.form.instruction;
  const vector = host.getUint32(FIELD.vector, true);
  const faulted = vector !== BREAKPOINT && vector !== NO_VECTOR;
  const pointers = POINTERS[name];
  if (pointers && !faulted) return { operand: pointers(decoded.operandSize) };
  if (IMAGES.test(name) && faulted) return { partial: true, anyFault: true };
  // The target may not be canonical, the stack not writable.
  if (name === "call") return { anyFault: true };
  const approximation = /^(rcp|rsqrt)(ps|ss)$/.exec(name);
  if (approximation) return { approximate: approximation[2] === "ps" ? "packed" : "scalar" };
  // Less than one unit off, as the manual promises; that the last bit differs, its rounding and C1 follow from that.
  if (/^(f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos)$/.test(name)) return { transcendental: true, status: C1 };
  // The address must be canonical also before the bit number, or the segment's base, is added.
  if (/^(bt[src]?|maskmov.*)$/.test(name) && faulted) return { anyFault: true, x87: true };
  // Registers that came before the fault may be changed.
  if (name.startsWith("popa") && faulted) return { skip: true };
  return vendor === "amd" ? onAmd(decoded, address, faulted) : elsewhere(decoded);
}

/** What AMD processors do that ours does not. */
function onAmd(decoded: Decoded, address: bigint | undefined, faulted: boolean): Leniency {
  const { name, unit, repeat } = decoded.form.instruction;
  // The x87 state becomes that of MMX also where the instruction faults later.
  if (unit === "mmx" && faulted) return { x87: true };
  // C1 is left alone where the SDM clears it.
  if (/^fu?comip?$/.test(name)) return { status: C1 };
  // Operands in memory need no alignment.
  if (name.startsWith("sha") && address !== undefined && address % 16n !== 0n) return { skip: true };
  // There are no pointers with offsets of 64 bits.
  if (/^l[sfg]s$/.test(name) && decoded.operandSize === 64) return { skip: true };
  // 32 bits are read also where 16 are used.
  if (name === "movsxd" && decoded.operandSize === 16 && faulted) return { skip: true };
  // Flags are those of the last comparison; the SDM has them as before the instruction.
  if (repeat === "repe" && decoded.repeat !== "none" && faulted) return { flags: STATUS_FLAGS };
  return EXACT;
}

/** What ours does as AMD processors do. */
function elsewhere(decoded: Decoded): Leniency {
  const { name } = decoded.form.instruction;
  // All bytes must be writable, also those that are not written.
  if (name.startsWith("maskmov")) return { skip: true };
  // The upper bytes of the pushed operand are written, too.
  if (/^push [c-g]s$/.test(name)) return { partial: true };
  return EXACT;
}

/** The part of the window that stands at `address`, as an offset. */
export function windowOffset(address: bigint): number {
  return Number(address - (address >= PLACE.alias ? PLACE.alias : BigInt(PLACE.window)));
}
