/**
 * Address resolution for IPv4 on Ethernet: who has an address?
 *
 * @spec RFC 826; RFC 5227 (probes and announcements are requests)
 */
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";
import { type Ipv4Address, ipv4Address, MAC_LENGTH, type MacAddress } from "./addresses.ts";
import { ETHER_TYPE } from "./ethernet.ts";

export const ARP_OPERATION = { request: 1, reply: 2 } as const;

const ETHERNET = 1;
const IPV4_LENGTH = 4;

const Packet = struct("BE", {
  hardwareType: u16,
  protocolType: u16,
  hardwareLength: u8,
  protocolLength: u8,
  operation: u16,
  senderMac: bytes(MAC_LENGTH),
  senderIp: u32,
  targetMac: bytes(MAC_LENGTH),
  targetIp: u32,
});

export interface ArpPacket {
  /** One of ARP_OPERATION, or another number. */
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderIp: Ipv4Address;
  /** Means nothing in a request. */
  readonly targetMac: MacAddress;
  readonly targetIp: Ipv4Address;
}

export function parseArp(payload: Uint8Array): ArpPacket | undefined {
  if (payload.length < Packet.size) return undefined;
  const packet = Packet.at(payload);
  if (packet.hardwareType !== ETHERNET || packet.hardwareLength !== MAC_LENGTH) return undefined;
  if (packet.protocolType !== ETHER_TYPE.ipv4 || packet.protocolLength !== IPV4_LENGTH) return undefined;
  return {
    operation: packet.operation,
    senderMac: packet.senderMac,
    senderIp: ipv4Address(packet.senderIp),
    targetMac: packet.targetMac,
    targetIp: ipv4Address(packet.targetIp),
  };
}

export function makeArp(packet: ArpPacket): Uint8Array {
  return Packet.make({
    hardwareType: ETHERNET,
    protocolType: ETHER_TYPE.ipv4,
    hardwareLength: MAC_LENGTH,
    protocolLength: IPV4_LENGTH,
    ...packet,
  });
}
