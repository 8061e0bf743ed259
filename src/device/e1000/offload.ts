/**
 * What the controller does to packets on their way out: checksums, cutting TCP's data into segments, VLAN tags.
 *
 * Offsets are software's. Those that lead out of a frame change nothing.
 *
 * @spec 317453 §3.5 "TCP Segmentation", §3.6 "IP/TCP/UDP Transmit Checksum Offloading"; RFC 1071
 */
import { LARGEST_FRAME } from "../../net/link.ts";

/** A context descriptor, as it counts for the data descriptors behind it. */
export interface OffloadContext {
  /** Where the IP checksum starts, is put, and ends: 0, or the last byte. */
  ipcss: number;
  ipcso: number;
  ipcse: number;
  /** The same of the TCP or UDP checksum. */
  tucss: number;
  tucso: number;
  tucse: number;
  /** TCP; else UDP. */
  tcp: boolean;
  /** IPv4; else IPv6. */
  ipv4: boolean;
  /** Bytes of all headers, which begin every segment. */
  hdrlen: number;
  /** Bytes of data in every segment but the last. */
  mss: number;
}

/** POPTS: the checksums that a packet is to get. */
export interface Insertions {
  ip: boolean;
  transport: boolean;
}

const IPV6_HEADER = 40;
const FIN_PSH = 0x09;
/** In front of the EtherType. */
const TAG_AT = 12;
const TAG = 4;

export const get16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** The ones' complement sum of the 16-bit words from `start` on, a last odd byte being an upper half. */
export function onesComplementSum(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return fold(total);
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/**
 * Puts a checksum of the bytes from `start` to `end` (0: all, else the last one) at `at`. What stands there counts, as
 * software puts the sum of the pseudo header there. A checksum of 0 is sent as FFFFh where it would mean that there is none.
 */
export function insertChecksum(
  frame: Uint8Array,
  { start, at, end, neverZero }: { start: number; at: number; end: number; neverZero: boolean },
): void {
  const stop = end === 0 ? frame.length : Math.min(end + 1, frame.length);
  if (at + 2 > frame.length || start >= stop) return;
  const checksum = ~onesComplementSum(frame, start, stop) & 0xffff;
  put16(frame, at, checksum === 0 && neverZero ? 0xffff : checksum);
}

export function insertChecksums(frame: Uint8Array, context: OffloadContext, { ip, transport }: Insertions): void {
  const { ipcss, ipcso, ipcse, tucss, tucso, tucse, tcp } = context;
  if (transport) insertChecksum(frame, { start: tucss, at: tucso, end: tucse, neverZero: !tcp });
  if (ip) insertChecksum(frame, { start: ipcss, at: ipcso, end: ipcse, neverZero: false });
}

/** How many frames a packet of `length` bytes becomes; 0 where the context does not fit it. */
export function segmentCount(length: number, { hdrlen, mss }: OffloadContext): number {
  if (mss === 0 || hdrlen > length || hdrlen + mss > LARGEST_FRAME) return 0;
  return Math.max(1, Math.ceil((length - hdrlen) / mss));
}

/** Makes segment `index` of a packet at the start of `target`; returns it. */
export function makeSegment(
  packet: Uint8Array,
  context: OffloadContext,
  index: number,
  insertions: Insertions,
  target: Uint8Array,
): Uint8Array {
  const { ipcss, tucss, tucso, tcp, ipv4, hdrlen, mss } = context;
  const from = hdrlen + index * mss;
  const to = Math.min(from + mss, packet.length);
  const isLast = to === packet.length;
  const frame = target.subarray(0, hdrlen + (to - from));
  frame.set(packet.subarray(0, hdrlen));
  frame.set(packet.subarray(from, to), hdrlen);
  const header = frame.subarray(0, hdrlen);
  if (ipv4) {
    put16(header, ipcss + 2, frame.length - ipcss);
    put16(header, ipcss + 4, get16(header, ipcss + 4) + index);
  } else put16(header, ipcss + 4, frame.length - ipcss - IPV6_HEADER);
  const transportLength = frame.length - tucss;
  if (tcp) {
    const sequence = get16(header, tucss + 4) * 2 ** 16 + get16(header, tucss + 6) + index * mss;
    put16(header, tucss + 4, (sequence / 2 ** 16) & 0xffff);
    put16(header, tucss + 6, sequence & 0xffff);
    if (!isLast && tucss + 13 < hdrlen) header[tucss + 13]! &= ~FIN_PSH;
  } else put16(header, tucss + 4, transportLength);
  // Software's sum of the pseudo header is without the length, which differs from segment to segment.
  if (insertions.transport) put16(header, tucso, fold(get16(header, tucso) + Math.max(0, transportLength)));
  insertChecksums(frame, context, insertions);
  return frame;
}

/** Puts a VLAN tag into a frame at the start of `target`, which has room for it; returns the frame. */
export function insertTag(target: Uint8Array, length: number, etherType: number, tag: number): Uint8Array {
  target.copyWithin(TAG_AT + TAG, TAG_AT, length);
  put16(target, TAG_AT, etherType);
  put16(target, TAG_AT + 2, tag);
  return target.subarray(0, length + TAG);
}
