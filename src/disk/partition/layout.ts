/**
 * Bytes of partition tables. Pure. Numbers are little-endian, places are in sectors of 512 bytes.
 *
 * @spec UEFI 2.10 §5.2.1 (MBR), §5.3.2 and §5.3.3 (GPT)
 */
import { bytes, struct, u8, u32, u64 } from "../../bits/struct.ts";

export const SECTOR = 512;

export const MBR_ENTRIES = 0x1be;
export const MbrEntry = struct("LE", {
  status: u8,
  firstChs: bytes(3),
  type: u8,
  lastChs: bytes(3),
  first: u32,
  sectors: u32,
});
export const MBR_ID = 0x1b8;
export const MBR_SIGNATURE = 0x1fe;
export const MbrType = { empty: 0, extended: 0x05, extendedLba: 0x0f, linuxExtended: 0x85, protective: 0xee } as const;
export const isExtended = (type: number): boolean =>
  type === MbrType.extended || type === MbrType.extendedLba || type === MbrType.linuxExtended;

export const GPT_SIGNATURE = "EFI PART";
export const GptHeader = struct("LE", {
  signature: bytes(8),
  revision: u32,
  headerSize: u32,
  crc: u32,
  reserved: u32,
  myLba: u64,
  alternateLba: u64,
  firstUsable: u64,
  lastUsable: u64,
  diskId: bytes(16),
  entriesLba: u64,
  entryCount: u32,
  entrySize: u32,
  entriesCrc: u32,
});
export const GptEntry = struct("LE", {
  type: bytes(16),
  id: bytes(16),
  first: u64,
  last: u64,
  attributes: u64,
  name: bytes(72),
});

/** As it is written: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B". */
export function guidText(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];
  return order.map((i) => (i < 0 ? "-" : (bytes[i] as number).toString(16).padStart(2, "0").toUpperCase())).join("");
}

export function guidBytes(text: string): Uint8Array {
  const hex = text.replaceAll("-", "");
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, (i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
