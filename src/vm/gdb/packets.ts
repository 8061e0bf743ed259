/**
 * Packets of gdb's remote protocol: "$body#checksum", with acknowledgements and Ctrl-C between them.
 * @spec Debugging with GDB, appendix E.1 "Overview"
 */
import { textToBytes } from "./hex.ts";

/** Bytes that the body of a packet may have, in either direction. */
export const PACKET_SIZE = 0x4000;

export type Incoming =
  /** `body` has one character for each byte, escapes undone. */
  | { readonly kind: "packet"; readonly body: string }
  /** A packet that does not fit its checksum. */
  | { readonly kind: "damaged" }
  /** A packet with more than `PACKET_SIZE` bytes, all of which were dropped. */
  | { readonly kind: "too-long" }
  /** The other side has the last packet, or asks for it again. */
  | { readonly kind: "acknowledged" }
  | { readonly kind: "again" }
  | { readonly kind: "interrupt" };

const code = (character: string) => character.charCodeAt(0);
const START = code("$");
const END = code("#");
const ESCAPE = code("}");
const ESCAPED = 0x20;
const INTERRUPT = 3;

/** Finds packets in a stream of bytes; what is no packet is skipped. */
export class PacketReader {
  readonly #body = new Uint8Array(PACKET_SIZE);
  #state: "between" | "body" | "escaped" | "checksum" = "between";
  #length = 0;
  #tooLong = false;
  #sum = 0;
  #digits = "";

  /** What the next byte of the stream completes, if anything. */
  take(byte: number): Incoming | undefined {
    switch (this.#state) {
      case "between":
        return this.#between(byte);
      case "body":
      case "escaped":
        this.#inBody(byte);
        return undefined;
      case "checksum":
        return this.#inChecksum(byte);
    }
  }

  #between(byte: number): Incoming | undefined {
    if (byte === START) this.#begin();
    else if (byte === code("+")) return { kind: "acknowledged" };
    else if (byte === code("-")) return { kind: "again" };
    else if (byte === INTERRUPT) return { kind: "interrupt" };
    return undefined;
  }

  #begin(): void {
    this.#state = "body";
    this.#length = 0;
    this.#tooLong = false;
    this.#sum = 0;
    this.#digits = "";
  }

  #inBody(byte: number): void {
    // A start inside of a body: the end of the packet before it was lost.
    if (byte === START) {
      this.#begin();
      return;
    }
    if (byte === END) {
      this.#state = "checksum";
      return;
    }
    this.#sum = (this.#sum + byte) & 0xff;
    if (this.#state === "body" && byte === ESCAPE) {
      this.#state = "escaped";
      return;
    }
    const meant = this.#state === "escaped" ? byte ^ ESCAPED : byte;
    this.#state = "body";
    if (this.#length < PACKET_SIZE) this.#body[this.#length++] = meant;
    else this.#tooLong = true;
  }

  #inChecksum(byte: number): Incoming | undefined {
    this.#digits += String.fromCharCode(byte);
    if (this.#digits.length < 2) return undefined;
    this.#state = "between";
    if (!/^[0-9a-f]{2}$/i.test(this.#digits) || Number.parseInt(this.#digits, 16) !== this.#sum) {
      return { kind: "damaged" };
    }
    if (this.#tooLong) return { kind: "too-long" };
    let body = "";
    for (let i = 0; i < this.#length; i++) body += String.fromCharCode(this.#body[i] as number);
    return { kind: "packet", body };
  }
}

/** A body as it may stand in a packet: what has a meaning there is escaped. */
export function escapeBody(body: string): string {
  return body.replace(/[#$}*]/g, (character) => `}${String.fromCharCode(code(character) ^ ESCAPED)}`);
}

/** A whole packet with a body that is escaped already. */
export function writePacket(body: string): Uint8Array {
  const bytes = textToBytes(body);
  const sum = bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
  return textToBytes(`$${body}#${sum.toString(16).padStart(2, "0")}`);
}
