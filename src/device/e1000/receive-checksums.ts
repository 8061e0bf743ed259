/**
 * Checks the checksums of received packets.
 *
 * @spec 317453 §3.2.9 "Receive Packet Checksum Offloading"
 *
 * Not modelled: the checksum of the whole packet from RXCSUM.PCSS on (it reads 0), IPv6, packets within VLAN tags or with
 * LLC headers: software is told to ignore the results for these.
 */
import { ETHERNET_HEADER } from "../../net/link.ts";
import { get16, onesComplementSum } from "./offload.ts";
import { Rxcsum } from "./registers.ts";

/** Bits of a receive descriptor, §3.2.3. */
export const RxStatus = { dd: 0x01, eop: 0x02, ixsm: 0x04, vp: 0x08, tcpcs: 0x20, ipcs: 0x40, pif: 0x80 } as const;
export const RxError = { tcpe: 0x20, ipe: 0x40 } as const;

export interface ChecksumResult {
  /** RxStatus */
  status: number;
  /** RxError */
  errors: number;
}

const IPV4 = 0x0800;
const IPV4_HEADER = 20;
const TCP = 6;
const UDP = 17;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
/** More fragments, and the offset. */
const FRAGMENT = 0x3fff;

const IGNORE: ChecksumResult = { status: RxStatus.ixsm, errors: 0 };

/** What the descriptor says of a frame's checksums. */
export function checkChecksums(frame: Uint8Array, rxcsum: number): ChecksumResult {
  const isIpChecked = (rxcsum & Rxcsum.mask.ipofl) !== 0;
  const isTransportChecked = (rxcsum & Rxcsum.mask.tuofl) !== 0;
  if (!isIpChecked && !isTransportChecked) return IGNORE;
  const ip = frame.subarray(ETHERNET_HEADER);
  const headerLength = ((ip[0] ?? 0) & 0xf) * 4;
  const length = get16(ip, 2);
  if (get16(frame, ETHERNET_HEADER - 2) !== IPV4 || (ip[0] ?? 0) >>> 4 !== 4) return IGNORE;
  if (headerLength < IPV4_HEADER || headerLength > length || length > ip.length) return IGNORE;
  const result: ChecksumResult = { status: 0, errors: 0 };
  if (isIpChecked) {
    result.status |= RxStatus.ipcs;
    if (onesComplementSum(ip, 0, headerLength) !== 0xffff) result.errors |= RxError.ipe;
  }
  if (isTransportChecked && hasTransportChecksum(ip, headerLength, length)) {
    result.status |= RxStatus.tcpcs;
    const pseudoHeader = onesComplementSum(ip, 12, 20, ip[9]! + length - headerLength);
    if (onesComplementSum(ip, headerLength, length, pseudoHeader) !== 0xffff) result.errors |= RxError.tcpe;
  }
  return result.status === 0 ? IGNORE : result;
}

function hasTransportChecksum(ip: Uint8Array, headerLength: number, length: number): boolean {
  if ((get16(ip, 6) & FRAGMENT) !== 0) return false;
  const size = length - headerLength;
  if (ip[9] === TCP) return size >= TCP_HEADER;
  // A UDP checksum of 0 is none.
  return ip[9] === UDP && size >= UDP_HEADER && get16(ip, headerLength + 6) !== 0;
}
