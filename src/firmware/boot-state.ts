/**
 * The state of the boot vCPU when a boot loader hands over: plain data that the VM applies to its vCPU.
 * Everything not named here (x87, SSE, debug and machine-check registers, APIC) is as after reset.
 *
 * @spec Intel SDM 3A 3.4.5 (segment descriptors), table 10-1 (state after reset); SDM 3C 25.4.1 (attributes)
 */
import { bits } from "../bits/fields.ts";
import { struct, u8, u16 } from "../bits/struct.ts";

/** By their numbers in encodings. */
export const GENERAL_REGISTERS = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;
export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];
export type SegmentRegister = "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr";

/** A segment's attributes as VMX access rights place them: bytes 5 and 6 of the descriptor, less limit 19:16. */
export const SegmentAttributes = bits({
  type: [0, 3],
  codeOrData: 4,
  dpl: [5, 6],
  present: 7,
  available: 12,
  long: 13,
  big: 14,
  granularity: 15,
  unusable: 16,
});

/** A segment register with its hidden part. */
export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** The last valid offset in bytes, whatever the granularity bit says. */
  readonly limit: number;
  /** See `SegmentAttributes`. */
  readonly attributes: number;
}

/** A GDTR or IDTR. */
export interface TableRegister {
  readonly base: number;
  readonly limit: number;
}

export interface BootState {
  readonly mode: "real" | "protected" | "long";
  /** An offset in CS: linear where CS is flat. */
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly registers: Readonly<Record<GeneralRegister, bigint>>;
  readonly segments: Readonly<Record<SegmentRegister, SegmentState>>;
  readonly gdt: TableRegister;
  readonly idt: TableRegister;
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

const TYPE_DATA = 0x3; // read/write, accessed
const TYPE_CODE = 0xb; // execute/read, accessed
const TYPE_LDT = 0x2;
const TYPE_TSS_BUSY = 0xb;

const CR0_PE = 1n << 0n;
const CR0_ET = 1n << 4n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
/** Bit 1 reads as one; interrupts are disabled. */
const RFLAGS = 2n;

const flat = (selector: number, fields: Parameters<typeof SegmentAttributes.pack>[0]): SegmentState => ({
  selector,
  base: 0,
  limit: 0xffff_ffff,
  attributes: SegmentAttributes.pack({ codeOrData: true, present: true, granularity: true, ...fields }),
});
/** A 4 GiB read/write data segment. */
export const flatData = (selector: number): SegmentState => flat(selector, { type: TYPE_DATA, big: true });
/** A 4 GiB 32-bit code segment. */
export const flatCode32 = (selector: number): SegmentState => flat(selector, { type: TYPE_CODE, big: true });
/** A 64-bit code segment. */
export const flatCode64 = (selector: number): SegmentState => flat(selector, { type: TYPE_CODE, long: true });

const realSegment = (selector: number, type: number): SegmentState => ({
  selector,
  base: selector << 4,
  limit: 0xffff,
  attributes: SegmentAttributes.pack({ type, codeOrData: true, present: true }),
});

const SYSTEM_SEGMENTS = {
  ldtr: { selector: 0, base: 0, limit: 0xffff, attributes: SegmentAttributes.pack({ type: TYPE_LDT, present: true }) },
  // A 32-bit (in long mode 64-bit) busy TSS of the smallest size, as the PVH interface asks.
  tr: { selector: 0, base: 0, limit: 0x67, attributes: SegmentAttributes.pack({ type: TYPE_TSS_BUSY, present: true }) },
};

const NO_REGISTERS = Object.fromEntries(GENERAL_REGISTERS.map((name) => [name, 0n])) as Readonly<
  Record<GeneralRegister, bigint>
>;

const EMPTY_TABLE: TableRegister = { base: 0, limit: 0 };

/** Real mode at `cs:ip`, all data segments `ds`, the BIOS's interrupt vectors at 0, interrupts disabled. */
export function realModeState(entry: {
  readonly cs: number;
  readonly ip: number;
  readonly ds: number;
  readonly sp: number;
  readonly registers?: Partial<Record<GeneralRegister, bigint>>;
}): BootState {
  const data = realSegment(entry.ds, TYPE_DATA);
  return {
    mode: "real",
    rip: BigInt(entry.ip),
    rflags: RFLAGS,
    registers: { ...NO_REGISTERS, ...entry.registers, rsp: BigInt(entry.sp) },
    segments: {
      cs: realSegment(entry.cs, TYPE_CODE),
      ss: data,
      ds: data,
      es: data,
      fs: data,
      gs: data,
      ...SYSTEM_SEGMENTS,
    },
    gdt: { base: 0, limit: 0xffff },
    idt: { base: 0, limit: 0x3ff },
    cr0: CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  };
}

export interface FlatEntry {
  readonly entry: number;
  readonly code: number;
  readonly data: number;
  readonly gdt?: TableRegister;
  readonly registers: Partial<Record<GeneralRegister, bigint>>;
}

function flatSegments(cs: SegmentState, data: number): BootState["segments"] {
  const segment = flatData(data);
  return { cs, ss: segment, ds: segment, es: segment, fs: segment, gs: segment, ...SYSTEM_SEGMENTS };
}

/** 32-bit protected mode with flat segments (selectors `code` and `data`), paging and interrupts off. */
export function protectedModeState(at: FlatEntry): BootState {
  return {
    mode: "protected",
    rip: BigInt(at.entry),
    rflags: RFLAGS,
    registers: { ...NO_REGISTERS, ...at.registers },
    segments: flatSegments(flatCode32(at.code), at.data),
    gdt: at.gdt ?? EMPTY_TABLE,
    idt: EMPTY_TABLE,
    cr0: CR0_PE | CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  };
}

/** 64-bit mode with the page tables at `cr3`, interrupts off. */
export function longModeState(at: FlatEntry & { readonly cr3: number }): BootState {
  return {
    mode: "long",
    rip: BigInt(at.entry),
    rflags: RFLAGS,
    registers: { ...NO_REGISTERS, ...at.registers },
    segments: flatSegments(flatCode64(at.code), at.data),
    gdt: at.gdt ?? EMPTY_TABLE,
    idt: EMPTY_TABLE,
    cr0: CR0_PG | CR0_PE | CR0_ET,
    cr3: BigInt(at.cr3),
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}

const Descriptor = struct("LE", {
  limitLow: u16,
  baseLow: u16,
  baseMiddle: u8,
  access: u8,
  flagsAndLimit: u8,
  baseHigh: u8,
});

/** A segment as an 8-byte descriptor of a GDT. */
export function descriptorOf(segment: SegmentState): Uint8Array {
  const limit = SegmentAttributes(segment.attributes).granularity ? Math.floor(segment.limit / 4096) : segment.limit;
  return Descriptor.make({
    limitLow: limit & 0xffff,
    baseLow: segment.base & 0xffff,
    baseMiddle: (segment.base >>> 16) & 0xff,
    access: segment.attributes & 0xff,
    flagsAndLimit: ((segment.attributes >>> 8) & 0xf0) | ((limit >>> 16) & 0xf),
    baseHigh: segment.base >>> 24,
  });
}

/** A GDT in which each segment stands where its selector says; all other descriptors are null. */
export function gdtOf(segments: readonly SegmentState[]): Uint8Array {
  const last = Math.max(...segments.map((segment) => segment.selector & ~7));
  const table = new Uint8Array(last + Descriptor.size);
  for (const segment of segments) table.set(descriptorOf(segment), segment.selector & ~7);
  return table;
}
