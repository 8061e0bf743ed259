/** The addresses of one IPv4 network. @spec RFC 4632 §3.1; RFC 919 (broadcast) */
import { type Ipv4Address, ipv4Address, parseIpv4Address } from "../wire/addresses.ts";

export interface Subnet {
  /** The lowest address, which is no host's. */
  readonly network: Ipv4Address;
  readonly mask: Ipv4Address;
  /** The highest address, which is all hosts'. */
  readonly broadcast: Ipv4Address;
}

/** Bits that hosts of a network have in common, at the least and at the most. */
const SHORTEST_PREFIX = 8;
const LONGEST_PREFIX = 29;

/** A network as "10.0.2.0/24"; undefined where it is none, or has less than 6 hosts, or more than 2^24. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = "", prefix = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const network = parseIpv4Address(address);
  const length = Number(prefix);
  if (network === undefined || length < SHORTEST_PREFIX || length > LONGEST_PREFIX) return undefined;
  const mask = ipv4Address(0xffff_ffff << (32 - length));
  if (ipv4Address(network & mask) !== network) return undefined;
  return { network, mask, broadcast: ipv4Address(network | ~mask) };
}

/** Whether the address can be a host's of this network. */
export function isHostOf(subnet: Subnet, address: Ipv4Address): boolean {
  return address > subnet.network && address < subnet.broadcast;
}
