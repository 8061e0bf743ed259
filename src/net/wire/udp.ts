/**
 * Datagrams.
 *
 * @spec RFC 768
 */
import { struct, u16 } from "../../bits/struct.ts";
import { internetChecksum } from "./checksum.ts";
import { IP_PROTOCOL, IPV4_HEADER, type Ipv4Endpoints, LARGEST_IPV4_PACKET, pseudoHeaderSum } from "./ipv4.ts";

/** Bytes of a header. */
export const UDP_HEADER = 8;
/** Most bytes of a datagram's payload in one frame. */
export const LARGEST_UDP_PAYLOAD = LARGEST_IPV4_PACKET - IPV4_HEADER - UDP_HEADER;

const Header = struct("BE", { sourcePort: u16, destinationPort: u16, length: u16, checksum: u16 });

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** `payload` is an IPv4 packet's. Undefined also where the checksum is there (not 0) and wrong. */
export function parseUdp(payload: Uint8Array, endpoints: Ipv4Endpoints): UdpDatagram | undefined {
  if (payload.length < UDP_HEADER) return undefined;
  const { sourcePort, destinationPort, length, checksum } = Header.at(payload);
  if (length < UDP_HEADER || length > payload.length) return undefined;
  const datagram = payload.subarray(0, length);
  if (checksum !== 0 && internetChecksum(datagram, pseudoHeaderSum(endpoints, IP_PROTOCOL.udp, length)) !== 0) {
    return undefined;
  }
  return { sourcePort, destinationPort, payload: datagram.subarray(UDP_HEADER) };
}

/** Throws RangeError where the datagram would have more than 65535 bytes. */
export function makeUdp({ sourcePort, destinationPort, payload }: UdpDatagram, endpoints: Ipv4Endpoints): Uint8Array {
  const length = UDP_HEADER + payload.length;
  if (length > 0xffff) throw new RangeError(`a UDP datagram cannot carry ${payload.length} bytes`);
  const datagram = new Uint8Array(length);
  const header = Header.at(datagram);
  Object.assign(header, { sourcePort, destinationPort, length });
  datagram.set(payload, UDP_HEADER);
  // A sum of 0 is sent as its other form, as 0 says that there is none.
  header.checksum = internetChecksum(datagram, pseudoHeaderSum(endpoints, IP_PROTOCOL.udp, length)) || 0xffff;
  return datagram;
}
