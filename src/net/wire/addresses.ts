/** Addresses of hosts: of Ethernet (IEEE 802 §8) and of IPv4 (RFC 791 §3.2), and how they are written (RFC 7042, RFC 6943). */
import type { Unit } from "../../bits/units.ts";

/** An IPv4 address as an unsigned number: 10.0.2.15 is 0x0a00020f. */
export type Ipv4Address = Unit<"Ipv4Address">;

/** `value` as an address, modulo 2^32. */
export const ipv4Address = (value: number): Ipv4Address => (value >>> 0) as Ipv4Address;

/** 0.0.0.0: a host that does not know its address. */
export const UNSPECIFIED_IPV4 = ipv4Address(0);
/** 255.255.255.255: all hosts of this network. */
export const BROADCAST_IPV4 = ipv4Address(0xffff_ffff);

/** Four decimal numbers without leading zeros, as in "10.0.2.15"; undefined for any other text. */
export function parseIpv4Address(text: string): Ipv4Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return ipv4Address(value);
}

export function formatIpv4Address(address: Ipv4Address): string {
  return [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join(".");
}

/** Six bytes. */
export type MacAddress = Uint8Array;

/** Bytes of an Ethernet address. */
export const MAC_LENGTH = 6;

/** ff:ff:ff:ff:ff:ff, as a new array. */
export const broadcastMac = (): MacAddress => new Uint8Array(MAC_LENGTH).fill(0xff);

/** Six hexadecimal numbers of two digits with colons or hyphens between, as in "52:54:00:12:34:56"; undefined for others. */
export function parseMacAddress(text: string): MacAddress | undefined {
  if (!/^[\da-f]{2}(?:(?::[\da-f]{2}){5}|(?:-[\da-f]{2}){5})$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

/** With lower-case digits and colons. */
export function formatMacAddress(address: MacAddress): string {
  return Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

export function isSameMac(one: MacAddress, other: MacAddress): boolean {
  for (let i = 0; i < MAC_LENGTH; i++) if (one[i] !== other[i]) return false;
  return true;
}

/** Whether frames to this address go to a group of stations, as those to all do. @spec IEEE 802 §8.2.2, the I/G bit */
export const isGroupMac = (address: MacAddress): boolean => ((address[0] ?? 0) & 1) !== 0;
