/**
 * Packets of the Trivial File Transfer Protocol, with its options.
 *
 * @spec RFC 1350 §5; RFC 2347 (options); RFC 2348 (blksize), RFC 2349 (tsize, timeout), RFC 7440 (windowsize)
 */
import { decodeUtf8, encodeUtf8 } from "../../bits/utf8.ts";

/** Where servers get requests. */
export const TFTP_PORT = 69;
/** Bytes of a block, unless another size was agreed on. */
export const TFTP_BLOCK_SIZE = 512;
/** Bytes of a data packet before its data. */
export const TFTP_DATA_HEADER = 4;

/** @spec RFC 1350, appendix; RFC 2347, "Packet Formats", for the last one */
export const TFTP_ERROR = {
  undefined: 0,
  fileNotFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransfer: 5,
  fileExists: 6,
  noSuchUser: 7,
  optionsRefused: 8,
} as const;

/** By name, in lower case; values are decimal numbers. */
export type TftpOptions = ReadonlyMap<string, string>;

export interface TftpRequest {
  readonly kind: "read" | "write";
  readonly file: string;
  /** In lower case: "octet", "netascii", or what else was sent. */
  readonly mode: string;
  readonly options: TftpOptions;
}

export interface TftpData {
  readonly kind: "data";
  /** From 1; 0 follows 65535. */
  readonly block: number;
  /** Shorter than a block at the file's end alone. */
  readonly data: Uint8Array;
}

export interface TftpAcknowledgment {
  readonly kind: "acknowledgment";
  readonly block: number;
}

export interface TftpError {
  readonly kind: "error";
  /** One of TFTP_ERROR, or another number. */
  readonly code: number;
  readonly message: string;
}

export interface TftpOptionAcknowledgment {
  readonly kind: "option-acknowledgment";
  readonly options: TftpOptions;
}

export type TftpPacket = TftpRequest | TftpData | TftpAcknowledgment | TftpError | TftpOptionAcknowledgment;

const OPCODE = { read: 1, write: 2, data: 3, acknowledgment: 4, error: 5, "option-acknowledgment": 6 } as const;

/** `payload` is a datagram's. */
export function parseTftp(payload: Uint8Array): TftpPacket | undefined {
  if (payload.length < 2) return undefined;
  const opcode = word(payload, 0);
  const rest = payload.subarray(2);
  if (opcode === OPCODE["option-acknowledgment"]) {
    return { kind: "option-acknowledgment", options: pairs(texts(rest)) };
  }
  if (opcode === OPCODE.read || opcode === OPCODE.write) {
    const [file, mode, ...options] = texts(rest);
    if (file === undefined || mode === undefined) return undefined;
    return { kind: opcode === OPCODE.read ? "read" : "write", file, mode: mode.toLowerCase(), options: pairs(options) };
  }
  if (rest.length < 2) return undefined;
  const number = word(rest, 0);
  const last = rest.subarray(2);
  if (opcode === OPCODE.data) return { kind: "data", block: number, data: last };
  if (opcode === OPCODE.acknowledgment) return { kind: "acknowledgment", block: number };
  // The zero after the message is missing in some senders' packets.
  if (opcode === OPCODE.error) return { kind: "error", code: number, message: texts(last)[0] ?? decodeUtf8(last) };
  return undefined;
}

/** A datagram's payload. */
export function makeTftp(packet: TftpPacket): Uint8Array {
  const opcode = OPCODE[packet.kind];
  switch (packet.kind) {
    case "read":
    case "write":
      return make([opcode], zeroEnded([packet.file, packet.mode, ...[...packet.options].flat()]));
    case "option-acknowledgment":
      return make([opcode], zeroEnded([...packet.options].flat()));
    case "error":
      return make([opcode, packet.code], zeroEnded([packet.message]));
    case "data":
      return make([opcode, packet.block], packet.data);
    case "acknowledgment":
      return make([opcode, packet.block]);
  }
}

/** An option's value as a number, where it is one from `least` to `most`. */
export function tftpNumber(value: string | undefined, least: number, most: number): number | undefined {
  if (value === undefined || !/^\d{1,15}$/.test(value)) return undefined;
  const number = Number(value);
  return number >= least && number <= most ? number : undefined;
}

const word = (bytes: Uint8Array, at: number) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

/** Texts that end with a zero each. */
function texts(bytes: Uint8Array): string[] {
  const found: string[] = [];
  for (let at = 0, end = bytes.indexOf(0); end >= 0; at = end + 1, end = bytes.indexOf(0, at)) {
    found.push(decodeUtf8(bytes.subarray(at, end)));
  }
  return found;
}

/** The first of several values for a name counts. */
function pairs(list: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = (list[i] as string).toLowerCase();
    if (!options.has(name)) options.set(name, list[i + 1] as string);
  }
  return options;
}

const zeroEnded = (list: readonly string[]) => encodeUtf8(list.map((text) => `${text}\0`).join(""));

function make(words: readonly number[], rest: Uint8Array = new Uint8Array(0)): Uint8Array {
  const packet = new Uint8Array(2 * words.length + rest.length);
  words.forEach((value, i) => void packet.set([value >> 8, value], 2 * i));
  packet.set(rest, 2 * words.length);
  return packet;
}
