/**
 * The processor's state as TypeScript reads and writes it: fields of state.ts by name, on the shared memory.
 */
import { FPU, fieldAddress, fieldType, GPR, SEGMENT, SEGMENT_SIZE, SEGMENTS, XMM } from "./state.ts";

const MASK64 = 0xffff_ffff_ffff_ffffn;

export class Registers {
  readonly base: number;
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  readonly bytes: Uint8Array;

  constructor(memory: { readonly buffer: ArrayBufferLike }, vcpu: number) {
    this.base = vcpu;
    this.i32 = new Int32Array(memory.buffer);
    this.i64 = new BigInt64Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
  }

  /** A field's value, signed for i32 fields. */
  get32(name: string): number {
    return this.i32[fieldAddress(this.base, name) >> 2] as number;
  }
  set32(name: string, value: number): void {
    this.i32[fieldAddress(this.base, name) >> 2] = value;
  }
  /** An i64 field's value, unsigned. */
  get64(name: string): bigint {
    return (this.i64[fieldAddress(this.base, name) >> 3] as bigint) & MASK64;
  }
  set64(name: string, value: bigint): void {
    this.i64[fieldAddress(this.base, name) >> 3] = BigInt.asIntN(64, value);
  }
  /** A field of either type, unsigned. */
  get(name: string): bigint {
    return fieldType(name) === "i64" ? this.get64(name) : BigInt(this.get32(name) >>> 0);
  }

  /** General register 0–15 (RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, ...), all 64 bits, unsigned. */
  gpr(index: number): bigint {
    return (this.i64[(this.base + GPR) / 8 + index] as bigint) & MASK64;
  }
  setGpr(index: number, value: bigint): void {
    this.i64[(this.base + GPR) / 8 + index] = BigInt.asIntN(64, value);
  }
  /** The low 32 bits of a general register, unsigned. */
  gpr32(index: number): number {
    return (this.i32[(this.base + GPR) / 4 + index * 2] as number) >>> 0;
  }
  /** Writes the low 32 bits and clears the upper ones. */
  setGpr32(index: number, value: number): void {
    const at = (this.base + GPR) / 4 + index * 2;
    this.i32[at] = value;
    this.i32[at + 1] = 0;
  }

  /** Writes the low 32 bits and leaves the upper ones. */
  setLow32(index: number, value: number): void {
    this.i32[(this.base + GPR) / 4 + index * 2] = value;
  }

  /** Index into `i32` of a segment register's fields (ES CS SS DS FS GS LDTR TR). */
  #segment(index: number): number {
    return (this.base + SEGMENTS + index * SEGMENT_SIZE) / 4;
  }
  selector(index: number): number {
    return this.i32[this.#segment(index) + SEGMENT.selector / 4] as number;
  }
  segmentBase(index: number): bigint {
    return (this.i64[(this.base + SEGMENTS + index * SEGMENT_SIZE + SEGMENT.base) / 8] as bigint) & MASK64;
  }
  /** The low 32 bits of it, unsigned. */
  segmentBase32(index: number): number {
    return (this.i32[this.#segment(index) + SEGMENT.base / 4] as number) >>> 0;
  }
  setSegmentBase(index: number, base: bigint): void {
    this.i64[(this.base + SEGMENTS + index * SEGMENT_SIZE + SEGMENT.base) / 8] = BigInt.asIntN(64, base);
  }
  /** Effective limit in bytes (granularity applied), unsigned. */
  limit(index: number): number {
    return (this.i32[this.#segment(index) + SEGMENT.limit / 4] as number) >>> 0;
  }
  attributes(index: number): number {
    return this.i32[this.#segment(index) + SEGMENT.attributes / 4] as number;
  }

  /** Writes a segment register whole, with the valid offsets that follow from limit and rights. */
  setSegment(index: number, segment: { selector: number; base: bigint; limit: number; attributes: number }): void {
    const at = this.#segment(index);
    const { selector, base, attributes } = segment;
    const limit = segment.limit >>> 0;
    this.setSegmentBase(index, base);
    this.i32[at + SEGMENT.selector / 4] = selector;
    this.i32[at + SEGMENT.limit / 4] = limit;
    this.i32[at + SEGMENT.attributes / 4] = attributes;
    const usable = (attributes & 0x10080) === 0x80;
    const code = (attributes & 8) !== 0;
    const expandDown = !code && (attributes & 4) !== 0;
    const readable = usable && (!code || (attributes & 2) !== 0);
    const writable = usable && !code && (attributes & 2) !== 0;
    const min = expandDown ? limit + 1 : 0;
    const max = expandDown ? (attributes & 0x4000 ? 0xffffffff : 0xffff) : limit;
    const empty = min > max;
    this.i32[at + SEGMENT.readMin / 4] = readable && !empty ? min : 1;
    this.i32[at + SEGMENT.readMax / 4] = readable && !empty ? max : 0;
    this.i32[at + SEGMENT.writeMin / 4] = writable && !empty ? min : 1;
    this.i32[at + SEGMENT.writeMax / 4] = writable && !empty ? max : 0;
  }

  /** Byte offset in the shared memory of XMM register `index` (16 bytes). */
  xmmAddress(index: number): number {
    return this.base + XMM + index * 32;
  }
  /** Byte offset of physical x87 register `index`: 8 bytes of mantissa, 2 of sign and exponent. */
  fpuAddress(index: number): number {
    return this.base + FPU + index * 16;
  }

  // Status flags out of their unevaluated form (src/cpu/emit/flags.ts).
  get #carryWord(): number {
    return this.get32("flagCarry");
  }
  /** RFLAGS as software sees it, bits 0–21. */
  get eflags(): number {
    const carry = this.#carryWord;
    const aux = this.get32("flagAux");
    const at = fieldAddress(this.base, "flagResult") >> 2;
    const low = this.i32[at] as number;
    const high = this.i32[at + 1] as number;
    let parity = (low ^ (aux >> 8)) & 0xff;
    parity ^= parity >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return (
      (carry >>> 31) |
      2 |
      ((~parity & 1) << 2) |
      ((aux & 8) << 1) |
      (low === 0 && high === 0 ? 0x40 : 0) |
      (((high >>> 31) ^ (aux & 1)) << 7) |
      (this.get32("direction") < 0 ? 0x400 : 0) |
      (((carry ^ (carry << 1)) >>> 31) << 11) |
      this.get32("eflagsSystem")
    );
  }
  set eflags(value: number) {
    const carry = value & 1;
    const overflow = (value >> 11) & 1;
    const result = value & 0x40 ? 0 : 1;
    const flip = ((value >> 2) & 1) ^ 1 ^ result;
    this.set32("flagCarry", (carry << 31) | ((carry ^ overflow) << 30));
    this.set32("flagAux", ((value & 0x10) >> 1) | ((value >> 7) & 1) | (flip << 8));
    this.set64("flagResult", BigInt(result));
    this.set32("direction", value & 0x400 ? -1 : 1);
    this.set32("eflagsSystem", value & 0x3f7300);
  }
}
