/**
 * Messages of DHCP, and of BOOTP, which are the same without the option that tells a DHCP message's type.
 *
 * @spec RFC 2131 §2, §4.1; RFC 951; RFC 1542 §2.1 (least length); RFC 2132 §9.3 and RFC 3396 (options in other fields)
 *
 * Not modelled: hardware other than Ethernet; making messages with options in other fields.
 */
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";
import { decodeUtf8, encodeUtf8 } from "../../bits/utf8.ts";
import { type Ipv4Address, ipv4Address, MAC_LENGTH, type MacAddress } from "./addresses.ts";
import { DHCP_OPTION, type DhcpOptions, makeDhcpOptions, numberIn, parseDhcpOptions } from "./dhcp-options.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Types of messages, as the option `messageType` tells them. */
export const DHCP_TYPE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

/** Most bytes of a boot file's name in its field, and of a server's name, which end with a zero. */
export const LONGEST_BOOT_FILE = 127;
export const LONGEST_SERVER_NAME = 63;

const OPERATION = { request: 1, reply: 2 } as const;
const ETHERNET = 1;
const BROADCAST = 0x8000;
const MAGIC = 0x6382_5363;
/** Bytes of a message at the least. */
const SMALLEST = 300;
/** What `overload` tells: which fields hold options too. */
const IN_BOOT_FILE = 1;
const IN_SERVER_NAME = 2;

const Header = struct("BE", {
  op: u8,
  htype: u8,
  hlen: u8,
  hops: u8,
  xid: u32,
  secs: u16,
  flags: u16,
  ciaddr: u32,
  yiaddr: u32,
  siaddr: u32,
  giaddr: u32,
  chaddr: bytes(16),
  sname: bytes(LONGEST_SERVER_NAME + 1),
  file: bytes(LONGEST_BOOT_FILE + 1),
});
const Magic = struct("BE", { value: u32 });

export interface DhcpMessage {
  readonly operation: "request" | "reply";
  /** xid: a client's number, which the replies to it repeat. */
  readonly transaction: number;
  readonly seconds: number;
  /** The client wants replies sent to all stations, as it cannot get those to an address that it does not have yet. */
  readonly broadcast: boolean;
  /** ciaddr: the client's address, where it has one. */
  readonly clientAddress: Ipv4Address;
  /** yiaddr: the address that the server gives. */
  readonly yourAddress: Ipv4Address;
  /** siaddr: who serves the boot file. */
  readonly serverAddress: Ipv4Address;
  /** giaddr: who passes the message on between networks. */
  readonly relayAddress: Ipv4Address;
  readonly clientMac: MacAddress;
  /** sname; empty where the field holds options. */
  readonly serverName: string;
  /** file; empty where the field holds options. */
  readonly bootFile: string;
  readonly options: DhcpOptions;
}

/** `payload` is a datagram's. Undefined also for hardware other than Ethernet. */
export function parseDhcp(payload: Uint8Array): DhcpMessage | undefined {
  if (payload.length < Header.size) return undefined;
  const header = Header.at(payload);
  if (header.op !== OPERATION.request && header.op !== OPERATION.reply) return undefined;
  if (header.htype !== ETHERNET || header.hlen !== MAC_LENGTH) return undefined;
  const { options, overload } = readOptions(payload);
  return {
    operation: header.op === OPERATION.request ? "request" : "reply",
    transaction: header.xid,
    seconds: header.secs,
    broadcast: (header.flags & BROADCAST) !== 0,
    clientAddress: ipv4Address(header.ciaddr),
    yourAddress: ipv4Address(header.yiaddr),
    serverAddress: ipv4Address(header.siaddr),
    relayAddress: ipv4Address(header.giaddr),
    clientMac: header.chaddr.subarray(0, MAC_LENGTH),
    serverName: (overload & IN_SERVER_NAME) !== 0 ? "" : textOf(header.sname),
    bootFile: (overload & IN_BOOT_FILE) !== 0 ? "" : textOf(header.file),
    options,
  };
}

function readOptions(payload: Uint8Array): { options: DhcpOptions; overload: number } {
  const start = Header.size + Magic.size;
  if (payload.length < start || Magic.at(payload, Header.size).value !== MAGIC) {
    return { options: new Map(), overload: 0 };
  }
  const field = payload.subarray(start);
  const options = parseDhcpOptions(field);
  const overload = numberIn(options.get(DHCP_OPTION.overload)) ?? 0;
  if (overload < IN_BOOT_FILE || overload > (IN_BOOT_FILE | IN_SERVER_NAME)) return { options, overload: 0 };
  const { file, sname } = Header.at(payload);
  const fields = [field];
  if ((overload & IN_BOOT_FILE) !== 0) fields.push(file);
  if ((overload & IN_SERVER_NAME) !== 0) fields.push(sname);
  return { options: parseDhcpOptions(...fields), overload };
}

/** A message's type, one of DHCP_TYPE or another number; undefined for those of BOOTP. */
export const dhcpType = ({ options }: DhcpMessage): number | undefined =>
  numberIn(options.get(DHCP_OPTION.messageType));

export type DhcpFields = Pick<DhcpMessage, "operation" | "transaction" | "clientMac" | "options"> &
  Partial<DhcpMessage>;

/**
 * A datagram's payload; what is absent is zero. Options lie in the map's order. Throws RangeError where the names of file
 * or server are too long for their fields.
 */
export function makeDhcp(fields: DhcpFields): Uint8Array {
  const options = makeDhcpOptions(fields.options);
  const message = new Uint8Array(Math.max(Header.size + Magic.size + options.length, SMALLEST));
  const header = Header.at(message);
  header.op = OPERATION[fields.operation];
  header.htype = ETHERNET;
  header.hlen = MAC_LENGTH;
  header.xid = fields.transaction;
  header.secs = fields.seconds ?? 0;
  header.flags = fields.broadcast === true ? BROADCAST : 0;
  header.ciaddr = fields.clientAddress ?? 0;
  header.yiaddr = fields.yourAddress ?? 0;
  header.siaddr = fields.serverAddress ?? 0;
  header.giaddr = fields.relayAddress ?? 0;
  header.chaddr = fields.clientMac;
  header.sname = fieldOf(fields.serverName ?? "", LONGEST_SERVER_NAME);
  header.file = fieldOf(fields.bootFile ?? "", LONGEST_BOOT_FILE);
  Magic.at(message, Header.size).value = MAGIC;
  message.set(options, Header.size + Magic.size);
  return message;
}

function textOf(field: Uint8Array): string {
  const end = field.indexOf(0);
  return decodeUtf8(end < 0 ? field : field.subarray(0, end));
}

function fieldOf(text: string, longest: number): Uint8Array {
  const encoded = encodeUtf8(text);
  if (encoded.length > longest) throw new RangeError(`"${text}" has more than ${longest} bytes`);
  return encoded;
}
