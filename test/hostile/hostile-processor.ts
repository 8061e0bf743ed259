/**
 * Puts the processor in one of its modes with hostile code, descriptor tables, page tables and registers in RAM.
 * Only states that a guest could have made itself: the rest is up to the code.
 */

import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import { LDTR, TR } from "../../src/cpu/state.ts";
import { descriptor, gate } from "../../src/cpu/system/testing/flat-cpu.ts";
import type { CodeBits } from "../../src/isa/encode.ts";
import { CS } from "../../src/isa/semantics.ts";
import { CARD_BASE, CARD_STRIDE, pointer, RAM } from "./interesting.ts";
import { HostileCode } from "./random-code.ts";

export const MODES = [
  "real",
  "virtual-8086",
  "protected-16",
  "protected-32",
  "paged-32",
  "pae",
  "long",
  "compatibility-16",
  "compatibility-32",
] as const;
export type Mode = (typeof MODES)[number];

const CODE = 0x1_0000;
const CODE_SIZE = 0x8000;
const HANDLERS = 0x1_8000;
const GDT = 0x2_0000;
const LDT = 0x2_1000;
const IDT = 0x2_2000;
const TSS = 0x2_3000;
const OTHER_TSS = 0x2_4000;
const TABLES = 0x3_0000;
const TABLES_END = 0x8_0000;
const STACK = 0x9_0000;
const SELECTORS = 0x200;
const VECTORS = 256;
const HAS_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17, 21]);
const [CODE_SELECTOR, DATA_SELECTOR, TSS_SELECTOR, LDT_SELECTOR] = [0x08, 0x10, 0x30, 0x38];
const USER_CODE_SELECTOR = 0x1b;
const USER_DATA_SELECTOR = 0x23;

const isLong = (mode: Mode) => mode === "long" || mode.startsWith("compatibility");
const isPaged = (mode: Mode, random: SeededRandom) =>
  isLong(mode) || mode === "pae" || mode === "paged-32" || (mode === "virtual-8086" && random.below(2) === 0);
const codeBits = (mode: Mode): CodeBits =>
  mode === "long" ? 64 : mode.endsWith("16") || mode === "real" || mode === "virtual-8086" ? 16 : 32;

export interface Situation {
  readonly mode: Mode;
  readonly ring: 0 | 3;
}

export class HostileProcessor {
  readonly #processor: Processor;
  readonly #ram: DataView;
  readonly #random: SeededRandom;
  #situation: Situation & { bits: CodeBits; paged: boolean } = { mode: "real", bits: 16, ring: 0, paged: false };
  /** Offset of the code in the code segment. */
  #entry = 0n;

  /** `ram` is all of the machine's RAM. */
  constructor(processor: Processor, ram: Uint8Array, random: SeededRandom) {
    this.#processor = processor;
    this.#ram = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    this.#random = random;
  }

  /** Resets the processor and makes a new situation. */
  enter(): Situation {
    const random = this.#random;
    const mode = random.pick(MODES);
    const ring = mode === "virtual-8086" ? 3 : mode === "real" ? 0 : random.pick([0, 0, 3] as const);
    this.#processor.reset();
    // What the harness writes is nothing that the processor sees by itself.
    this.#processor.physicalWritten(0, RAM - 1);
    const bits = codeBits(mode);
    this.#writeCode(bits);
    this.#writeDescriptors(mode, bits);
    this.#writeGates(mode, bits);
    this.#writeTasks(mode);
    const paged = isPaged(mode, random);
    if (paged) this.#writePageTables(mode);
    this.#situation = { mode, bits, ring, paged };
    this.#applyState();
    return { mode, ring };
  }

  /** Starts the processor again in the same situation, after a shutdown. */
  again(): void {
    this.#processor.reset();
    this.#applyState();
  }

  /** Lets the code go on somewhere else, where it has not come to an end or into a loop. */
  jolt(): void {
    const { registers } = this.#processor;
    if (registers.get32("activity") === 1) registers.set32("activity", 0);
    registers.set64("ip", this.#entry + BigInt(this.#random.below(CODE_SIZE)));
    if (this.#random.below(4) === 0) registers.setGpr(this.#random.below(16), pointer(this.#random) & 0xffff_ffffn);
  }

  #bytes(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.#ram.buffer, this.#ram.byteOffset).set(bytes, at);
  }

  #writeCode(bits: CodeBits): void {
    const random = this.#random;
    const other = new HostileCode(random, random.pick([16, 32, 64]));
    const code = new HostileCode(random, bits);
    // Code of the mode, and some that is meant for another.
    for (let at = CODE; at < CODE + CODE_SIZE; at += 0x800) {
      this.#bytes(at, (random.below(8) === 0 ? other : code).bytes(0x800));
    }
    this.#bytes(RAM - 0x200, code.bytes(0x200));
    if (random.below(2) === 0) this.#bytes(random.below(RAM - 0x1000), code.bytes(0x1000));
  }

