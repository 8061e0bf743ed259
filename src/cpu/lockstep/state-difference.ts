/** In what the states of two processors differ, as far as software can tell. */
import type { Registers } from "../registers.ts";
import {
  CONTEXT,
  CONTEXT_BITS,
  FPU,
  fieldAddress,
  fieldNames,
  fieldType,
  GPR,
  SEGMENT,
  SEGMENT_SIZE,
  SEGMENTS,
  XMM,
} from "../state.ts";

/** A part of the state, and what it is in each of the two. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

const GPR_NAMES = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const SEGMENT_NAMES = "es cs ss ds fs gs ldtr tr".split(" ");
const SEGMENT_FIELDS = ["selector", "limit", "attributes", "base"] as const;

/** How a processor does its work, which differs between two that do the same; flags are compared as software sees them. */
const INTERNAL = new Set([
  "flagResult",
  "flagAux",
  "flagCarry",
  "pageKey",
  "userGeneration",
  "supervisorGeneration",
  "localCode",
  "effort",
  "lastRegion",
  "observed",
  "tlbFilled",
  "largePages",
  "largeGlobalPages",
  "parkedA",
  "parkedB",
  "parkedR",
  "interruptPending",
  "tlb",
  "context",
  "budget",
  "budgetAside",
  "exit",
  "faultVector",
  "faultCode",
  "faultAddress",
  "pc",
  "stepping",
  "shadow",
  "heldOffAt",
  // Of the operation at hand: the next one begins without any.
  "fpuRaised",
]);

/** Distances of the words to compare, and what each belongs to. */
interface Place {
  readonly what: string;
  readonly offset: number;
  readonly mask: number;
}

const place = (what: string, offset: number, mask = -1): Place => ({ what, offset, mask });
const two = (what: string, offset: number): Place[] => [place(what, offset), place(what, offset + 4)];

const LOW_HALVES = GPR_NAMES.map((name, i) => place(name, GPR + 8 * i));
const HIGH_HALVES = GPR_NAMES.map((name, i) => place(name, GPR + 8 * i + 4));
const OTHERS: readonly Place[] = [
  ...fieldNames()
    .filter((name) => !INTERNAL.has(name))
    .flatMap((name) =>
      fieldType(name) === "i64" ? two(name, fieldAddress(0, name)) : [place(name, fieldAddress(0, name))],
    ),
  place("mode", fieldAddress(0, "context"), (1 << CONTEXT_BITS) - 1 - CONTEXT.step),
  ...SEGMENT_NAMES.flatMap((name, i) =>
    SEGMENT_FIELDS.flatMap((field) => {
      const offset = SEGMENTS + i * SEGMENT_SIZE + SEGMENT[field];
      return field === "base" ? two(`${name} base`, offset) : [place(`${name} ${field}`, offset)];
    }),
  ),
  ...Array.from({ length: 8 }, (_, i) => [
    ...two(`x87 register ${i}`, FPU + 16 * i),
    place(`x87 register ${i}`, FPU + 16 * i + 8, 0xffff),
  ]).flat(),
  ...Array.from({ length: 16 }, (_, i) => [0, 4, 8, 12].map((at) => place(`xmm${i}`, XMM + 32 * i + at))).flat(),
];

const differs = (a: Registers, b: Registers, { offset, mask }: Place): boolean =>
  ((((a.i32[(a.base + offset) >> 2] as number) ^ (b.i32[(b.base + offset) >> 2] as number)) & mask) | 0) !== 0;

/** Whether any of some places differs: called often. */
function anyDiffers(a: Registers, b: Registers, places: readonly Place[]): boolean {
  for (const one of places) if (differs(a, b, one)) return true;
  return false;
}

const isLong = (registers: Registers): boolean => (registers.get32("context") & CONTEXT.long) !== 0;

function sameFlags(a: Registers, b: Registers): boolean {
  const same = ["flagResult", "flagCarry", "flagAux"].every((name) => a.get(name) === b.get(name));
  return same || a.eflags === b.eflags;
}

/** Whether software sees the same in both. */
export function sameState(a: Registers, b: Registers): boolean {
  if (anyDiffers(a, b, LOW_HALVES) || anyDiffers(a, b, OTHERS) || !sameFlags(a, b)) return false;
  return !isLong(a) || !anyDiffers(a, b, HIGH_HALVES);
}

const hex = (value: number, digits: number): string => (value >>> 0).toString(16).padStart(digits, "0");

function text(registers: Registers, places: readonly Place[]): string {
  const words = places.map(({ offset, mask }) => (registers.i32[(registers.base + offset) >> 2] as number) & mask);
  return words
    .map((word) => hex(word, 8))
    .reverse()
    .join("");
}

/** All parts that differ; other than 64-bit code does not see the upper halves of general registers. */
export function stateDifferences(expected: Registers, got: Registers): Difference[] {
  const groups = new Map<string, Place[]>();
  const places = [...LOW_HALVES, ...(isLong(expected) ? HIGH_HALVES : []), ...OTHERS];
  for (const one of places) groups.set(one.what, [...(groups.get(one.what) ?? []), one]);
  const found = [...groups]
    .filter(([, members]) => anyDiffers(expected, got, members))
    .map(([what, members]) => ({ what, expected: text(expected, members), got: text(got, members) }));
  if (!sameFlags(expected, got)) {
    found.push({ what: "rflags", expected: hex(expected.eflags, 8), got: hex(got.eflags, 8) });
  }
  return found;
}
