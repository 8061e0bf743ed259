/** What decoding, accesses and lookups depend on, brought in line with the registers that make up the processor's mode. */
import { CS, DS, ES, SS } from "../isa/semantics.ts";
import type { Registers } from "./registers.ts";
import {
  CONTEXT,
  CONTEXT_BITS,
  fieldAddress,
  MMU_MODE,
  PAGE_KEY,
  SEGMENT,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB_SIZE,
  TLBS,
} from "./state.ts";
import { watchesData } from "./system/debug-registers.ts";

const ATTRIBUTE_LONG = 0x2000;
const ATTRIBUTE_BIG = 0x4000;
const PROTECTION_ENABLE = 1;
const LONG_MODE_ACTIVE = 0x400;
const VIRTUAL_8086 = 0x20000;
const ALIGNMENT_CHECK = 0x40000;

/** Sets `context`, `mmuMode`, `tlb`, `pageKey` and `watching`; `watches`: whether a debugger watches accesses. */
export function followMode(registers: Registers, watches: boolean): void {
  const user = registers.get32("cpl") === 3;
  const generation = registers.get32(user ? "userGeneration" : "supervisorGeneration");
  registers.set32("context", (generation << CONTEXT_BITS) | contextBits(registers, user));
  const watching = watchesData(registers) || watches;
  registers.set32("watching", watching ? 1 : 0);
  const mode = mmuMode(registers, user, watching);
  registers.set32("mmuMode", mode);
  registers.set32("tlb", registers.base + TLBS + mode * TLB_SIZE);
  const key = fieldAddress(registers.base, "pageKey") >> 2;
  registers.i32[key] = ((registers.i32[key] as number) & (-1 << PAGE_KEY.number)) | (mode << PAGE_KEY.mode);
}

function contextBits(registers: Registers, user: boolean): number {
  const cs = registers.attributes(CS);
  const lma = (registers.get32("efer") & LONG_MODE_ACTIVE) !== 0;
  const long = lma && (cs & ATTRIBUTE_LONG) !== 0;
  const isReal = (registers.get32("cr0") & PROTECTION_ENABLE) === 0;
  const isProtected = !isReal && (registers.get32("eflagsSystem") & VIRTUAL_8086) === 0;
  let bits = long ? CONTEXT.long : 0;
  if (!long && cs & ATTRIBUTE_BIG) bits |= CONTEXT.code32;
  if (!long && registers.attributes(SS) & ATTRIBUTE_BIG) bits |= CONTEXT.stack32;
  const isFlat = (segment: number) => isFlatSegment(registers, segment);
  if (!long && isProtected && [ES, CS, SS, DS].every(isFlat)) bits |= CONTEXT.flat;
  return user ? bits | CONTEXT.user : bits;
}

function mmuMode(registers: Registers, user: boolean, watching: boolean): number {
  const ac = registers.get32("eflagsSystem") & ALIGNMENT_CHECK;
  if (watching || (user && registers.get32("cr0") & ac)) return MMU_MODE.checked;
  if (user) return MMU_MODE.user;
  return ac ? MMU_MODE.supervisorAc : MMU_MODE.supervisor;
}

function isFlatSegment(registers: Registers, segment: number): boolean {
  const at = (registers.base + SEGMENTS + segment * SEGMENT_SIZE) / 4;
  const word = (field: number) => registers.i32[at + field / 4] as number;
  if (word(SEGMENT.base) !== 0 || word(SEGMENT.base + 4) !== 0) return false;
  if (word(SEGMENT.readMin) !== 0 || word(SEGMENT.readMax) !== -1) return false;
  return segment === CS || (word(SEGMENT.writeMin) === 0 && word(SEGMENT.writeMax) === -1);
}