  #writeDescriptors(mode: Mode, bits: CodeBits): void {
    const random = this.#random;
    for (const table of [GDT, LDT]) {
      for (let at = 0; at < SELECTORS; at += 8) this.#ram.setBigUint64(table + at, this.#randomDescriptor(mode), true);
    }
    const flat = { limit: 0xf_ffff, pages: true };
    const code = bits === 16 ? { limit: 0xffff } : { ...flat, big: bits === 32, long: bits === 64 };
    const data = bits === 16 && random.below(2) === 0 ? { limit: 0xffff } : { ...flat, big: true };
    const fixed: [number, bigint][] = [
      [CODE_SELECTOR, descriptor({ ...code, type: 0xa })],
      [DATA_SELECTOR, descriptor({ ...data, type: 2 })],
      [USER_CODE_SELECTOR & ~7, descriptor({ ...code, type: random.pick([0xa, 0xe]), dpl: 3 })],
      [USER_DATA_SELECTOR & ~7, descriptor({ ...data, type: 2, dpl: 3 })],
      [TSS_SELECTOR, descriptor({ base: TSS, limit: random.pick([0x67, 0xfff]), type: 9, system: true })],
      [LDT_SELECTOR, descriptor({ base: LDT, limit: SELECTORS - 1, type: 2, system: true })],
    ];
    for (const [selector, value] of fixed) this.#ram.setBigUint64(GDT + selector, value, true);
  }

  /** Segments, gates, task states and nonsense. */
  #randomDescriptor(mode: Mode): bigint {
    const random = this.#random;
    const dpl = random.below(4);
    switch (random.below(6)) {
      case 0:
        return random.bits64();
      case 1: {
        const selector = random.below(SELECTORS);
        const offset = CODE + random.below(CODE_SIZE);
        return gate({ selector, offset, type: random.pick([4, 5, 6, 7, 12, 14, 15]), dpl, count: random.below(32) });
      }
      case 2: {
        const base = random.pick([TSS, OTHER_TSS, random.below(RAM)]);
        return descriptor({ base, limit: random.below(0x100), type: random.below(16), dpl, system: true });
      }
      default:
        return descriptor({
          base: random.below(3) === 0 ? Number(pointer(random) & 0xffff_ffffn) : 0,
          limit: random.pick([0xf_ffff, 0xffff, random.below(0x10_0000)]),
          type: random.below(16),
          dpl,
          present: random.below(8) !== 0,
          big: random.below(2) === 0,
          long: isLong(mode) && random.below(3) === 0,
          pages: random.below(2) === 0,
        });
    }
  }

  /** Most gates lead to a handler that steps over a few bytes, so that the code goes on after its faults. */
  #writeGates(mode: Mode, bits: CodeBits): void {
    const random = this.#random;
    const long = isLong(mode);
    if (mode === "real") {
      this.#bytes(HANDLERS, this.#skipReal());
      for (let vector = 0; vector < VECTORS; vector++) {
        const to = random.below(20) === 0 ? CODE + random.below(CODE_SIZE) : HANDLERS;
        this.#ram.setUint32(vector * 4, ((to >>> 4) << 16) | (to & 0xf), true);
      }
      return;
    }
    const width = long ? 64 : 32;
    this.#bytes(HANDLERS, this.#skip(width, false));
    this.#bytes(HANDLERS + 0x40, this.#skip(width, true));
    const wrongSize = !long && bits === 16;
    for (let vector = 0; vector < VECTORS; vector++) {
      const at = IDT + vector * (long ? 16 : 8);
      const handler = HANDLERS + (HAS_ERROR_CODE.has(vector) ? 0x40 : 0);
      const normal = random.below(20) !== 0;
      const offset = normal ? handler : CODE + random.below(CODE_SIZE);
      const type = normal ? (wrongSize && random.below(2) === 0 ? 6 : random.pick([14, 14, 15])) : random.below(16);
      const selector = normal ? CODE_SELECTOR : random.below(SELECTORS);
      const present = random.below(40) !== 0;
      const count = long && random.below(8) === 0 ? random.below(8) : 0;
      this.#ram.setBigUint64(at, gate({ selector, offset, type, dpl: random.pick([0, 3]), present, count }), true);
      if (long) this.#ram.setBigUint64(at + 8, normal ? 0n : random.bits64(), true);
    }
  }

  #skipReal(): Uint8Array {
    // push bp; mov bp,sp; add word [bp+2],n; pop bp; iret
    return Uint8Array.of(0x55, 0x89, 0xe5, 0x83, 0x46, 0x02, 1 + this.#random.below(4), 0x5d, 0xcf);
  }

  /** ADD ESP,4 for the error code; ADD dword [ESP],n; IRETD; or the same with 8 bytes. */
  #skip(width: 32 | 64, errorCode: boolean): Uint8Array {
    const rex = width === 64 ? [0x48] : [];
    const drop = errorCode ? [...rex, 0x83, 0xc4, width / 8] : [];
    return Uint8Array.from([...drop, ...rex, 0x83, 0x04, 0x24, 1 + this.#random.below(4), ...rex, 0xcf]);
  }

  #writeTasks(mode: Mode): void {
    const random = this.#random;
    for (const at of [TSS, OTHER_TSS]) {
      for (let i = 0; i < 0x68; i += 4) this.#ram.setUint32(at + i, Number(pointer(random) & 0xffff_ffffn), true);
      for (let i = 0x68; i < 0x400; i++) this.#ram.setUint8(at + i, random.below(3) === 0 ? random.below(256) : 0);
      this.#ram.setUint16(at + 0x66, random.pick([0x68, 0x80, 0xffff]), true);
      if (isLong(mode)) {
        for (let i = 4; i < 0x5c; i += 8) this.#ram.setBigUint64(at + i, BigInt(STACK - random.below(64)), true);
      } else {
        this.#ram.setUint32(at + 4, STACK, true);
        this.#ram.setUint16(at + 8, DATA_SELECTOR, true);
      }
    }
    if (random.below(2) === 0) {
      // A task that could be switched to.
      this.#ram.setUint32(OTHER_TSS + 0x20, CODE + random.below(CODE_SIZE), true);
      this.#ram.setUint32(OTHER_TSS + 0x1c, random.pick([0, TABLES]), true);
      for (let i = 0x48; i < 0x60; i += 4) this.#ram.setUint16(OTHER_TSS + i, DATA_SELECTOR, true);
      this.#ram.setUint16(OTHER_TSS + 0x4c, CODE_SELECTOR, true);
    }
  }

  /** RAM and devices mapped to themselves, with entries spoilt; or, now and then, nothing but noise. */
  #writePageTables(mode: Mode): void {
    const random = this.#random;
    const wide = isLong(mode) || mode === "pae";
    let next = TABLES;
    const table = () => {
      const at = next;
      next += 0x1000;
      for (let i = 0; i < 0x1000; i += 8) this.#ram.setBigUint64(at + i, 0n, true);
      return at;
    };
    const hostility = random.pick([0, 5, 50, 500]);
    const set = (at: number, value: number) => {
      let entry = BigInt(value);
      if (random.below(1000) < hostility) entry ^= 1n << BigInt(random.below(wide ? 64 : 32));
      if (random.below(2000) < hostility) entry = random.bits64();
      if (wide) this.#ram.setBigUint64(at, entry, true);
      else this.#ram.setUint32(at, Number(entry & 0xffff_ffffn), true);
    };
    const windows = [0, 0x20_0000, 0xfec0_0000, 0xfee0_0000, 0xfed0_0000, CARD_BASE, CARD_BASE + CARD_STRIDE];
    if (isLong(mode)) {
      const root = table();
      const pointers = table();
      set(root, pointers | 7);
      // The upper half, to the same; and the table to itself.
      set(root + 0xff8, pointers | 7);
      set(root + 0x7f8, root | 7);
      this.#directories(
        windows,
        (gigabyte) => {
          const directory = table();
          set(pointers + gigabyte * 8, directory | 7);
          return directory;
        },
        table,
        set,
      );
    } else if (wide) {
      const root = table();
      this.#directories(
        windows,
        (gigabyte) => {
          const directory = table();
          set(root + gigabyte * 8, directory | 1);
          return directory;
        },
        table,
        set,
      );
    } else {
      const root = table();
      for (const window of new Set(windows.map((address) => Math.floor(address / 0x40_0000)))) {
        const pages = table();
        set(root + window * 4, pages | 7);
        for (let i = 0; i < 1024; i++) set(pages + i * 4, ((window * 0x40_0000 + i * 0x1000) | 7) >>> 0);
      }
      set(root + 0xffc, root | 7);
      set(root + 0x800, 0x87);
    }
    if (next > TABLES_END) throw new Error("the page tables do not fit");
    if (random.below(20) === 0)
      for (let at = TABLES; at < next; at += 8) this.#ram.setBigUint64(at, random.bits64(), true);
  }

  #directories(
    windows: readonly number[],
    directoryOf: (gigabyte: number) => number,
    table: () => number,
    set: (at: number, value: number) => void,
  ): void {
    const random = this.#random;
    const directories = new Map<number, number>();
    for (const window of new Set(windows.map((address) => Math.floor(address / 0x20_0000)))) {
      const gigabyte = window >>> 9;
      const directory = directories.get(gigabyte) ?? directoryOf(gigabyte);
      directories.set(gigabyte, directory);
      const entry = directory + (window & 511) * 8;
      if (window > 1 && random.below(3) === 0) {
        set(entry, ((window * 0x20_0000) | 0x87) >>> 0);
        continue;
      }
      const pages = table();
      set(entry, pages | 7);
      for (let i = 0; i < 512; i++) set(pages + i * 8, ((window * 0x20_0000 + i * 0x1000) | 7) >>> 0);
    }
  }

  #applyState(): void {
    const { mode, bits, ring, paged } = this.#situation;
    const random = this.#random;
    const processor = this.#processor;
    const { registers } = processor;
    const long = isLong(mode);
    for (let i = 0; i < 16; i++) registers.setGpr(i, long ? pointer(random) : pointer(random) & 0xffff_ffffn);
    registers.setGpr(4, BigInt(bits === 16 ? 0xf000 - random.below(64) : STACK - 0x100 - random.below(64)));
    const realLike = mode === "real" || mode === "virtual-8086";
    const flat = { base: 0n, limit: 0xffff_ffff };
    const user = ring === 3;
    for (let i = 0; i < 6; i++) {
      const code = i === CS;
      if (realLike) {
        const selector = code ? CODE >>> 4 : random.pick([0, 0x1000, random.below(0x1_0000)]);
        const attributes = mode === "real" ? (code ? 0x9b : 0x93) : 0xf3;
        registers.setSegment(i, { selector, base: BigInt(selector * 16), limit: 0xffff, attributes });
      } else {
        const selector = code ? (user ? USER_CODE_SELECTOR : CODE_SELECTOR) : user ? USER_DATA_SELECTOR : DATA_SELECTOR;
        const size = bits === 64 ? 0xa000 : bits === 32 ? 0xc000 : 0x8000;
        const attributes = (user ? 0xf3 : 0x93) | (code ? 8 | size : 0xc000);
        const limit = code && bits === 16 ? 0x1_ffff : flat.limit;
        registers.setSegment(i, { selector, base: 0n, limit, attributes });
      }
    }
    registers.setSegment(TR, { selector: TSS_SELECTOR, base: BigInt(TSS), limit: 0x400, attributes: 0x8b });
    registers.setSegment(LDTR, { selector: LDT_SELECTOR, base: BigInt(LDT), limit: SELECTORS - 1, attributes: 0x82 });
    registers.set64("gdtBase", BigInt(GDT));
    registers.set32("gdtLimit", SELECTORS - 1);
    registers.set64("idtBase", BigInt(mode === "real" ? 0 : IDT));
    registers.set32("idtLimit", mode === "real" ? 0x3ff : VECTORS * (long ? 16 : 8) - 1);
    const flag = (value: bigint, chance = 2) => (random.below(chance) === 0 ? value : 0n);
    const protection = mode === "real" ? 0n : 1n;
    // WP, AM, NE; TS and EM now and then; paging.
    const cr0 = flag(0x1_0000n) | flag(0x4_0000n) | flag(0x20n) | flag(8n, 10) | flag(4n, 20);
    registers.set64("cr0", 0x10n | protection | cr0 | (paged ? 0x8000_0000n : 0n));
    registers.set64("cr3", BigInt(TABLES));
    // VME, PVI, TSD, DE, PSE, PGE, OSFXSR, OSXMMEXCPT, UMIP, FSGSBASE, OSXSAVE; SMEP and SMAP.
    const cr4 = [1n, 2n, 4n, 8n, 0x10n, 0x80n, 0x200n, 0x400n, 0x800n, 0x1_0000n, 0x4_0000n].map((bit) => flag(bit));
    const supervisor = flag(0x10_0000n, 8) | flag(0x20_0000n, 8);
    const pae = long || mode === "pae" ? 0x20n : 0n;
    registers.set64(
      "cr4",
      cr4.reduce((sum, bit) => sum | bit, supervisor | pae),
    );
    registers.set64("efer", (long ? 0x500n : 0n) | flag(0x800n) | flag(1n));
    const trap = random.below(20) === 0 ? 0x100 : 0;
    const iopl = random.pick([0, 0x3000]);
    const virtual = mode === "virtual-8086" ? 0x2_0000 : 0;
    registers.eflags = 2 | trap | iopl | virtual | (random.below(2) * 0x200) | (random.below(2) * 0x4_0000);
    registers.set32("cpl", ring);
    this.#entry = BigInt(realLike ? 0 : CODE);
    const offset = BigInt(random.below(CODE_SIZE));
    registers.set64("ip", random.below(10) === 0 && bits !== 16 ? BigInt(RAM - 0x200) : this.#entry + offset);
    processor.flushTlb();
    processor.modeChanged();
  }
}
