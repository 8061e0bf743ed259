/**
 * Our own processor in the role of the host's: 64-bit mode or compatibility mode at
 * privilege level 3, the same linear addresses
 * mapped, the same records read and written.
 */

import { runtimeModule } from "../../src/cpu/build-runtime.ts";
import type { ProcessorBus } from "../../src/cpu/bus.ts";
import { Processor } from "../../src/cpu/processor.ts";
import { FPU, GPR, LDTR, PAGE, PAGE_FLAGS, RAM_BASE, XMM } from "../../src/cpu/state.ts";
import { InPlace } from "../../src/cpu/translate/in-place.ts";
import { CS, FS, GS } from "../../src/isa/semantics.ts";
import {
  type Bits,
  FIELD,
  FS_BASE,
  FX,
  fillReadOnly,
  GS_BASE,
  LOCAL_SEGMENTS,
  NO_VECTOR,
  PLACE,
  SELECTORS,
  SELECTORS_BEFORE,
  SPOTS,
  segmentBase,
} from "./record.ts";

const RAM = 16 << 20;
/** Guest-physical places: page tables, descriptor table, instruction, and each page of the window somewhere else. */
const PHYSICAL = {
  tables: 0x1000,
  gdt: 0x8_0000,
  code: 0x10_0000,
  window: [0x20_0000, 0x31_3000],
  readOnly: 0x2a_1000,
} as const;
const PAGE_SIZE = 0x1000;

const PTE = { present: 1n, writable: 2n, user: 4n, noExecute: 1n << 63n } as const;
const EFER = { syscall: 1n, longMode: 0x500n, noExecute: 0x800n } as const;
/** PE, MP, ET, NE, WP, AM, PG. */
const CR0 = 0x8005_0033n;
/** PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE, as far as programs notice. */
const CR4 = 0x5_0620n;
/** Descriptors of Linux's GDT that a program can use: 32-bit code, data, 64-bit code. */
const GDT: readonly (readonly [number, bigint])[] = [
  [0x10, 0x00af_9b00_0000_ffffn],
  [0x18, 0x00cf_9300_0000_ffffn],
  [0x20, 0x00cf_fb00_0000_ffffn],
  [0x28, 0x00cf_f300_0000_ffffn],
  [0x30, 0x00af_fb00_0000_ffffn],
];
const GDT_LIMIT = 0x7f;
/** Linear address of guest-physical 0 where only supervisors reach it: the host has its kernel there. */
const KERNEL = 0xffff_fe00_0000_0000n;
/** Attributes of segment registers: code by its bits, data, and what a null selector leaves. */
const ATTRIBUTES = { 32: 0xc0fb, 64: 0xa0fb, data: 0xc0f3, local: 0x00f0, localTable: 0x82, none: 0x1_0000 } as const;
/** Where the local descriptor table follows the global one. */
const LDT = PHYSICAL.gdt + 0x800;
const LDT_SELECTOR = 0x50;
/** Bit of a selector: the descriptor is in the local table. */
const TABLE_INDICATOR = 4;
const PENDING_X87 = 2;

const NO_MACHINE: ProcessorBus = {
  readPort: () => 0xffff_ffff,
  writePort() {},
  readMemory: () => 0,
  writeMemory() {},
  acknowledgeInterrupt: () => -1,
  readMsr: () => false,
  writeMsr: () => false,
  readCr8: () => 0,
  writeCr8() {},
  tsc: () => 0,
  random() {},
};

/** What runs a test: the interpreter, or a region made of the instruction and one before it. */
export const TIERS = ["interpreter", "translator"] as const;
export type Tier = (typeof TIERS)[number];

/** How regions are made: when a block has run so often, of the first size or of the second. */
export interface Regions {
  readonly heat: number;
  readonly large: boolean;
}
const AT_ONCE: Regions = { heat: 1, large: false };

const NOP = 0x90;
const JUMP = 0xe9;
/** Bytes from the instruction on that a test may change. */
const CODE_BYTES = 20;
/** Instructions that a test's region counts where it did not come to the jump. */
const ALONE = 2;
/** Instructions in which the block of a test becomes hot: the jump leads to a breakpoint. */
const WARMING = 8;

export class GuestProcessor {
  readonly processor: Processor;
  readonly #tier: Tier;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #window: readonly Uint8Array[];
  /** The code's place. Who changes it says so with `codeWritten`. */
  readonly code: Uint8Array;
  #bits: Bits = 64;
  /** Segment registers may be other than before tests. */
  #changed = true;
  #freePage = PHYSICAL.tables + 0x1000;

