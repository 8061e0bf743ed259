/**
 * Options of DHCP: how they lie in a message, and what their values look like.
 *
 * @spec RFC 2132; RFC 3396 (long options); RFC 4578 (PXE); Intel, "Preboot Execution Environment (PXE) Specification 2.1" §2.2
 */
import { decodeUtf8, encodeUtf8 } from "../../bits/utf8.ts";
import { type Ipv4Address, ipv4Address } from "./addresses.ts";

/** Values by option code. */
export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

export const DHCP_OPTION = {
  subnetMask: 1,
  routers: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  broadcastAddress: 28,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverIdentifier: 54,
  parameterRequestList: 55,
  message: 56,
  maximumMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientIdentifier: 61,
  serverName: 66,
  bootFile: 67,
  userClass: 77,
  clientArchitecture: 93,
  clientInterface: 94,
  clientMachine: 97,
} as const;

const PAD = 0;
const END = 255;
const MOST_IN_ONE = 255;

/** Options in the order of their codes' first places, the parts of a split one joined; what is cut off at the end is left out. */
export function parseDhcpOptions(...fields: readonly Uint8Array[]): Map<number, Uint8Array> {
  const parts = new Map<number, Uint8Array[]>();
  for (const field of fields) {
    for (let at = 0; at < field.length && field[at] !== END; ) {
      const code = field[at] as number;
      const length = field[at + 1];
      if (code === PAD) at++;
      else if (length === undefined || at + 2 + length > field.length) break;
      else {
        const part = field.subarray(at + 2, at + 2 + length);
        const others = parts.get(code);
        if (others === undefined) parts.set(code, [part]);
        else others.push(part);
        at += 2 + length;
      }
    }
  }
  const options = new Map<number, Uint8Array>();
  for (const [code, list] of parts) options.set(code, list.length === 1 ? (list[0] as Uint8Array) : joined(list));
  return options;
}

/** Ends with the end option. Values of more than 255 bytes are split. */
export function makeDhcpOptions(options: DhcpOptions): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [code, value] of options) {
    let at = 0;
    do {
      const part = value.subarray(at, at + MOST_IN_ONE);
      pieces.push(Uint8Array.of(code, part.length), part);
      at += MOST_IN_ONE;
    } while (at < value.length);
  }
  return joined([...pieces, Uint8Array.of(END)]);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** All addresses of a value; what is left after the last whole one is ignored. */
export function addressesIn(value: Uint8Array | undefined): Ipv4Address[] {
  const addresses: Ipv4Address[] = [];
  for (let at = 0; value !== undefined && at + 4 <= value.length; at += 4) {
    addresses.push(ipv4Address(bigEndian(value.subarray(at, at + 4))));
  }
  return addresses;
}

/** The first address of a value. */
export const addressIn = (value: Uint8Array | undefined): Ipv4Address | undefined => addressesIn(value)[0];

/** An unsigned number of 1, 2 or 4 bytes; undefined for other lengths. */
export function numberIn(value: Uint8Array | undefined): number | undefined {
  return value !== undefined && [1, 2, 4].includes(value.length) ? bigEndian(value) : undefined;
}

/** Numbers of two bytes each, as in `clientArchitecture`. */
export function wordsIn(value: Uint8Array | undefined): number[] {
  const words: number[] = [];
  for (let at = 0; value !== undefined && at + 2 <= value.length; at += 2) {
    words.push(bigEndian(value.subarray(at, at + 2)));
  }
  return words;
}

/** A text up to its first zero, as some senders end it with one. */
export function textIn(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return decodeUtf8(end < 0 ? value : value.subarray(0, end));
}

const bigEndian = (bytes: Uint8Array) => bytes.reduce((value, byte) => value * 256 + byte, 0);

export function addressOption(...addresses: readonly Ipv4Address[]): Uint8Array {
  return joined(addresses.map((address) => numberOption(address, 4)));
}

/** `size` is the number's bytes. */
export function numberOption(value: number, size: 1 | 2 | 4): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => value >>> (8 * (size - 1 - i)));
}

export const textOption = (text: string): Uint8Array => encodeUtf8(text);

/** What `vendorClass` begins with in the messages of PXE clients, and is in those of servers. */
export const PXE_CLIENT = "PXEClient";

/** Options within `vendorSpecific`, which `parseDhcpOptions` and `makeDhcpOptions` read and make too. */
export const PXE_OPTION = { discoveryControl: 6, bootServers: 8, bootMenu: 9, menuPrompt: 10 } as const;

/** The bit of `discoveryControl` that has a client load `bootFile` without asking for boot servers. */
export const PXE_BOOT_FILE_ONLY = 8;

/** What `clientArchitecture` tells. @spec RFC 4578 §2.1; IANA, "Processor Architecture Types" */
export const CLIENT_ARCHITECTURE = { bios: 0, efi32: 6, efi64: 7, efi64Http: 16 } as const;

/** Whether a client's or a server's message is one of PXE. */
export function isPxe(options: DhcpOptions): boolean {
  return textIn(options.get(DHCP_OPTION.vendorClass))?.startsWith(PXE_CLIENT) === true;
}
