/** A test's record while it is being made up: registers by number, memory by linear address. */
import { CS, RSP, SS } from "../../../src/isa/semantics.ts";
import { type Bits, FIELD, FX, INPUT_SIZE, PLACE, SELECTORS_BEFORE, SPOTS, segmentBase } from "../record.ts";
import { extended, integer, type Kind, lanes, type Random } from "./values.ts";

/** Bytes to draw a spot's contents from. */
const TAPE_BYTES = 0x1_0000;

/** Prefixes that do not change where memory operands are, or not by much. */
const LEGACY_PREFIXES = [0x66, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e];

const FLAG = {
  carry: 1,
  fixed: 2,
  parity: 4,
  auxiliary: 0x10,
  zero: 0x40,
  sign: 0x80,
  interrupt: 0x200,
  direction: 0x400,
  overflow: 0x800,
};
const STATUS_FLAGS = FLAG.carry | FLAG.parity | FLAG.auxiliary | FLAG.zero | FLAG.sign | FLAG.overflow;

export class TestCase {
  readonly bits: Bits;
  readonly random: Random;
  readonly #tape: Uint8Array;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #bytes: Uint8Array = new Uint8Array(0);
  /** The kind of numbers in this test's vectors, and some that it uses more than once. */
  kind: Kind = "integer";
  #pool: bigint[] = [];

  constructor(bits: Bits, random: Random) {
    this.bits = bits;
    this.random = random;
    this.#tape = new Uint8Array(TAPE_BYTES + INPUT_SIZE);
    random.fill(this.#tape);
  }

  /** Fills `record` with a random state; vectors hold numbers of `kind`. */
  begin(record: DataView, kind: Kind, usesX87: boolean): void {
    const { random } = this;
    this.#view = record;
    this.#bytes = new Uint8Array(record.buffer, record.byteOffset, INPUT_SIZE);
    this.kind = kind;
    this.#pool = Array.from({ length: 3 }, () => lanes(random, kind));
    const tape = random.below(TAPE_BYTES);
    this.#bytes.set(this.#tape.subarray(tape, tape + INPUT_SIZE - FIELD.memory), FIELD.memory);
    this.#clearEdges();
    for (let i = 0; i < 16; i++) this.setGpr(i, integer(random));
    const direction = random.chance(15) ? FLAG.direction : 0;
    const flags = (random.next() & STATUS_FLAGS) | FLAG.fixed | FLAG.interrupt | direction;
    record.setBigUint64(FIELD.rflags, BigInt(flags), true);
    SELECTORS_BEFORE[this.bits].forEach((selector, i) => {
      record.setUint16(FIELD.selectors + 2 * i, selector, true);
    });
    this.#beginFx(usesX87);
  }

  /** Addresses that are cut off at a spot's edge must not point into the host's own code. */
  #clearEdges(): void {
    let from: number = FIELD.memory;
    for (const { size } of SPOTS) {
      this.#bytes.fill(0, from, from + 8);
      from += size;
      this.#bytes.fill(0, from - 8, from);
    }
  }

