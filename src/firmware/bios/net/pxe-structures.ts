/**
 * The structures by which programs find PXE's functions, and how a far pointer to them is written.
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §3.2 ("PXENV+" and "!PXE")
 *
 * Not modelled: entries for protected mode; the base code's parts in memory, as they are not in the guest's.
 */
import { bytes, struct, u8, u16, u32 } from "../../../bits/struct.ts";
import { encodeUtf8 } from "../../../bits/utf8.ts";
import { BIOS_SEGMENT } from "../segment.ts";

const segment = bytes(8);
const Segment = struct("LE", { selector: u16, address: u32, size: u16 });

const Pxenv = struct("LE", {
  signature: bytes(6),
  version: u16,
  length: u8,
  checksum: u8,
  entry: u32,
  protectedOffset: u32,
  protectedSelector: u16,
  stackSegment: u16,
  stackSize: u16,
  baseCodeSegment: u16,
  baseCodeSize: u16,
  baseDataSegment: u16,
  baseDataSize: u16,
  undiDataSegment: u16,
  undiDataSize: u16,
  undiCodeSegment: u16,
  undiCodeSize: u16,
  pxe: u32,
});

const Pxe = struct("LE", {
  signature: bytes(4),
  length: u8,
  checksum: u8,
  revision: u8,
  reserved: u8,
  undiRom: u32,
  baseRom: u32,
  entry: u32,
  protectedEntry: u32,
  statusCallout: u32,
  reserved2: u8,
  segments: u8,
  firstSelector: u16,
  stack: segment,
  undiData: segment,
  undiCode: segment,
  undiCodeWrite: segment,
  baseData: segment,
  baseCode: segment,
  baseCodeWrite: segment,
});

const VERSION = 0x0201;
const SEGMENTS = 7;

/** A far pointer to an offset in the BIOS's segment. */
export const inBios = (offset: number): number => BIOS_SEGMENT * 0x1_0000 + offset;

export interface PxeEntries {
  /** Offsets in the BIOS's segment: of the structures, and of the code that they tell. */
  readonly pxenvAt: number;
  readonly pxeAt: number;
  readonly pxenvEntry: number;
  readonly pxeEntry: number;
  /** The conventional memory that is in use until UNDI is stopped. */
  readonly memory: { readonly segment: number; readonly size: number };
}

/** Both structures, where they go in the BIOS's segment. */
export function pxeStructures(entries: PxeEntries): { readonly at: number; readonly bytes: Uint8Array }[] {
  const { pxenvAt, pxeAt, memory } = entries;
  const taken = Segment.make({ selector: memory.segment, address: memory.segment * 16, size: memory.size });
  const pxenv = Pxenv.make({
    signature: encodeUtf8("PXENV+"),
    version: VERSION,
    length: Pxenv.size,
    entry: inBios(entries.pxenvEntry),
    undiDataSegment: memory.segment,
    undiDataSize: memory.size,
    undiCodeSegment: memory.segment,
    undiCodeSize: memory.size,
    pxe: inBios(pxeAt),
  });
  const pxe = Pxe.make({
    signature: encodeUtf8("!PXE"),
    length: Pxe.size,
    entry: inBios(entries.pxeEntry),
    // Nothing is to be called while functions wait.
    statusCallout: 0xffff_ffff,
    segments: SEGMENTS,
    undiData: taken,
    undiCode: taken,
  });
  return [
    { at: pxenvAt, bytes: withChecksum(pxenv, Pxenv.offset.checksum) },
    { at: pxeAt, bytes: withChecksum(pxe, Pxe.offset.checksum) },
  ];
}

/** Makes the sum of all bytes zero by the one at `at`. */
function withChecksum(structure: Uint8Array, at: number): Uint8Array {
  structure[at] = -structure.reduce((sum, byte) => sum + byte, 0);
  return structure;
}