  constructor(tier: Tier = "interpreter", { heat, large }: Regions = AT_ONCE) {
    this.#tier = tier;
    const pages = (RAM_BASE + RAM) >> 16;
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#bytes.fill(PAGE.io, PAGE_FLAGS + (RAM >> 12), PAGE_FLAGS + (1 << 20));
    this.processor = new Processor({
      runtime: runtimeModule(),
      memory,
      memoryPages,
      bus: NO_MACHINE,
      model: "max",
      ...(tier === "translator" ? { regions: (settings) => new InPlace(settings, { large }), heat } : {}),
    });
    this.#window = PHYSICAL.window.map((page) => this.#bytes.subarray(RAM_BASE + page, RAM_BASE + page + PAGE_SIZE));
    this.code = this.#bytes.subarray(RAM_BASE + PHYSICAL.code, RAM_BASE + PHYSICAL.code + PLACE.codeSize);
    this.code.fill(0xcc);
    const readOnly = RAM_BASE + PHYSICAL.readOnly;
    fillReadOnly(this.#bytes.subarray(readOnly, readOnly + PLACE.readOnlySize));
    this.#map(BigInt(PLACE.code), PHYSICAL.code, PLACE.codeSize, PTE.writable);
    for (const window of [BigInt(PLACE.window), PLACE.alias]) {
      PHYSICAL.window.forEach((page, i) => {
        this.#map(window + BigInt(i * PAGE_SIZE), page, PAGE_SIZE, PTE.writable | PTE.noExecute);
      });
      this.#map(window + BigInt(PLACE.windowSize), PHYSICAL.readOnly, PLACE.readOnlySize, PTE.noExecute);
    }
    for (const [offset, descriptor] of GDT) {
      this.#view.setBigUint64(RAM_BASE + PHYSICAL.gdt + offset, descriptor, true);
    }
    LOCAL_SEGMENTS.forEach(({ base, limit, type }, i) => {
      const access = BigInt(ATTRIBUTES.local | type);
      const descriptor =
        (BigInt(base >>> 24) << 56n) | (access << 40n) | (BigInt(base & 0xff_ffff) << 16n) | BigInt(limit);
      this.#view.setBigUint64(RAM_BASE + LDT + 8 * i, descriptor, true);
    });
    this.#map(KERNEL + BigInt(PHYSICAL.gdt), PHYSICAL.gdt, 0x1000, PTE.writable, 0n);
    this.#enterLongMode();
  }

  /** Maps pages of 4 KiB. */
  #map(linear: bigint, physical: number, size: number, rights: bigint, user: bigint = PTE.user): void {
    for (let offset = 0; offset < size; offset += 4096) {
      const address = linear + BigInt(offset);
      let table: number = PHYSICAL.tables;
      for (const shift of [39n, 30n, 21n]) {
        const entry = RAM_BASE + table + Number((address >> shift) & 511n) * 8;
        if (this.#view.getBigUint64(entry, true) === 0n) {
          this.#view.setBigUint64(entry, BigInt(this.#freePage) | PTE.present | PTE.writable | PTE.user, true);
          this.#freePage += 0x1000;
        }
        table = Number(this.#view.getBigUint64(entry, true) & ~0xfffn);
      }
      const entry = RAM_BASE + table + Number((address >> 12n) & 511n) * 8;
      this.#view.setBigUint64(entry, BigInt(physical + offset) | PTE.present | user | rights, true);
    }
  }

  #enterLongMode(): void {
    const { registers } = this.processor;
    registers.set64("cr3", BigInt(PHYSICAL.tables));
    registers.set64("cr4", CR4);
    registers.set64("efer", EFER.syscall | EFER.longMode | EFER.noExecute);
    registers.set64("cr0", CR0);
    registers.set64("xcr0", 3n);
    registers.set64("gdtBase", KERNEL + BigInt(PHYSICAL.gdt));
    registers.set32("gdtLimit", GDT_LIMIT);
    registers.set32("cpl", 3);
    this.processor.flushTlb();
    const limit = LOCAL_SEGMENTS.length * 8 - 1;
    const localTable = { base: KERNEL + BigInt(LDT), limit, attributes: ATTRIBUTES.localTable };
    registers.setSegment(LDTR, { selector: LDT_SELECTOR, ...localTable });
    this.#loadSegments(64);
  }