  #beginFx(usesX87: boolean): void {
    const { random } = this;
    this.#bytes.fill(0, FIELD.fx, FIELD.fx + 512);
    const control = 0x40 | ((random.next() & 0xf) << 8) | (random.chance(15) ? random.next() & 0x3f : 0x3f);
    let status = random.next() & 0x7f7f;
    // Unmasked exceptions wait for an instruction only where that shows.
    const pending = status & ~control & 0x3f;
    if (pending !== 0 && !(usesX87 && random.chance(25))) status &= ~pending;
    if (status & ~control & 0x3f) status |= 0x8080;
    this.setFx16(FX.control, control);
    this.setFx16(FX.status, status);
    const tags = random.below(4);
    this.#view.setUint8(FIELD.fx + FX.tag, tags === 0 ? random.next() & 0xff : tags === 1 ? 0x3f : 0xff);
    this.#view.setUint32(FIELD.fx + FX.mxcsr, this.mxcsr(), true);
    for (let i = 0; i < 8; i++) {
      const value = usesX87 ? extended(random) : (0xffffn << 64n) | this.lanes();
      this.#view.setBigUint64(FIELD.fx + FX.st + 16 * i, BigInt.asUintN(64, value), true);
      this.#view.setUint16(FIELD.fx + FX.st + 16 * i + 8, Number(value >> 64n), true);
    }
    for (let i = 0; i < 32; i++) this.#view.setBigUint64(FIELD.fx + FX.xmm + 8 * i, this.lanes(), true);
  }

  /** Contents for MXCSR: mostly all masked and the inexact flag set, else anything that can be loaded. */
  mxcsr(): number {
    const { random } = this;
    const kind = random.below(8);
    if (kind < 3) return 0x1fa0;
    if (kind === 3) return random.next() & 0xffff;
    return 0x1f80 | (random.next() & 0xe07f);
  }

  /** 64 bits of lanes of the test's kind, often the same as elsewhere. */
  lanes(): bigint {
    const { random } = this;
    if (random.chance(30)) return random.pick(this.#pool);
    return lanes(random, this.kind);
  }

  /** Bits of general registers that tests have a use for. */
  get registerBits(): 32 | 64 {
    return this.bits === 64 ? 64 : 32;
  }
  /** Linear address of the top of the stack. */
  get stackTop(): bigint {
    return segmentBase(this.bits, SS) + BigInt.asUintN(this.bits, this.gpr(RSP));
  }

  gpr(index: number): bigint {
    return this.#view.getBigUint64(FIELD.gpr + 8 * index, true);
  }
  setGpr(index: number, value: bigint): void {
    this.#view.setBigUint64(FIELD.gpr + 8 * index, BigInt.asUintN(this.registerBits, value), true);
  }
  /** Sets the low `width` bits of a register. */
  setGprLow(index: number, width: number, value: bigint): void {
    const old = this.gpr(index);
    this.setGpr(index, (old & ~((1n << BigInt(width)) - 1n)) | BigInt.asUintN(width, value));
  }
  setFx16(offset: number, value: number): void {
    this.#view.setUint16(FIELD.fx + offset, value, true);
  }
  xmm(index: number): Uint8Array {
    return this.#bytes.subarray(FIELD.fx + FX.xmm + 16 * index, FIELD.fx + FX.xmm + 16 * index + 16);
  }

  /** Puts the instruction at linear address `code`. */
  setInstruction(code: number, bytes: Uint8Array): void {
    this.#view.setUint32(FIELD.code, code, true);
    this.#view.setBigUint64(FIELD.rip, BigInt(code) - segmentBase(this.bits, CS), true);
    this.#bytes.fill(0xcc, FIELD.bytes, FIELD.bytes + 16);
    this.#bytes.set(bytes, FIELD.bytes);
    this.#view.setUint8(FIELD.length, bytes.length);
  }

  /**
   * Puts prefixes before the instruction that it does not ask for: operand size, repeat, segment, and before these
   * REX, which counts for nothing there. It may become another instruction, or none. What is relative to the next one shifts.
   */
  addPrefixes(): void {
    const length = this.#view.getUint8(FIELD.length);
    const count = this.random.between(1, Math.min(3, 15 - length));
    if (length + count > 15) return;
    const prefixes = Array.from({ length: count }, () => this.random.pick(LEGACY_PREFIXES));
    if (count > 1 && this.bits === 64 && this.random.chance(30)) prefixes[0] = this.random.between(0x40, 0x4f);
    const bytes = this.#bytes.slice(FIELD.bytes, FIELD.bytes + length);
    this.#bytes.set(prefixes, FIELD.bytes);
    this.#bytes.set(bytes, FIELD.bytes + count);
    this.#view.setUint8(FIELD.length, length + count);
  }

  /** The record's bytes for `size` bytes at a linear address, where the test determines them all. */
  memory(linear: bigint, size: number): Uint8Array | undefined {
    const base = linear >= PLACE.alias ? PLACE.alias : BigInt(PLACE.window);
    const at = linear - base;
    if (at < 0n || at >= BigInt(PLACE.windowSize)) return undefined;
    const first = Number(at);
    let from: number = FIELD.memory;
    for (const spot of SPOTS) {
      if (first >= spot.offset && first + size <= spot.offset + spot.size) {
        return this.#bytes.subarray(from + first - spot.offset, from + first - spot.offset + size);
      }
      from += spot.size;
    }
    return undefined;
  }

  /** Writes `width` bits of `value` to memory, as far as the test determines it. */
  poke(linear: bigint, width: number, value: bigint): void {
    const bytes = this.memory(linear, width / 8);
    bytes?.forEach((_, i) => {
      bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    });
  }
  peek(linear: bigint, width: number): bigint {
    let value = 0n;
    for (const byte of (this.memory(linear, width / 8) ?? new Uint8Array(0)).toReversed())
      value = (value << 8n) | BigInt(byte);
    return value;
  }
}
