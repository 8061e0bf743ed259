/**
 * TCP segments.
 *
 * @spec RFC 9293 §3.1
 */
import { bits, type Fields } from "../../bits/fields.ts";
import { struct, u8, u16, u32 } from "../../bits/struct.ts";
import { internetChecksum } from "./checksum.ts";
import { IP_PROTOCOL, type Ipv4Endpoints, pseudoHeaderSum } from "./ipv4.ts";

/** Bytes of a header without options. */
export const TCP_HEADER = 20;

const FLAGS = { fin: 0, syn: 1, rst: 2, psh: 3, ack: 4, urg: 5 } as const;
const Flags = bits(FLAGS);

const Header = struct("BE", {
  sourcePort: u16,
  destinationPort: u16,
  sequence: u32,
  acknowledgment: u32,
  /** In words of 4 bytes, in the upper four bits. */
  headerLength: u8,
  flags: u8,
  window: u16,
  checksum: u16,
  urgentPointer: u16,
});

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  /** Means nothing without the flag `ack`. */
  readonly acknowledgment: number;
  readonly flags: Fields<typeof FLAGS>;
  readonly window: number;
  readonly urgentPointer: number;
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

/** `payload` is an IPv4 packet's. Undefined also where the checksum is wrong. */
export function parseTcp(payload: Uint8Array, endpoints: Ipv4Endpoints): TcpSegment | undefined {
  if (payload.length < TCP_HEADER) return undefined;
  const header = Header.at(payload);
  const headerLength = (header.headerLength >> 4) * 4;
  if (headerLength < TCP_HEADER || headerLength > payload.length) return undefined;
  if (internetChecksum(payload, pseudoHeaderSum(endpoints, IP_PROTOCOL.tcp, payload.length)) !== 0) return undefined;
  return {
    sourcePort: header.sourcePort,
    destinationPort: header.destinationPort,
    sequence: header.sequence,
    acknowledgment: header.acknowledgment,
    flags: Flags(header.flags),
    window: header.window,
    urgentPointer: header.urgentPointer,
    options: payload.subarray(TCP_HEADER, headerLength),
    payload: payload.subarray(headerLength),
  };
}

export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  /** 0 if absent. */
  readonly acknowledgment?: number;
  readonly flags: Partial<Fields<typeof FLAGS>>;
  /** 0 if absent. */
  readonly window?: number;
  /** A multiple of 4 bytes, 40 at the most. */
  readonly options?: Uint8Array;
  readonly payload?: Uint8Array;
}

/** Throws RangeError where options are no whole words or too many. */
export function makeTcp(fields: TcpFields, endpoints: Ipv4Endpoints): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const payload = fields.payload ?? new Uint8Array(0);
  const headerLength = TCP_HEADER + options.length;
  if (headerLength % 4 !== 0 || headerLength > 60) throw new RangeError(`${options.length} bytes of TCP options`);
  const segment = new Uint8Array(headerLength + payload.length);
  const header = Header.at(segment);
  header.sourcePort = fields.sourcePort;
  header.destinationPort = fields.destinationPort;
  header.sequence = fields.sequence;
  header.acknowledgment = fields.acknowledgment ?? 0;
  header.headerLength = (headerLength / 4) << 4;
  header.flags = Flags.pack(fields.flags);
  header.window = fields.window ?? 0;
  segment.set(options, TCP_HEADER);
  segment.set(payload, headerLength);
  header.checksum = internetChecksum(segment, pseudoHeaderSum(endpoints, IP_PROTOCOL.tcp, segment.length));
  return segment;
}
