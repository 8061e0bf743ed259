/**
 * Hostile machine code: instances of every form with registers that mean something, sequences that reach for
 * devices and for the processor's own state, jumps into the middle of things, stores to code, and noise.
 */

import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import type { CodeBits } from "../../src/isa/encode.ts";
import { FORMS } from "../../src/isa/index.ts";
import { randomEncoding } from "../../src/isa/testing/random-encoding.ts";
import { deviceAddress, MIB, msr, pointer, port, value } from "./interesting.ts";

const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x40, 0x48, 0x4f, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];
const [RAX, RCX, RDX, RBX, RSI, RDI] = [0, 1, 2, 3, 6, 7];

/** What a piece of code is, by weight. */
const PIECES = [
  ["form", 60],
  ["spoiltForm", 10],
  ["noise", 8],
  ["jump", 8],
  ["port", 6],
  ["device", 6],
  ["control", 4],
  ["msr", 3],
  ["selfModifying", 3],
  ["string", 3],
  ["flow", 4],
  ["pointers", 8],
] as const;
type Piece = (typeof PIECES)[number][0];
const WEIGHTED: readonly Piece[] = PIECES.flatMap(([piece, weight]) => new Array<Piece>(weight).fill(piece));

const little = (number: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(number / 2 ** (8 * i)) & 0xff);

export class HostileCode {
  readonly #random: SeededRandom;
  readonly #bits: CodeBits;
  readonly #makers: Record<Piece, () => number[]>;

  constructor(random: SeededRandom, bits: CodeBits) {
    this.#random = random;
    this.#bits = bits;
    this.#makers = {
      form: () => this.#form(),
      spoiltForm: () => this.#spoiltForm(),
      noise: () => Array.from({ length: 1 + random.below(15) }, () => random.below(256)),
      jump: () => this.#jump(),
      port: () => this.#port(),
      device: () => this.#device(),
      control: () => this.#control(),
      msr: () => this.#msr(),
      selfModifying: () => [...this.#load(RBX, random.below(MIB)), 0x88, random.pick([0x03, 0x43]), random.below(256)],
      string: () => this.#string(),
      flow: () => this.#flow(),
      pointers: () => this.#load(random.pick([RAX, RCX, RDX, RBX, RSI, RDI]), Number(pointer(random) & 0xffff_ffffn)),
    };
  }

  /** `length` bytes of code. */
  bytes(length: number): Uint8Array {
    const code: number[] = [];
    while (code.length < length) {
      code.push(...this.#makers[this.#random.pick(WEIGHTED)]());
    }
    return Uint8Array.from(code.slice(0, length));
  }

  #form(): number[] {
    for (;;) {
      const encoding = randomEncoding(this.#random, this.#random.pick(FORMS), this.#bits);
      if (encoding) return [...encoding.code];
    }
  }

  #spoiltForm(): number[] {
    const random = this.#random;
    const code = this.#form();
    if (random.below(2) === 0)
      return [...Array.from({ length: 1 + random.below(4) }, () => random.pick(PREFIXES)), ...code];
    const at = random.below(code.length);
    code[at] = (code[at] as number) ^ (1 << random.below(8));
    return code;
  }

  /** MOV of a 32-bit constant. */
  #load(register: number, constant: number): number[] {
    return [...(this.#bits === 16 ? [0x66] : []), 0xb8 + register, ...little(constant, 4)];
  }

  #jump(): number[] {
    const random = this.#random;
    const short = random.below(256);
    switch (random.below(5)) {
      case 0:
        return [0xeb, short];
      case 1:
        return [random.pick([0xe0, 0xe1, 0xe2, 0xe3]), short];
      case 2:
        return [random.pick([0xe8, 0xe9]), ...little(random.below(0x1000) - 0x800, this.#bits === 16 ? 2 : 4)];
      default:
        return [0x70 + random.below(16), short];
    }
  }

  #port(): number[] {
    const random = this.#random;
    const sized = random.below(3) === 0 ? [0x66] : [];
    const access = random.pick([0xec, 0xed, 0xee, 0xef, 0x6c, 0x6d, 0x6e, 0x6f]);
    const repeated = access < 0x80 && random.below(2) === 0 ? [0xf3] : [];
    return [...this.#load(RDX, port(random)), ...this.#load(RAX, value(random)), ...repeated, ...sized, access];
  }

  #device(): number[] {
    const random = this.#random;
    const where = this.#load(RBX, deviceAddress(random));
    const large = this.#bits === 16 ? [0x67] : [];
    // MOV, XCHG, ADD, MOVQ to and from [EBX].
    const access = random.pick([[0x89], [0x8b], [0x88], [0x8a], [0x87], [0x01], [0x0f, 0x7f], [0x0f, 0x6f]]);
    return [...where, ...this.#load(RAX, value(random)), ...large, ...access, 0x03];
  }

  #control(): number[] {
    const random = this.#random;
    const number = random.pick([0, 0, 3, 4, 4, 8]);
    switch (random.below(6)) {
      case 0:
        return [...this.#load(RAX, value(random)), 0x0f, 0x23, 0xc0 + 8 * random.below(8)];
      case 1:
        // Read, one bit changed, written back.
        return [
          0x0f,
          0x20,
          0xc0 + 8 * (number & 7),
          0x0f,
          0xba,
          0xf8,
          random.below(32),
          0x0f,
          0x22,
          0xc0 + 8 * (number & 7),
        ];
      case 2:
        return [...this.#load(RAX, random.below(0x100) * 0x1000), 0x0f, 0x22, 0xd8];
      case 3:
        // LLDT, LTR, VERR, VERW of AX; LGDT, LIDT, LMSW, INVLPG of memory.
        return [...this.#load(RAX, random.below(0x100) * 8), 0x0f, 0x00, 0xc0 + 8 * random.below(8)];
      case 4:
        return [...this.#load(RBX, random.below(MIB)), 0x0f, 0x01, 0x03 + 8 * random.below(8)];
      default:
        return [...this.#load(RAX, value(random)), 0x0f, 0x22, 0xc0 + 8 * (number & 7)];
    }
  }

  #msr(): number[] {
    const random = this.#random;
    const operands = [
      ...this.#load(RCX, msr(random)),
      ...this.#load(RAX, value(random)),
      ...this.#load(RDX, value(random)),
    ];
    return [...operands, 0x0f, random.below(3) === 0 ? 0x32 : 0x30];
  }

  #string(): number[] {
    const random = this.#random;
    const code = random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);
    const count = random.pick([0, 1, random.below(5000), 0xffff_ffff, random.next()]);
    const places = [...this.#load(RSI, Number(pointer(random) & 0xffff_ffffn)), ...this.#load(RDI, random.below(MIB))];
    return [...this.#load(RCX, count), ...places, random.pick([0xfc, 0xfd]), random.pick([0xf2, 0xf3]), code];
  }

  /** Interrupt flag, halts, software interrupts, returns. */
  #flow(): number[] {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return [0xfb, 0xf4];
      case 1:
        return [0xcd, random.below(256)];
      case 2:
        return [random.pick([0xc3, 0xcb, 0xcf, 0xc9, 0xcc, 0xf1, 0xce])];
      case 3:
        return [0x9c, 0x81, 0x34, 0x24, ...little(1 << random.below(22), 4), 0x9d];
      case 4:
        return [0x8e, 0xc0 + random.below(0x40)];
      default:
        return [random.pick([0xfa, 0xfb, 0xf4, 0x9d, 0x9c])];
    }
  }
}
