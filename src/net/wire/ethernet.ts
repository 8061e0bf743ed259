/**
 * Ethernet II frames, without preamble and frame check sequence.
 *
 * @spec RFC 894; IEEE 802.3 §3.2
 *
 * Not modelled: frames whose type field is a length (IEEE 802.2), as hosts of IPv4 send none; VLAN tags.
 */
import { ETHERNET_HEADER, LARGEST_FRAME } from "../link.ts";
import { MAC_LENGTH, type MacAddress } from "./addresses.ts";

/** What a frame carries. @spec RFC 7042, appendix B.1 */
export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806 } as const;

/** Types from here on are types; smaller numbers are lengths. */
const LOWEST_TYPE = 0x600;
/** Least bytes of a frame on a cable. */
const SMALLEST_FRAME = 60;

export interface EthernetFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly type: number;
  /** With the padding that a short frame may have. */
  readonly payload: Uint8Array;
}

export function parseEthernet(frame: Uint8Array): EthernetFrame | undefined {
  if (frame.length < ETHERNET_HEADER || frame.length > LARGEST_FRAME) return undefined;
  const type = ((frame[12] as number) << 8) | (frame[13] as number);
  if (type < LOWEST_TYPE) return undefined;
  return {
    destination: frame.subarray(0, MAC_LENGTH),
    source: frame.subarray(MAC_LENGTH, 2 * MAC_LENGTH),
    type,
    payload: frame.subarray(ETHERNET_HEADER),
  };
}

/** Padded to 60 bytes. Throws RangeError where the payload has more than 1500 bytes. */
export function makeEthernet({ destination, source, type, payload }: EthernetFrame): Uint8Array {
  const length = ETHERNET_HEADER + payload.length;
  if (length > LARGEST_FRAME) throw new RangeError(`a frame cannot carry ${payload.length} bytes`);
  const frame = new Uint8Array(Math.max(length, SMALLEST_FRAME));
  frame.set(destination.subarray(0, MAC_LENGTH), 0);
  frame.set(source.subarray(0, MAC_LENGTH), MAC_LENGTH);
  frame[12] = type >> 8;
  frame[13] = type;
  frame.set(payload, ETHERNET_HEADER);
  return frame;
}
