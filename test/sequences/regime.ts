/**
 * What code can run as: the processor's modes, with and without paging, with flat segments and with others. A regime is
 * entered by setting the processor's registers; exceptions are not delivered, so that there are no gates.
 */
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import type { CodeBits } from "../../src/isa/encode.ts";
import { CS, DS, ES, FS, GS, SS } from "../../src/isa/semantics.ts";

export const RAM_SIZE = 1 << 20;
/** Linear addresses. Code and data each are on pages of which the second lies elsewhere in physical memory. */
export const PLACE = {
  gdt: 0x1_0000,
  tables: 0x2_0000,
  tablesSize: 0x6000,
  code: 0x4_0000,
  codeSize: 0x2000,
  /** Two pages to write to, one to read, one that is not there. */
  data: 0x8_0000,
  dataSize: 0x2000,
  elsewhere: 0x2_0000,
} as const;

type Paging = "none" | "two-level" | "pae" | "long";

export interface Regime {
  readonly name: string;
  readonly bits: CodeBits;
  readonly paging: Paging;
  readonly ring: 0 | 3;
  readonly segments: "real" | "flat" | "based" | "virtual-8086";
}

export const REGIMES: readonly Regime[] = [
  { name: "64-bit mode, ring 0", bits: 64, paging: "long", ring: 0, segments: "flat" },
  { name: "64-bit mode, ring 3", bits: 64, paging: "long", ring: 3, segments: "flat" },
  { name: "compatibility mode", bits: 32, paging: "long", ring: 3, segments: "flat" },
  { name: "compatibility mode, 16-bit segments", bits: 16, paging: "long", ring: 3, segments: "based" },
  { name: "32-bit mode without paging", bits: 32, paging: "none", ring: 0, segments: "flat" },
  { name: "32-bit mode, two-level paging, ring 0", bits: 32, paging: "two-level", ring: 0, segments: "flat" },
  { name: "32-bit mode, two-level paging, ring 3", bits: 32, paging: "two-level", ring: 3, segments: "flat" },
  { name: "32-bit mode, PAE, ring 3", bits: 32, paging: "pae", ring: 3, segments: "flat" },
  { name: "32-bit mode, segments with bases", bits: 32, paging: "none", ring: 0, segments: "based" },
  { name: "32-bit mode, PAE, segments with bases", bits: 32, paging: "pae", ring: 3, segments: "based" },
  { name: "16-bit protected mode", bits: 16, paging: "none", ring: 0, segments: "based" },
  { name: "16-bit protected mode, two-level paging", bits: 16, paging: "two-level", ring: 3, segments: "based" },
  { name: "real mode", bits: 16, paging: "none", ring: 0, segments: "real" },
  { name: "virtual-8086 mode", bits: 16, paging: "two-level", ring: 3, segments: "virtual-8086" },
];

export interface Segment {
  readonly selector: number;
  readonly base: number;
  /** In bytes. */
  readonly limit: number;
  readonly attributes: number;
}

const FLAT = 0xffff_ffff;
const TYPE = { code: 0xb, data: 3, readOnly: 1, expandDown: 7 } as const;

