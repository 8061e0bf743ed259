/**
 * Command codes, pages and tables of CD and DVD drives.
 * @spec MMC-6 §6 "Commands", §5.3 "Features", §7 "Mode parameters"; SPC-4 for INQUIRY
 */
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";

export const Mmc = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  inquiry: 0x12,
  modeSelect6: 0x15,
  modeSense6: 0x1a,
  startStopUnit: 0x1b,
  preventAllowMediumRemoval: 0x1e,
  readCapacity: 0x25,
  read10: 0x28,
  seek10: 0x2b,
  verify10: 0x2f,
  synchronizeCache: 0x35,
  readSubChannel: 0x42,
  readTocPmaAtip: 0x43,
  readHeader: 0x44,
  getConfiguration: 0x46,
  getEventStatusNotification: 0x4a,
  readDiscInformation: 0x51,
  readTrackInformation: 0x52,
  modeSelect10: 0x55,
  modeSense10: 0x5a,
  reportLuns: 0xa0,
  read12: 0xa8,
  readDiscStructure: 0xad,
  readCdMsf: 0xb9,
  setCdSpeed: 0xbb,
  mechanismStatus: 0xbd,
  readCd: 0xbe,
} as const;

/** Bytes of a block of a data disc. */
export const BLOCK_SIZE = 2048;
/** Blocks of the largest CD, 80 minutes; what is larger is a DVD. */
export const LARGEST_CD = 80 * 60 * 75;
/** Blocks before LBA 0. */
const LEAD_IN = 150;

/** Standard INQUIRY data. */
export const InquiryData = struct("BE", {
  type: u8,
  removable: u8,
  version: u8,
  format: u8,
  additionalLength: u8,
  flags: bytes(3),
  vendor: bytes(8),
  product: bytes(16),
  revision: bytes(4),
});
export const CD_DEVICE = 0x05;
export const REMOVABLE = 0x80;

export const TocHeader = struct("BE", { length: u16, first: u8, last: u8 });
export const TocTrack = struct("BE", { reserved0: u8, control: u8, track: u8, reserved1: u8, address: u32 });
/** A full TOC's entry (format 2). */
export const TocEntry = struct("BE", {
  session: u8,
  control: u8,
  tno: u8,
  point: u8,
  atMinute: u8,
  atSecond: u8,
  atFrame: u8,
  zero: u8,
  minute: u8,
  second: u8,
  frame: u8,
});
/** Q sub-channel mode 1, a data track that may not be copied digitally. */
export const DATA_TRACK = 0x14;
export const LEAD_OUT_TRACK = 0xaa;

export const DiscInformation = struct("BE", {
  length: u16,
  status: u8,
  firstTrack: u8,
  sessions: u8,
  firstTrackOfLastSession: u8,
  lastTrackOfLastSession: u8,
  validity: u8,
  type: u8,
  high: bytes(3),
  identification: u32,
  lastLeadIn: u32,
  lastPossibleLeadOut: u32,
  barCode: bytes(8),
  application: u8,
  tables: u8,
});

export const TrackInformation = struct("BE", {
  length: u16,
  track: u8,
  session: u8,
  reserved: u8,
  trackMode: u8,
  dataMode: u8,
  validity: u8,
  start: u32,
  nextWritable: u32,
  freeBlocks: u32,
  packetSize: u32,
  size: u32,
  lastRecorded: u32,
});

export const Capacity = struct("BE", { lastBlock: u32, blockSize: u32 });
export const SectorHeader = struct("BE", { dataMode: u8, reserved: bytes(3), address: u32 });
/** In READ SUB-CHANNEL's answer: from the disc's start and from the track's. */
export const Position = struct("BE", { address: u32, relative: u32 });

/** Physical format of a DVD-ROM (disc structure 0). */
export const DvdPhysical = struct("BE", {
  bookType: u8,
  discSize: u8,
  layers: u8,
  density: u8,
  zero0: u8,
  startHigh: u8,
  start: u16,
  zero1: u8,
  endHigh: u8,
  end: u16,
  zero2: u8,
  endLayer0: bytes(3),
  bca: u8,
});
/** Where the data of a DVD begin. */
export const DVD_DATA_START = 0x3_0000;

/** Features. @spec MMC-6 §5.3 */
export const Feature = {
  profileList: 0x0000,
  core: 0x0001,
  morphing: 0x0002,
  removableMedium: 0x0003,
  randomReadable: 0x0010,
  multiRead: 0x001d,
  cdRead: 0x001e,
  dvdRead: 0x001f,
  powerManagement: 0x0100,
  timeout: 0x0105,
} as const;
export const Profile = { none: 0x0000, cdRom: 0x0008, dvdRom: 0x0010 } as const;

export const ModePage = { readErrorRecovery: 0x01, power: 0x1a, capabilities: 0x2a, all: 0x3f } as const;

export interface Msf {
  minute: number;
  second: number;
  frame: number;
}

/** Minutes, seconds and frames of a block's address. */
export function msfOf(lba: number): Msf {
  const frames = lba + LEAD_IN;
  return { minute: Math.floor(frames / 4500) & 0xff, second: Math.floor(frames / 75) % 60, frame: frames % 75 };
}

/** The block at an address in minutes, seconds and frames; negative in the first two seconds. */
export function lbaOf(minute: number, second: number, frame: number): number {
  return (minute * 60 + second) * 75 + frame - LEAD_IN;
}

export function packMsf({ minute, second, frame }: Msf): number {
  return ((minute << 16) | (second << 8) | frame) >>> 0;
}

/** ASCII, padded with spaces. */
export function padded(text: string, length: number): Uint8Array {
  const result = new Uint8Array(length).fill(0x20);
  for (let i = 0; i < Math.min(text.length, length); i++) result[i] = text.charCodeAt(i) & 0x7f;
  return result;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
