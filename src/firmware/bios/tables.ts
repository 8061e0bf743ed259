/**
 * Tables in the BIOS's segment that software finds by pointers, or where the first PC had them.
 * @spec IBM PC/AT Technical Reference, BIOS listing (places); PCI BIOS Specification 2.1 and Standard BIOS 32-bit Service
 * Directory Proposal 0.4; PCI IRQ Routing Table Specification 1.0; Plug and Play BIOS Specification 1.0a, section 4.4
 */
import type { AcpiBoard } from "../acpi/board.ts";
import { pirqOf } from "../acpi/board.ts";
import { vgaFont } from "../vga/font/font.ts";
import { BIOS_BASE, type BiosCode } from "./segment.ts";
import { FONT_AT, PC_FONT_AT } from "./video/fonts.ts";

/** Offsets in F000h. */
export const TableAt = {
  routing: 0xe200,
  pnp: 0xe310,
  bios32: 0xe340,
  vbeStrings: 0xe380,
  functionality: 0xe3c0,
  diskParameters: 0xe400,
  /** Those of PXE are there once something was booted from the network. */
  pxe: 0xe440,
  pxenv: 0xe4a0,
  configuration: 0xe6f5,
  floppyParameters: 0xefc7,
  reset: 0xfff0,
  date: 0xfff5,
  model: 0xfffe,
} as const;

const MODEL_AT = 0xfc;
const DATE = "11/28/26";
const ISA_BRIDGE = 1 << 3;
const SLOTS = 16;

/** A jump to another segment and offset. */
const farJump = (offset: number): number[] => [0xea, offset & 0xff, offset >> 8, 0x00, 0xf0];

/** Everything that lies in the segment from the fonts on: where, and what. */
export function segmentContents(
  code: BiosCode,
  board: AcpiBoard,
): { readonly at: number; readonly bytes: ArrayLike<number> }[] {
  const symbol = (name: string) => code.symbols.get(name) as number;
  return [
    { at: FONT_AT[8], bytes: vgaFont(8) },
    { at: FONT_AT[14], bytes: vgaFont(14) },
    { at: FONT_AT[16], bytes: vgaFont(16) },
    { at: PC_FONT_AT, bytes: vgaFont(8).subarray(0, 128 * 8) },
    { at: code.offset, bytes: code.bytes },
    { at: TableAt.routing, bytes: routingTable(board) },
    { at: TableAt.pnp, bytes: pnpHeader(symbol("pnp_entry")) },
    { at: TableAt.bios32, bytes: bios32Header(symbol("bios32")) },
    { at: TableAt.vbeStrings, bytes: text("Bunkhouse\0") },
    { at: TableAt.functionality, bytes: functionality() },
    { at: TableAt.configuration, bytes: configuration() },
    { at: TableAt.floppyParameters, bytes: FLOPPY_PARAMETERS },
    { at: TableAt.reset, bytes: farJump(symbol("reset")) },
    { at: TableAt.date, bytes: text(DATE) },
    { at: TableAt.model, bytes: [MODEL_AT] },
  ];
}

const text = (characters: string) => [...characters].map((character) => character.charCodeAt(0));

/** Step rate, unload, motor, 512 bytes, 18 sectors, gaps, fill, settle and start times: a drive of 1.44 MB. */
const FLOPPY_PARAMETERS = [0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08, 0x4f, 0x00, 0x04];

/** An AT with two 8259s, a clock, a keyboard hook, an extended data area. */
const configuration = () => [0x08, 0x00, MODEL_AT, 0x00, 0x01, 0x74, 0x00, 0x00, 0x00, 0x00];

/** Modes 0 to 7 and 0Dh to 13h, all heights, everything a VGA's BIOS does. */
const functionality = () => [0xff, 0xe0, 0x0f, 0, 0, 0, 0, 0x07, 0x02, 0x08, 0xe7, 0x0c, 0, 0, 0, 0];

/** Makes the sum of all bytes zero by the one at `at`. */
function withChecksum(bytes: number[], at: number): number[] {
  bytes[at] = 0;
  bytes[at] = (256 - (bytes.reduce((sum, byte) => sum + byte, 0) & 0xff)) & 0xff;
  return bytes;
}

function routingTable(board: AcpiBoard): number[] {
  const irqs = board.pciIrqs.reduce((mask, irq) => mask | (1 << irq), 0);
  const slots = Array.from({ length: SLOTS - 1 }, (_, i) => i + 1);
  const entries = slots.flatMap((slot) => [
    0,
    slot << 3,
    ...[0, 1, 2, 3].flatMap((pin) => [0x60 + pirqOf(slot, pin), irqs & 0xff, irqs >> 8]),
    slot,
    0,
  ]);
  const size = 32 + entries.length;
  // The router: a PIIX (8086h:122Eh) at this function.
  const header = [...text("$PIR"), 0x00, 0x01, size & 0xff, size >> 8, 0, ISA_BRIDGE, 0, 0, 0x86, 0x80, 0x2e, 0x12];
  return withChecksum([...header, ...new Array<number>(16).fill(0), ...entries], 31);
}

/** Tells boot loaders that this is a Plug and Play BIOS, and no more: its entries say "unsupported". */
function pnpHeader(entry: number): number[] {
  const word = (value: number) => [value & 0xff, (value >> 8) & 0xff];
  const dword = (value: number) => [...word(value & 0xffff), ...word(value >>> 16)];
  const header = [
    ...text("$PnP"),
    0x10,
    0x21,
    ...word(0),
    0,
    ...dword(0),
    ...word(entry),
    ...word(0xf000),
    ...word(entry),
    ...dword(BIOS_BASE),
    ...dword(0),
    ...word(0xf000),
    ...dword(BIOS_BASE),
  ];
  return withChecksum(header, 8);
}

function bios32Header(entry: number): number[] {
  const at = BIOS_BASE + entry;
  return withChecksum(
    [...text("_32_"), at & 0xff, (at >> 8) & 0xff, (at >> 16) & 0xff, at >>> 24, 0, 1, 0, 0, 0, 0, 0, 0],
    10,
  );
}