/** Segment registers by number, as a sequence finds them. */
export function segmentsOf({ bits, ring, segments }: Regime): Segment[] {
  const dpl = ring << 5;
  const make = (index: number, type: number, base: number, limit: number, flags: number): Segment => ({
    selector: 0x80 + 8 * index + ring,
    base,
    limit,
    attributes: 0x90 | type | dpl | flags,
  });
  switch (segments) {
    case "real":
    case "virtual-8086": {
      const attributes = segments === "real" ? 0x93 : 0xf3;
      const at = (base: number): Segment => ({ selector: base >> 4, base, limit: 0xffff, attributes });
      return [at(PLACE.data), at(PLACE.code), at(PLACE.data), at(PLACE.data), at(PLACE.code), at(PLACE.data - 0x800)];
    }
    case "flat": {
      const code = make(CS, TYPE.code, 0, FLAT, bits === 64 ? 0xa000 : 0xc000);
      const data = (index: number) => make(index, TYPE.data, 0, FLAT, 0xc000);
      const based = (index: number, base: number) => make(index, TYPE.data, base, FLAT, 0xc000);
      return [data(ES), code, data(SS), data(DS), based(FS, bits === 64 ? 0x100 : 0), based(GS, 0x123)];
    }
    case "based": {
      const big = bits === 32 ? 0x4000 : 0;
      const limit = PLACE.dataSize + 0x7ff;
      return [
        make(ES, TYPE.data, PLACE.data, limit, big),
        make(CS, TYPE.code, PLACE.code, 0xffff, big),
        // A stack of the other size than the code's.
        make(SS, TYPE.data, PLACE.data, 0xffff, bits === 32 ? 0 : 0x4000),
        make(DS, TYPE.data, PLACE.data, limit, big),
        // Code can be written to here.
        make(FS, TYPE.data, PLACE.code, 0xffff, big),
        make(GS, ring === 3 ? TYPE.readOnly : TYPE.expandDown, PLACE.data, 0x7ff, big),
      ];
    }
  }
}

/** The descriptor table that these segments came from. */
export function descriptorTable(segments: readonly Segment[]): readonly (readonly [number, bigint])[] {
  return segments.map(({ selector, base, limit, attributes }) => {
    const pages = (attributes & 0x8000) !== 0;
    const fields = { base, limit: pages ? limit >>> 12 : limit, type: attributes & 15, dpl: (attributes >> 5) & 3 };
    const sizes = { pages, long: (attributes & 0x2000) !== 0, big: (attributes & 0x4000) !== 0 };
    return [selector & ~7, descriptor({ ...fields, ...sizes })];
  });
}

const PTE = { P: 1, RW: 2, US: 4 } as const;
const OPEN = PTE.P | PTE.RW | PTE.US;

/** The page table entry for a linear page. */
function pageEntry(linear: number): number {
  const { code, data, dataSize, elsewhere } = PLACE;
  if (linear === code + 0x1000 || linear === data + 0x1000) return (linear + elsewhere) | OPEN;
  if (linear === data + dataSize) return linear | PTE.P | PTE.US;
  if (linear === data + dataSize + 0x1000) return 0;
  return linear | OPEN;
}

/** Writes page tables that map all of RAM. */
export function writePageTables(ram: DataView, paging: Paging): void {
  const { tables } = PLACE;
  const wide = paging !== "two-level";
  const set = (at: number, value: number) => {
    if (wide) ram.setBigUint64(at, BigInt(value), true);
    else ram.setUint32(at, value, true);
  };
  const size = wide ? 8 : 4;
  // Tables of the last level are the first, then those above them.
  for (let linear = 0; linear < RAM_SIZE; linear += 0x1000) set(tables + (linear >> 12) * size, pageEntry(linear));
  const directory = tables + 0x3000;
  const count = (RAM_SIZE >> 12) / (4096 / size);
  for (let i = 0; i < count; i++) set(directory + i * size, (tables + i * 0x1000) | OPEN);
  if (!wide) return;
  set(tables + 0x4000, directory | (paging === "pae" ? PTE.P : OPEN));
  set(tables + 0x5000, (tables + 0x4000) | OPEN);
}

/** CR0, CR3, CR4 and EFER. */
export function controlRegisters({ paging, segments }: Regime): Record<"cr0" | "cr3" | "cr4" | "efer", bigint> {
  const isProtected = segments !== "real";
  const root = { none: 0, "two-level": 0x3000, pae: 0x4000, long: 0x5000 }[paging];
  return {
    // PE, MP, ET, NE, WP, AM, PG.
    cr0: BigInt(0x5_0032 | (isProtected ? 1 : 0)) | (paging === "none" ? 0n : 0x8000_0000n),
    cr3: BigInt(root === 0 ? 0 : PLACE.tables + root),
    // PAE, OSFXSR, OSXMMEXCPT.
    cr4: paging === "pae" || paging === "long" ? 0x620n : 0x600n,
    efer: paging === "long" ? 0x501n : 0n,
  };
}
