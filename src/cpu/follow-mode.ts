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
/** Flat code has all of these flat. */
const FLAT_SEGMENTS = [ES, CS, SS, DS] as const;

/** Where fields stand in the vCPU's state, in words: what is here runs too often for looks at them by name. */
const wordOf = (name: string): number => fieldAddress(0, name) >> 2;
const WORD = {
  context: wordOf("context"),
  cpl: wordOf("cpl"),
  cr0: wordOf("cr0"),
  efer: wordOf("efer"),
  eflagsSystem: wordOf("eflagsSystem"),
  mmuMode: wordOf("mmuMode"),
  pageKey: wordOf("pageKey"),
  supervisorGeneration: wordOf("supervisorGeneration"),
  tlb: wordOf("tlb"),
  userGeneration: wordOf("userGeneration"),
  watching: wordOf("watching"),
} as const;
type Field = keyof typeof WORD;

/** Sets `context`, `mmuMode`, `tlb`, `pageKey` and `watching`; `watches`: whether a debugger watches accesses. */
export function followMode(registers: Registers, watches: boolean): void {
  const { i32 } = registers;
  const base = registers.base >> 2;
  const user = get(registers, "cpl") === 3;
  const generation = get(registers, user ? "userGeneration" : "supervisorGeneration");
  i32[base + WORD.context] = (generation << CONTEXT_BITS) | contextBits(registers, user);
  const watching = watchesData(registers) || watches;
  i32[base + WORD.watching] = watching ? 1 : 0;
  const mode = mmuMode(registers, user, watching);
  i32[base + WORD.mmuMode] = mode;
  i32[base + WORD.tlb] = registers.base + TLBS + mode * TLB_SIZE;
  const key = get(registers, "pageKey");
  i32[base + WORD.pageKey] = (key & (-1 << PAGE_KEY.number)) | (mode << PAGE_KEY.mode);
}

const get = ({ i32, base }: Registers, field: Field): number => i32[(base >> 2) + WORD[field]] as number;

function contextBits(registers: Registers, user: boolean): number {
  const cs = registers.attributes(CS);
  const lma = (get(registers, "efer") & LONG_MODE_ACTIVE) !== 0;
  const long = lma && (cs & ATTRIBUTE_LONG) !== 0;
  const isReal = (get(registers, "cr0") & PROTECTION_ENABLE) === 0;
  const isProtected = !isReal && (get(registers, "eflagsSystem") & VIRTUAL_8086) === 0;
  let bits = long ? CONTEXT.long : 0;
  if (!long && cs & ATTRIBUTE_BIG) bits |= CONTEXT.code32;
  if (!long && registers.attributes(SS) & ATTRIBUTE_BIG) bits |= CONTEXT.stack32;
  if (!long && isProtected && FLAT_SEGMENTS.every((segment) => isFlatSegment(registers, segment))) bits |= CONTEXT.flat;
  return user ? bits | CONTEXT.user : bits;
}

function mmuMode(registers: Registers, user: boolean, watching: boolean): number {
  const ac = get(registers, "eflagsSystem") & ALIGNMENT_CHECK;
  if (watching || (user && get(registers, "cr0") & ac)) return MMU_MODE.checked;
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
