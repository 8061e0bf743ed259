/**
 * Sectors of a data CD as they lie on the disc: synchronisation, header, user data, error detection and correction.
 * @spec ECMA-130 §14 "Sector structure" (mode 1), annex A "Error correction encoding by RSPC"; MMC-6 §6.19 "READ CD"
 */
import { BLOCK_SIZE, msfOf } from "./cdrom-layout.ts";

/** Which parts of a sector READ CD brings, in the order they lie in. */
export interface SectorParts {
  readonly sync: boolean;
  readonly header: boolean;
  readonly userData: boolean;
  /** EDC, the zeros behind it, and ECC. */
  readonly ecc: boolean;
}

const SYNC = 12;
const USER = 16;
const EDC = 2064;
const PARITY_P = 2076;
const PARITY_Q = 2248;
export const RAW_SECTOR = 2352;
const MODE_1 = 1;

const bcd = (value: number): number => ((Math.floor(value / 10) % 10) << 4) | (value % 10);

export function lengthOf({ sync, header, userData, ecc }: SectorParts): number {
  return (sync ? SYNC : 0) + (header ? USER - SYNC : 0) + (userData ? BLOCK_SIZE : 0) + (ecc ? RAW_SECTOR - EDC : 0);
}

/** The parts of the sector at `lba` that holds `block`. */
export function sectorParts(lba: number, block: Uint8Array, parts: SectorParts): Uint8Array {
  const raw = rawSector(lba, block);
  const result = new Uint8Array(lengthOf(parts));
  let at = 0;
  const take = (wanted: boolean, from: number, to: number) => {
    if (!wanted) return;
    result.set(raw.subarray(from, to), at);
    at += to - from;
  };
  take(parts.sync, 0, SYNC);
  take(parts.header, SYNC, USER);
  take(parts.userData, USER, EDC);
  take(parts.ecc, EDC, RAW_SECTOR);
  return result;
}

function rawSector(lba: number, block: Uint8Array): Uint8Array {
  const raw = new Uint8Array(RAW_SECTOR);
  raw.fill(0xff, 1, SYNC - 1);
  const { minute, second, frame } = msfOf(lba);
  raw.set([bcd(minute), bcd(second), bcd(frame), MODE_1], SYNC);
  raw.set(block, USER);
  let edc = 0;
  for (let at = 0; at < EDC; at++) edc = (edc >>> 8) ^ EDC_TABLE[(edc ^ raw[at]!) & 0xff]!;
  for (let at = 0; at < 4; at++) raw[EDC + at] = edc >>> (8 * at);
  parity(raw, PARITY_P, { vectors: 86, length: 24, step: 86, next: 2 });
  parity(raw, PARITY_Q, { vectors: 52, length: 43, step: 88, next: 86 });
  return raw;
}

/** CRC with x^32 + x^31 + x^16 + x^15 + x^4 + x^3 + x + 1, least significant bit first. */
const EDC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xd801_8001 : 0);
  return value >>> 0;
});

/** Multiplication by x in GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1, and division by x + 1. */
const TIMES_X = Uint8Array.from({ length: 256 }, (_, value) => (value << 1) ^ (value & 0x80 ? 0x11d : 0));
const BY_X_PLUS_1 = (() => {
  const table = new Uint8Array(256);
  for (let value = 0; value < 256; value++) table[value ^ TIMES_X[value]!] = value;
  return table;
})();

interface ParityLayout {
  readonly vectors: number;
  readonly length: number;
  /** Bytes from one element of a vector to the next, and from a pair of vectors to the next. */
  readonly step: number;
  readonly next: number;
}

/** Two parity bytes for each vector; vectors run over everything from the header to `target`. */
function parity(raw: Uint8Array, target: number, { vectors, length, step, next }: ParityLayout): void {
  const size = vectors * length;
  for (let vector = 0; vector < vectors; vector++) {
    let index = (vector >>> 1) * next + (vector & 1);
    let a = 0;
    let b = 0;
    for (let element = 0; element < length; element++) {
      const byte = raw[SYNC + index]!;
      index += step;
      if (index >= size) index -= size;
      a = TIMES_X[a ^ byte]!;
      b ^= byte;
    }
    a = BY_X_PLUS_1[TIMES_X[a]! ^ b]!;
    raw[target + vector] = a;
    raw[target + vectors + vector] = a ^ b;
  }
}