  /**
   * Runs the test of the record `input` and writes what came of it to `output`. Returns whether the tier under test
   * did all of it: regions leave what is rare to the interpreter.
   */
  run(input: DataView, output: DataView): boolean {
    const code = this.#codeAt(input);
    this.#place(input);
    const isWhole = this.#tier === "interpreter" ? this.#interpret(input, output) : this.#translate(input, output);
    this.#bytes.fill(0xcc, code - 1, code + CODE_BYTES);
    return isWhole;
  }

  #interpret(input: DataView, output: DataView): boolean {
    this.load(input);
    this.store(output, this.processor.step());
    return true;
  }

  /** Makes a region of a NOP, the instruction and a jump by running them once, and runs it from the test's state. */
  #translate(input: DataView, output: DataView): boolean {
    const { processor } = this;
    const { registers } = processor;
    const start = input.getBigUint64(FIELD.rip, true);
    const load = () => {
      this.load(input);
      registers.set64("ip", start - 1n);
    };
    load();
    processor.stretch(WARMING);
    this.#changed = this.#selectorsDiffer();
    load();
    const before = processor.instructions;
    // The region, where one was made, runs to its end whatever the budget is, and no block after it does. An exception
    // is that of a fetch.
    processor.stretch(1);
    const count = processor.instructions - before;
    let exception: ReturnType<Processor["step"]>;
    if (count < ALONE) registers.set64("ip", start);
    if (count < ALONE) exception = processor.step();
    else if (count > ALONE) registers.set64("ip", start + BigInt(input.getUint8(FIELD.length)));
    this.store(output, exception);
    return count >= ALONE;
  }

  #codeAt(record: DataView): number {
    return RAM_BASE + PHYSICAL.code + record.getUint32(FIELD.code, true) - PLACE.code;
  }

  /** Puts the instruction where it belongs, with a NOP in front and a jump behind it. */
  #place(record: DataView): void {
    const code = this.#codeAt(record);
    const length = record.getUint8(FIELD.length);
    const wide = record.getUint16(FIELD.selectors + 2 * CS, true) !== SELECTORS.code16;
    const next = code + length + (wide ? 5 : 3);
    const distance = RAM_BASE + PHYSICAL.code + PLACE.codeSize - 1 - next;
    this.#bytes[code - 1] = NOP;
    this.#bytes.set(new Uint8Array(record.buffer, record.byteOffset + FIELD.bytes, length), code);
    this.#bytes[code + length] = JUMP;
    this.#view.setUint16(code + length + 1, distance, true);
    if (wide) this.#view.setUint16(code + length + 3, 0, true);
    this.processor.physicalWritten(code - 1 - RAM_BASE, code + CODE_BYTES - 1 - RAM_BASE);
  }

  /** All of `code` may have changed. */
  codeWritten(): void {
    this.processor.physicalWritten(PHYSICAL.code, PHYSICAL.code + PLACE.codeSize - 1);
  }

  /** Takes up the state of the record of a test, but for its instruction. */
  load(record: DataView): void {
    const { registers } = this.processor;
    const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
    this.#loadWindow(bytes);
    this.#bytes.set(bytes.subarray(FIELD.gpr, FIELD.gpr + 128), registers.base + GPR);
    registers.eflags = record.getUint32(FIELD.rflags, true);
    registers.set64("ip", record.getBigUint64(FIELD.rip, true));
    const selector = record.getUint16(FIELD.selectors + 2 * CS, true);
    const bits = selector === SELECTORS.code64 ? 64 : selector === SELECTORS.code32 ? 32 : 16;
    if (this.#changed || bits !== this.#bits) this.#loadSegments(bits);
    if (bits === 64) {
      // Loading a null selector may have cleared a base.
      registers.setSegmentBase(FS, FS_BASE);
      registers.setSegmentBase(GS, GS_BASE);
    }
    this.#loadFx(record, bytes);
  }

  #loadWindow(record: Uint8Array): void {
    for (const page of this.#window) page.fill(0);
    let from: number = FIELD.memory;
    for (const { offset, size } of SPOTS) {
      for (let at = offset; at < offset + size; ) {
        const within = at % PAGE_SIZE;
        const count = Math.min(PAGE_SIZE - within, offset + size - at);
        this.#window[Math.floor(at / PAGE_SIZE)]?.set(record.subarray(from, from + count), within);
        at += count;
        from += count;
      }
    }
  }

  /** Segment registers as SELECTORS_BEFORE has them. */
  #loadSegments(bits: Bits): void {
    const { registers } = this.processor;
    SELECTORS_BEFORE[bits].forEach((selector, i) => {
      const base = segmentBase(bits, i);
      const local = selector & TABLE_INDICATOR ? LOCAL_SEGMENTS[selector >> 3] : undefined;
      if (local) {
        registers.setSegment(i, { selector, base, limit: local.limit, attributes: ATTRIBUTES.local | local.type });
        return;
      }
      const code = bits === 64 ? ATTRIBUTES[64] : ATTRIBUTES[32];
      const attributes = i === CS ? code : selector === 0 ? ATTRIBUTES.none : ATTRIBUTES.data;
      registers.setSegment(i, { selector, base, limit: selector === 0 ? 0 : 0xffff_ffff, attributes });
    });
    this.#changed = false;
    this.#bits = bits;
    this.processor.modeChanged();
  }

  /** Whether the last test left other selectors than it found. */
  #selectorsDiffer(): boolean {
    const { registers } = this.processor;
    return SELECTORS_BEFORE[this.#bits].some((selector, i) => registers.selector(i) !== selector);
  }

  #loadFx(record: DataView, bytes: Uint8Array): void {
    const { registers } = this.processor;
    const control = record.getUint16(FIELD.fx + FX.control, true);
    const status = record.getUint16(FIELD.fx + FX.status, true);
    const top = (status >> 11) & 7;
    registers.set32("fpuControl", control);
    registers.set32("fpuTop", top);
    registers.set32("fpuStatus", status & ~0x3800);
    registers.set32("fpuTag", ~record.getUint8(FIELD.fx + FX.tag) & 0xff);
    const pending = (status & ~control & 0x3f) !== 0;
    for (const trap of ["x87Trap", "waitTrap"]) {
      const word = registers.get32(trap) & ~PENDING_X87;
      registers.set32(trap, pending ? word | PENDING_X87 : word);
    }
    registers.set32("mxcsr", record.getUint32(FIELD.fx + FX.mxcsr, true));
    for (let i = 0; i < 8; i++) {
      const from = FIELD.fx + FX.st + 16 * i;
      this.#bytes.set(bytes.subarray(from, from + 16), registers.base + FPU + 16 * ((top + i) & 7));
    }
    for (let i = 0; i < 16; i++) {
      const from = FIELD.fx + FX.xmm + 16 * i;
      this.#bytes.set(bytes.subarray(from, from + 16), registers.base + XMM + 32 * i);
    }
  }

  /** Writes the state after a test to its record. */
  store(record: DataView, exception: { vector: number; errorCode: number } | undefined): void {
    this.storeRegisters(record, exception);
    const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
    this.#window.forEach((page, i) => {
      bytes.set(page, FIELD.memory + i * PAGE_SIZE);
    });
  }

  /** As `store`, without memory. */
  storeRegisters(record: DataView, exception?: { vector: number; errorCode: number }): void {
    const { registers } = this.processor;
    const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
    const { base } = registers;
    bytes.set(this.#bytes.subarray(base + GPR, base + GPR + 128), FIELD.gpr);
    record.setBigUint64(FIELD.rflags, BigInt(registers.eflags >>> 0), true);
    record.setBigUint64(FIELD.rip, registers.get64("ip"), true);
    record.setUint32(FIELD.vector, exception?.vector ?? NO_VECTOR, true);
    record.setUint32(FIELD.errorCode, exception?.errorCode ?? 0, true);
    record.setBigUint64(FIELD.cr2, exception?.vector === 14 ? registers.get64("faultAddress") : 0n, true);
    for (let i = 0; i < 6; i++) record.setUint16(FIELD.selectors + 2 * i, registers.selector(i), true);
    this.#changed = this.#selectorsDiffer();
    const top = registers.get32("fpuTop");
    record.setUint16(FIELD.fx + FX.control, registers.get32("fpuControl"), true);
    record.setUint16(FIELD.fx + FX.status, registers.get32("fpuStatus") | (top << 11), true);
    record.setUint8(FIELD.fx + FX.tag, ~registers.get32("fpuTag") & 0xff);
    record.setUint32(FIELD.fx + FX.mxcsr, registers.get32("mxcsr"), true);
    for (let i = 0; i < 8; i++) {
      const from = base + FPU + 16 * ((top + i) & 7);
      bytes.set(this.#bytes.subarray(from, from + 10), FIELD.fx + FX.st + 16 * i);
    }
    for (let i = 0; i < 16; i++) {
      const from = base + XMM + 32 * i;
      bytes.set(this.#bytes.subarray(from, from + 16), FIELD.fx + FX.xmm + 16 * i);
    }
  }
}
