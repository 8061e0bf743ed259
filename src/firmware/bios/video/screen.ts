/** Where a video mode has its characters and dots, and the BIOS data area's account of it. */
import { type VgaMode, vgaMode } from "../../vga/modes.ts";
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { Bda } from "../data-area.ts";

/** No standard mode: a linear one of VBE, in which the BIOS draws nothing. */
const NOTHING_DRAWN: VgaMode["kind"] | undefined = undefined;

export interface Screen {
  readonly mode: VgaMode | undefined;
  readonly columns: number;
  readonly rows: number;
  /** Rows of dots of a character. */
  readonly height: number;
  readonly pageSize: number;
  readonly page: number;
}

/** The screen as the data area has it, kept within what can be. */
export function screenOf(call: BiosCall): Screen {
  const mode = vgaMode(call.u8(Bda.videoMode));
  const columns = Math.min(Math.max(call.u16(Bda.columns), 1), 132);
  const rows = Math.min(call.u8(Bda.lastRow), 99) + 1;
  const height = Math.min(Math.max(call.u8(Bda.charHeight), 1), 32);
  return { mode, columns, rows, height, pageSize: call.u16(Bda.pageSize), page: call.u8(Bda.activePage) & 7 };
}

export const kindOf = ({ mode }: Screen): VgaMode["kind"] | undefined => mode?.kind ?? NOTHING_DRAWN;

/** Linear address of a cell of text. */
export const cellAt = (screen: Screen, page: number, row: number, column: number): number =>
  (screen.mode?.address ?? 0xb8000) + ((page * screen.pageSize + (row * screen.columns + column) * 2) & 0x7ffe);

/** Row and column of a page's cursor. */
export function cursorOf(call: BiosCall, page: number): { row: number; column: number } {
  const word = call.u16(Bda.cursors + 2 * (page & 7));
  return { row: word >> 8, column: word & 0xff };
}

export function setCursor(
  call: BiosCall,
  ports: Ports,
  screen: Screen,
  page: number,
  row: number,
  column: number,
): void {
  call.setU16(Bda.cursors + 2 * (page & 7), (row << 8) | column);
  if (page !== screen.page) return;
  const at = (call.u16(Bda.pageStart) >> 1) + row * screen.columns + column;
  setCrtc(call, ports, 0x0e, (at >> 8) & 0xff);
  setCrtc(call, ports, 0x0f, at & 0xff);
}

export function setCrtc(call: BiosCall, ports: Ports, index: number, value: number): void {
  const port = crtcPort(call);
  ports.write(port, 1, index);
  ports.write(port + 1, 1, value);
}
export function getCrtc(call: BiosCall, ports: Ports, index: number): number {
  const port = crtcPort(call);
  ports.write(port, 1, index);
  return ports.read(port + 1, 1);
}
/** A guest may have written anything there. */
const crtcPort = (call: BiosCall): number => (call.u16(Bda.crtcPort) === 0x3b4 ? 0x3b4 : 0x3d4);

export function writeGraphics(ports: Ports, index: number, value: number): void {
  ports.write(0x3ce, 2, (value << 8) | index);
}
export function writeSequencer(ports: Ports, index: number, value: number): void {
  ports.write(0x3c4, 2, (value << 8) | index);
}
