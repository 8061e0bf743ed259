/**
 * IPv4 packets.
 *
 * @spec RFC 791 §3.1; RFC 768 and RFC 9293 §3.1 for the pseudo-header
 *
 * Not modelled: putting fragments together (who cares for them finds their place in the fields); making options.
 */
import { struct, u8, u16, u32 } from "../../bits/struct.ts";
import { type Ipv4Address, ipv4Address } from "./addresses.ts";
import { internetChecksum } from "./checksum.ts";

/** What a packet carries. @spec RFC 790 and its successors */
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17 } as const;

/** Bytes of a header without options. */
export const IPV4_HEADER = 20;
/** Most bytes of a packet on Ethernet. @spec RFC 894 */
export const LARGEST_IPV4_PACKET = 1500;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
const FRAGMENT_UNIT = 8;
const VERSION = 4;
const DEFAULT_TIME_TO_LIVE = 64;

const Header = struct("BE", {
  versionAndLength: u8,
  typeOfService: u8,
  totalLength: u16,
  identification: u16,
  flagsAndOffset: u16,
  timeToLive: u8,
  protocol: u8,
  checksum: u16,
  source: u32,
  destination: u32,
});

/** From where to where: what the pseudo-header of UDP and TCP is made of. */
export interface Ipv4Endpoints {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
}

export interface Ipv4Packet extends Ipv4Endpoints {
  readonly typeOfService: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  /** Set in all fragments but the last. */
  readonly moreFragments: boolean;
  /** Where the payload lies in that of the whole packet, in bytes; 0 for a packet that is no fragment. */
  readonly fragmentOffset: number;
  readonly timeToLive: number;
  readonly protocol: number;
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
  /** All of it, without what stood after it in the frame. */
  readonly bytes: Uint8Array;
}

/** Undefined also where version, lengths or the header's checksum are wrong. */
export function parseIpv4(payload: Uint8Array): Ipv4Packet | undefined {
  if (payload.length < IPV4_HEADER) return undefined;
  const header = Header.at(payload);
  const headerLength = (header.versionAndLength & 0xf) * 4;
  const { totalLength, flagsAndOffset } = header;
  if (header.versionAndLength >> 4 !== VERSION || headerLength < IPV4_HEADER) return undefined;
  if (totalLength < headerLength || totalLength > payload.length) return undefined;
  if (internetChecksum(payload.subarray(0, headerLength)) !== 0) return undefined;
  return {
    typeOfService: header.typeOfService,
    identification: header.identification,
    dontFragment: (flagsAndOffset & DONT_FRAGMENT) !== 0,
    moreFragments: (flagsAndOffset & MORE_FRAGMENTS) !== 0,
    fragmentOffset: (flagsAndOffset & FRAGMENT_OFFSET) * FRAGMENT_UNIT,
    timeToLive: header.timeToLive,
    protocol: header.protocol,
    source: ipv4Address(header.source),
    destination: ipv4Address(header.destination),
    options: payload.subarray(IPV4_HEADER, headerLength),
    payload: payload.subarray(headerLength, totalLength),
    bytes: payload.subarray(0, totalLength),
  };
}

export interface Ipv4Fields extends Ipv4Endpoints {
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** 0 if absent, which is right for packets that are never cut in fragments (RFC 6864 §4.1). */
  readonly identification?: number;
  readonly dontFragment?: boolean;
  /** 64 if absent. */
  readonly timeToLive?: number;
  readonly typeOfService?: number;
}

/** A whole packet. Throws RangeError where it would have more than 65535 bytes. */
export function makeIpv4(fields: Ipv4Fields): Uint8Array {
  const totalLength = IPV4_HEADER + fields.payload.length;
  if (totalLength > 0xffff) throw new RangeError(`an IPv4 packet cannot carry ${fields.payload.length} bytes`);
  const packet = new Uint8Array(totalLength);
  const header = Header.at(packet);
  header.versionAndLength = (VERSION << 4) | (IPV4_HEADER / 4);
  header.typeOfService = fields.typeOfService ?? 0;
  header.totalLength = totalLength;
  header.identification = fields.identification ?? 0;
  header.flagsAndOffset = fields.dontFragment === true ? DONT_FRAGMENT : 0;
  header.timeToLive = fields.timeToLive ?? DEFAULT_TIME_TO_LIVE;
  header.protocol = fields.protocol;
  header.source = fields.source;
  header.destination = fields.destination;
  header.checksum = internetChecksum(packet.subarray(0, IPV4_HEADER));
  packet.set(fields.payload, IPV4_HEADER);
  return packet;
}

/** The sum of the words that UDP and TCP count besides their own, to begin their checksum with. */
export function pseudoHeaderSum({ source, destination }: Ipv4Endpoints, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}
