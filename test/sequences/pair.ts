/** The two processors that a sequence runs on: one translates what it runs, the other takes one instruction at a time. */

import { runtimeModule } from "../../src/cpu/build-runtime.ts";
import type { ProcessorBus } from "../../src/cpu/bus.ts";
import { decode, MAX_LENGTH } from "../../src/cpu/decode/decoder.ts";
import { codeAt } from "../../src/cpu/lockstep/listing.ts";
import { type Difference, sameState, stateDifferences } from "../../src/cpu/lockstep/state-difference.ts";
import { Processor } from "../../src/cpu/processor.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../../src/cpu/state.ts";
import { InPlace } from "../../src/cpu/translate/in-place.ts";
import {
  controlRegisters,
  descriptorTable,
  PLACE,
  RAM_SIZE,
  type Regime,
  segmentsOf,
  writePageTables,
} from "./regime.ts";

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

const VIRTUAL_8086 = 0x2_0000;
const INTERRUPTS = 0x200;
const GDT_LIMIT = 0xff;
/** Accessed and dirty bits of a page table entry. */
const PAGE_MARKS = 0x60;

/** A processor with RAM and nothing else. */
class Subject {
  readonly processor: Processor;
  readonly ram: Uint8Array;
  readonly #view: DataView;

  constructor(heat: number) {
    const pages = (RAM_BASE + RAM_SIZE) >> 16;
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    new Uint8Array(memory.buffer).fill(PAGE.io, PAGE_FLAGS + (RAM_SIZE >> 12), PAGE_FLAGS + (1 << 20));
    this.ram = new Uint8Array(memory.buffer, RAM_BASE, RAM_SIZE);
    this.#view = new DataView(memory.buffer, RAM_BASE, RAM_SIZE);
    const options = { runtime: runtimeModule(), memory, memoryPages, bus: NO_MACHINE, model: "max" };
    this.processor = new Processor(
      heat > 0 ? { ...options, regions: (settings) => new InPlace(settings), heat } : { ...options, blockLimit: 1 },
    );
  }

  /** Takes up a regime, with RAM otherwise zero. */
  enter(regime: Regime): void {
    const { processor, ram } = this;
    const { registers } = processor;
    ram.fill(0);
    processor.physicalWritten(0, RAM_SIZE - 1);
    processor.reset();
    if (regime.paging !== "none") writePageTables(this.#view, regime.paging);
    const segments = segmentsOf(regime);
    for (const [offset, value] of descriptorTable(segments)) this.#view.setBigUint64(PLACE.gdt + offset, value, true);
    registers.set64("gdtBase", BigInt(PLACE.gdt));
    registers.set32("gdtLimit", GDT_LIMIT);
    for (const [name, value] of Object.entries(controlRegisters(regime))) registers.set64(name, value);
    this.#setSegments(regime);
  }

  #setSegments(regime: Regime): void {
    const { registers } = this.processor;
    registers.set32("cpl", regime.ring);
    segmentsOf(regime).forEach((segment, i) => {
      registers.setSegment(i, { ...segment, base: BigInt(segment.base) });
    });
  }

  /** Goes to the start of the code with these registers. */
  start(regime: Regime, { gprs, flags, ip }: Start): void {
    const { processor } = this;
    const { registers } = processor;
    this.#setSegments(regime);
    gprs.forEach((value, i) => {
      registers.setGpr(i, value);
    });
    const virtual = regime.segments === "virtual-8086" ? VIRTUAL_8086 : 0;
    registers.eflags = flags | virtual | INTERRUPTS | 2;
    registers.set64("ip", BigInt(ip));
    registers.set32("activity", 0);
    registers.set32("shadow", 0);
    registers.set32("debugTraps", 0);
    processor.modeChanged();
  }
}

export interface Start {
  readonly gprs: readonly bigint[];
  readonly flags: number;
  /** Offset in the code segment. */
  readonly ip: number;
}

const RCX = 1;
const MOST_REPETITIONS = 0x10_0000n;
/** Ends a sequence. */
export const BREAKPOINT = 3;

type Exception = { vector: number; errorCode: number } | undefined;

const exceptionText = (exception: Exception): string =>
  exception ? `exception ${exception.vector}, error code ${exception.errorCode.toString(16)}` : "none";

export class Pair {
  readonly #translator: Subject;
  readonly #interpreter = new Subject(0);
  #regime: Regime | undefined;

  constructor(heat: number) {
    this.#translator = new Subject(heat);
  }

  get #both(): readonly Subject[] {
    return [this.#interpreter, this.#translator];
  }

  /** Instructions in regions that were made so far. */
  get translated(): number {
    return this.#translator.processor.statistics.translated.instructions;
  }

