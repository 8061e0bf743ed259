/** Reads guest RAM the way a guest does, in tests. */
import { textAt } from "../c-string.ts";

export class GuestView {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  u8(at: number): number {
    return this.#view.getUint8(at);
  }
  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }
  /** Exact up to 2^53. */
  u64(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }
  bytes(at: number, length: number): Uint8Array {
    return this.#bytes.slice(at, at + length);
  }
  text(at: number, length = 4096): string {
    return textAt(this.#bytes, at, length);
  }
  /** Sum of bytes modulo 256. */
  sum(at: number, length: number): number {
    return this.bytes(at, length).reduce((sum, byte) => sum + byte, 0) & 0xff;
  }
}
