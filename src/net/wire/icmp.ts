/**
 * Control messages: echo, and that a packet could not be delivered.
 *
 * @spec RFC 792; RFC 1122 §3.2.2; RFC 1191 §4 for the MTU in "fragmentation needed"
 *
 * Not modelled: all other messages, which `parseIcmp` takes for none.
 */
import { internetChecksum } from "./checksum.ts";
import type { Ipv4Packet } from "./ipv4.ts";

/** Why a destination is unreachable. */
export const UNREACHABLE = {
  network: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  prohibited: 13,
} as const;

const TYPE = { echoReply: 0, unreachable: 3, echoRequest: 8 } as const;
const HEADER = 8;
/** Bytes of the undeliverable packet's payload that are sent back besides its header: the ports are among them. */
const QUOTED = 8;

export interface IcmpEcho {
  readonly kind: "echo-request" | "echo-reply";
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface IcmpUnreachable {
  readonly kind: "unreachable";
  /** One of UNREACHABLE, or another number. */
  readonly code: number;
  /** Bytes that the next network takes, with "fragmentation needed"; 0 where it is not told. */
  readonly mtu: number;
  /** Header and first bytes of the packet that could not be delivered. */
  readonly original: Uint8Array;
}

export type IcmpMessage = IcmpEcho | IcmpUnreachable;

/** Undefined also where the checksum is wrong. */
export function parseIcmp(payload: Uint8Array): IcmpMessage | undefined {
  if (payload.length < HEADER || internetChecksum(payload) !== 0) return undefined;
  const [type, code = 0] = payload;
  const upper = word(payload, 4);
  const lower = word(payload, 6);
  const rest = payload.subarray(HEADER);
  if (type === TYPE.unreachable) return { kind: "unreachable", code, mtu: lower, original: rest };
  if ((type !== TYPE.echoRequest && type !== TYPE.echoReply) || code !== 0) return undefined;
  const kind = type === TYPE.echoRequest ? "echo-request" : "echo-reply";
  return { kind, identifier: upper, sequence: lower, data: rest };
}

export function makeIcmp(message: IcmpMessage): Uint8Array {
  if (message.kind === "unreachable") return make(TYPE.unreachable, message.code, 0, message.mtu, message.original);
  const type = message.kind === "echo-request" ? TYPE.echoRequest : TYPE.echoReply;
  return make(type, 0, message.identifier, message.sequence, message.data);
}

/** As much of a packet as a message that it could not be delivered tells of it. @spec RFC 792, "Destination Unreachable" */
export function quotedPacket({ bytes, payload }: Ipv4Packet): Uint8Array {
  const headerLength = bytes.length - payload.length;
  return bytes.subarray(0, headerLength + Math.min(payload.length, QUOTED));
}

const word = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

function make(type: number, code: number, upper: number, lower: number, rest: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER + rest.length);
  message.set([type, code, 0, 0, upper >> 8, upper, lower >> 8, lower]);
  message.set(rest, HEADER);
  const checksum = internetChecksum(message);
  message[2] = checksum >> 8;
  message[3] = checksum;
  return message;
}
