/**
 * The whole set of ACPI tables of a board, in one block, and the RSDP that leads to it.
 *
 * There are both an RSDT and an XSDT: systems of ACPI 1.0 know only the first.
 *
 * @spec ACPI 6.5 section 5.2; Windows ACPI Emulated Devices Table (WAET) 1.0
 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";
import { type GuestPhysical, MIB } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { utf8 } from "../c-string.ts";
import { concat } from "../concat.ts";
import { BIOS_AREA, type MemoryMap } from "../memory-map.ts";
import type { AcpiBoard } from "./board.ts";
import { dsdtTerms } from "./dsdt.ts";
import { FADT_POINTERS, FADT_REVISION, fadtBody } from "./fadt.ts";
import { MADT_REVISION, madtBody } from "./madt.ts";
import { fillChecksums, type TableChecksum, TableSet } from "./table-set.ts";

/** @spec 5.2.6 */
const TableHeader = struct("LE", {
  signature: bytes(4),
  length: u32,
  revision: u8,
  checksum: u8,
  oemId: bytes(6),
  oemTableId: bytes(8),
  oemRevision: u32,
  creatorId: bytes(4),
  creatorRevision: u32,
});
const OEM_ID = utf8("BNKHS ");
const OEM_TABLE_ID = utf8("BUNKHOUS");
const CREATOR_ID = utf8("BNKH");

/** @spec 5.2.5.3 */
const Rsdp = struct("LE", {
  signature: bytes(8),
  checksum: u8,
  oemId: bytes(6),
  revision: u8,
  rsdtAddress: u32,
  length: u32,
  xsdtAddress: u64,
  extendedChecksum: u8,
  reserved: bytes(3),
});
/** The part that the first checksum covers: the RSDP of ACPI 1.0. */
const RSDP_V1_SIZE = 20;
/** An RSDP is looked for at multiples of this. */
const RSDP_ALIGNMENT = 16;

/** @spec 5.2.10; 64-byte aligned, version 1 */
const Facs = struct("LE", {
  signature: bytes(4),
  length: u32,
  hardwareSignature: u32,
  wakingVector: u32,
  globalLock: u32,
  flags: u32,
  xWakingVector: u64,
  version: u8,
  reserved: bytes(31),
});
const FACS_ALIGNMENT = 64;

/** @spec IA-PC HPET 1.0a section 3.2.4 */
const Hpet = struct("LE", {
  id: u32,
  space: u8,
  bitWidth: u8,
  bitOffset: u8,
  accessSize: u8,
  address: u64,
  number: u8,
  minimumTick: u16,
  pageProtection: u8,
});

/** Revision 1 gives AML 32-bit integers, which every interpreter has. */
const DSDT_REVISION = 1;
/** A read of the power management timer need not be repeated: it is never caught in mid-count. */
const WAET_TIMER_GOOD = 1 << 1;
const Waet = struct("LE", { flags: u32 });

export interface AcpiTables {
  /** Everything but the RSDP. */
  readonly set: TableSet;
  /** Byte offsets in the set. */
  readonly rsdt: number;
  readonly xsdt: number;
}

/** Lays out the tables of `board`. */
export function acpiTables(board: AcpiBoard): AcpiTables {
  const set = new TableSet();
  const add = (signature: string, revision: number, body: Uint8Array): number => {
    const length = TableHeader.size + body.length;
    const header = TableHeader.make({
      signature: utf8(signature),
      length,
      revision,
      oemId: OEM_ID,
      oemTableId: OEM_TABLE_ID,
      oemRevision: 1,
      creatorId: CREATOR_ID,
      creatorRevision: 1,
    });
    const at = set.add(concat(header, body));
    set.checksum(at + TableHeader.offset.checksum, at, length);
    return at;
  };

  const facs = set.add(Facs.make({ signature: utf8("FACS"), length: Facs.size, version: 1 }), FACS_ALIGNMENT);
  const dsdt = add("DSDT", DSDT_REVISION, dsdtTerms(board));
  const fadt = add("FACP", FADT_REVISION, fadtBody(board));
  for (const { at, size, to } of FADT_POINTERS) {
    set.point(fadt + TableHeader.size + at, size, to === "facs" ? facs : dsdt);
  }
  const tables = [fadt, add("APIC", MADT_REVISION, madtBody(board))];
  if (board.hpet !== undefined) {
    const { id, address } = board.hpet;
    tables.push(add("HPET", 1, Hpet.make({ id, bitWidth: 64, address: BigInt(address) })));
  }
  tables.push(add("WAET", 1, Waet.make({ flags: WAET_TIMER_GOOD })));

  const root = (signature: string, size: 4 | 8): number => {
    const at = add(signature, 1, new Uint8Array(tables.length * size));
    tables.forEach((table, index) => {
      set.point(at + TableHeader.size + index * size, size, table);
    });
    return at;
  };
  return { set, rsdt: root("RSDT", 4), xsdt: root("XSDT", 8) };
}

/** Where the RSDP holds the address of the RSDT and of the XSDT. */
export const RSDP_POINTERS = [
  { at: Rsdp.offset.rsdtAddress, size: 4 },
  { at: Rsdp.offset.xsdtAddress, size: 8 },
] as const;
/** Its checksums, in the order in which they are made. */
export const RSDP_CHECKSUMS: readonly TableChecksum[] = [
  { at: Rsdp.offset.checksum, start: 0, length: RSDP_V1_SIZE },
  { at: Rsdp.offset.extendedChecksum, start: 0, length: Rsdp.size },
];

/** The RSDP (revision 2) for a set of tables at `tablesAt`, its checksums still zero. */
export function rsdpWithoutChecksums(tables: AcpiTables, tablesAt: number): Uint8Array {
  return Rsdp.make({
    signature: utf8("RSD PTR "),
    oemId: OEM_ID,
    revision: 2,
    rsdtAddress: tablesAt + tables.rsdt,
    length: Rsdp.size,
    xsdtAddress: BigInt(tablesAt + tables.xsdt),
  });
}

/**
 * Writes the tables to the map's region for them and the RSDP to `rsdpAt`, a multiple of 16 in the BIOS area
 * (0xE0000 to 1 MiB), where a guest finds it. Returns the first byte after the RSDP. Throws RangeError for an
 * address that is not so, or where memory cannot be written.
 */
export function installAcpi(
  memory: GuestMemory,
  map: MemoryMap,
  board: AcpiBoard,
  rsdpAt: GuestPhysical,
): GuestPhysical {
  const tables = acpiTables(board);
  const { address, size } = map.acpiTables;
  const block = tables.set.placedAt(address);
  const pointer = rsdpWithoutChecksums(tables, address);
  fillChecksums(pointer, RSDP_CHECKSUMS);
  const end = rsdpAt + pointer.length;
  if (rsdpAt % RSDP_ALIGNMENT !== 0 || rsdpAt < BIOS_AREA || end > MIB || block.length > size) {
    throw new RangeError(`ACPI tables do not fit: RSDP at ${rsdpAt}, ${block.length} of ${size} bytes`);
  }
  const blockView = memory.view(address, block.length, "write");
  const pointerView = memory.view(rsdpAt, pointer.length, "write");
  if (blockView === undefined || pointerView === undefined) throw new RangeError("no RAM for the ACPI tables");
  blockView.set(block);
  pointerView.set(pointer);
  return end as GuestPhysical;
}