  enter(regime: Regime): void {
    this.#regime = regime;
    for (const subject of this.#both) subject.enter(regime);
  }

  /** Puts bytes at a physical address. */
  write(physical: number, bytes: Uint8Array): void {
    for (const { ram, processor } of this.#both) {
      processor.physicalWritten(physical, physical + bytes.length - 1);
      ram.set(bytes, physical);
    }
  }

  read(physical: number, length: number): Uint8Array {
    return this.#interpreter.ram.slice(physical, physical + length);
  }

  start(start: Start): void {
    for (const subject of this.#both) subject.start(this.#regime as Regime, start);
  }

  get ip(): number {
    return Number(this.#interpreter.processor.registers.get64("ip"));
  }

  /** Runs about `budget` instructions, and then the same number of them on the other; in what they differ. */
  run(budget: number): { count: number; vector: number | undefined; differences: Difference[] } {
    const { processor } = this.#translator;
    const reference = this.#interpreter.processor;
    const before = processor.instructions;
    let got: Exception = processor.stretch(budget);
    const count = processor.instructions - before;
    let expected: Exception;
    if (count > 0) expected = reference.stretch(count);
    if (got && !expected) expected = reference.step();
    if (got) {
      // It is looked at where exceptions are delivered, which they are not here.
      for (const { registers } of [reference, processor]) registers.set32("shadow", 0);
    }
    let differences = this.#differences();
    if (differences.length > 0 && this.#isEndless()) return { count, vector: BREAKPOINT, differences: [] };
    const hasBegun = differences.every(({ what }) => what === "mxcsr") || this.#isRepeated();
    if (differences.length > 0 && !got && !expected && hasBegun) {
      // Translated code may leave a string instruction to the interpreter after some elements, or one that is about to
      // raise an exception after its flags were set.
      [expected, got] = [reference.step(), processor.step()];
      differences = this.#differences();
    }
    const [first, second] = [exceptionText(expected), exceptionText(got)];
    if (first !== second) differences.unshift({ what: "exception", expected: first, got: second });
    else if (got?.vector === 14) {
      const [a, b] = [reference, processor].map(({ registers }) => registers.get64("faultAddress").toString(16));
      if (a !== b) differences.push({ what: "address", expected: a as string, got: b as string });
    }
    return { count, vector: got?.vector, differences };
  }

  /** Whether the next instruction has more repetitions to do than a test can wait for: what differs may be how many were done. */
  #isEndless(): boolean {
    return this.#isRepeated() && this.#translator.processor.registers.gpr(RCX) > MOST_REPETITIONS;
  }

  /** Whether the next instruction is one with a REP prefix. */
  #isRepeated(): boolean {
    const { processor } = this.#translator;
    const { bits } = this.#regime as Regime;
    const code = codeAt(processor, processor.linearIp, MAX_LENGTH);
    const decoded = decode(code, 0, code.length, { long: bits === 64, code32: bits === 32 }, () => true);
    return typeof decoded !== "string" && decoded.form.instruction.repeat !== undefined && decoded.repeat !== "none";
  }

  #differences(): Difference[] {
    const [a, b] = [this.#interpreter, this.#translator];
    const { registers } = a.processor;
    const same = sameState(registers, b.processor.registers);
    return [...(same ? [] : stateDifferences(registers, b.processor.registers)), ...memoryDifferences(a.ram, b.ram)];
  }
}

/**
 * The first bytes of memory that differ. Translated code may mark a page as written to that the instruction at hand, which
 * is left to the interpreter, is about to write to; so accessed and dirty bits are not compared.
 */
function memoryDifferences(expected: Uint8Array, got: Uint8Array): Difference[] {
  const bytes = (ram: Uint8Array, from: number, to: number) =>
    Buffer.from(ram.buffer, ram.byteOffset + from, to - from);
  const same = (from: number, to: number) => bytes(expected, from, to).equals(bytes(got, from, to));
  const { tables, tablesSize } = PLACE;
  const end = tables + tablesSize;
  const isMarked = (i: number) => i >= tables && i < end && i % 4 === 0;
  const differs = (i: number) =>
    (((expected[i] as number) ^ (got[i] as number)) & (isMarked(i) ? ~PAGE_MARKS : 0xff)) !== 0;
  if (same(0, tables) && same(end, RAM_SIZE)) {
    let isSame = same(tables, end);
    if (!isSame) isSame = !expected.subarray(tables, end).some((_, i) => differs(tables + i));
    if (isSame) return [];
  }
  const at = expected.findIndex((_, i) => differs(i));
  const [a, b] = [expected, got].map((ram) => bytes(ram, at, at + 16).toString("hex"));
  return [{ what: `memory at ${at.toString(16)}`, expected: a as string, got: b as string }];
}
