/** Reads the WebAssembly binary encodings. */
import { TYPE_CODE, type ValueType } from "./opcodes.ts";

const TYPES = new Map(Object.entries(TYPE_CODE).map(([type, code]) => [code, type as ValueType]));

export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new RangeError("the module ends within an item");
    return value;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw new RangeError("the module ends within an item");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** Unsigned LEB128 of up to 32 bits. */
  unsigned(): number {
    let value = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = this.byte();
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    return value >>> 0;
  }

  /** Signed LEB128 of up to 32 bits. */
  signed32(): number {
    return Number(BigInt.asIntN(32, this.signed()));
  }

  /** Signed LEB128. */
  signed(): bigint {
    const { value, bits } = this.#leb();
    return BigInt.asIntN(bits, value);
  }

  #leb(): { value: bigint; bits: number } {
    let value = 0n;
    let bits = 0;
    let byte: number;
    do {
      byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(bits);
      bits += 7;
    } while (byte & 0x80);
    return { value, bits };
  }

  name(): string {
    return String.fromCharCode(...this.take(this.unsigned()));
  }

  type(): ValueType {
    const code = this.byte();
    const type = TYPES.get(code);
    if (type === undefined) throw new RangeError(`${code} is no type of values`);
    return type;
  }

  /** As many items as the number in front of them says. */
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }

  f32(): number {
    return new DataView(this.take(4).slice().buffer).getFloat32(0, true);
  }
  f64(): number {
    return new DataView(this.take(8).slice().buffer).getFloat64(0, true);
  }
}
