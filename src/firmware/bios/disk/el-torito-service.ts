/** INT 13h AH=4Ah to 4Dh: what a disc was booted with. @spec "El Torito" 1.0, chapter 4 */
import type { BiosCall } from "../call.ts";
import { mediumOf } from "./drive.ts";
import type { DriveTable } from "./drive-table.ts";

const OK = 0x00;
const BAD_COMMAND = 0x01;
const PACKET = 0x13;

export function serveElTorito(call: BiosCall, table: DriveTable, end: (status: number) => undefined): undefined {
  const { booted } = table;
  const asked = call.dl;
  if (booted === undefined || (asked !== booted.number && asked !== 0x7f && asked !== table.numberOf(booted.drive))) {
    return end(BAD_COMMAND);
  }
  // 4Bh in two kinds: AL=00 ends the emulation, AL=01 only tells.
  if (call.ah !== 0x4b) return end(BAD_COMMAND);
  if (call.al === 0) table.endEmulation();
  const at = call.inDs(call.si);
  const { entry, number, emulated } = booted;
  const geometry = emulated && mediumOf(emulated)?.geometry;
  call.setU8(at, PACKET);
  call.setU8(at + 1, entry.media);
  call.setU8(at + 2, number);
  call.setU8(at + 3, 0);
  call.setU32(at + 4, entry.lba);
  call.setU16(at + 8, 0);
  call.setU16(at + 10, 0);
  call.setU16(at + 12, entry.loadSegment);
  call.setU16(at + 14, entry.sectors);
  const last = (geometry?.cylinders ?? 1) - 1;
  call.setU8(at + 16, last & 0xff);
  call.setU8(at + 17, ((last >> 2) & 0xc0) | (geometry?.sectors ?? 0));
  call.setU8(at + 18, geometry ? geometry.heads - 1 : 0);
  return end(OK);
}
