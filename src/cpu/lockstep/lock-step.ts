/**
 * Two processors of one machine in step: the one under test, which devices know, and one that interprets instruction by
 * instruction on a copy of RAM. Each stretch of the first (a region, or a few blocks) is followed by the same number of
 * instructions of the second, with the same answers of devices and with interrupts at the same places; then state and
 * what was written to RAM are compared, and now and then all of RAM.
 *
 * Not compared: accessed and dirty bits of page tables, which either may set early. Not followed: an NMI that a device
 * sends while guest code runs.
 */

import type { RunResult } from "../bus.ts";
import { decode, MAX_LENGTH } from "../decode/decoder.ts";
import { RingReader, TRACE, TRACE_SIZE } from "../interpret/trace.ts";
import { Processor } from "../processor.ts";
import type { ProcessorOptions } from "../processor-options.ts";
import { CONTEXT, FIELDS_SIZE, hostAddress, PAGE, PAGE_FLAGS, RAM_BASE, ROM_BASE } from "../state.ts";
import { copyMsrState } from "../system/msrs.ts";
import { BusTape, type Written } from "./bus-tape.ts";
import { codeAt, listing } from "./listing.ts";
import { memoryDifference, sameBytes } from "./memory-difference.ts";
import { putRegisters, type SetRegisters, takeRegisters } from "./set-registers.ts";
import { type Difference, sameState, stateDifferences } from "./state-difference.ts";

const WASM_PAGE = 65536;
const GUEST_PAGE = 4096;
/** Instructions that a stretch may have where its first block is longer than one. */
const BLOCK = 64;
/** Instructions between two comparisons of all of RAM. */
const ALL_EVERY = 50_000_000;
/** Bytes that are compared where something was written. */
const NEAR = 16;
/** Elements of a string instruction that the second processor catches up at the most. */
const MOST_ELEMENTS = 1 << 20;
const RCX = 1;

/** Where the first processor took an interrupt. */
interface Taken {
  readonly at: number;
  readonly vector: number;
  readonly ip: bigint;
  readonly rcx: bigint;
}

/** What a device may do to memory. */
type Change =
  | { readonly kind: "bytes" | "pages"; readonly address: number; readonly length: number }
  | { readonly kind: "a20"; readonly through: boolean };

export type LockStepResult = RunResult | { readonly kind: "difference"; readonly report: string };

export class LockStep {
  /** The processor under test. */
  readonly processor: Processor;
  readonly #reference: Processor;
  readonly #ramSize: number;
  readonly #tape = new BusTape();
  readonly #path: RingReader;
  readonly #writes: RingReader;
  #taken: Taken[] = [];
  /** What devices may have done to memory, and when that was: while an instruction ran, or since the last run. */
  #written: Change[] = [];
  #late: Change[] = [];
  #isCopied = false;
  #areSet = false;
  #busDifference: Difference | undefined;
  #nextAll = ALL_EVERY;
  #wasSame = true;
  /** What the two counted when they were last the same. */
  #offset = 0;

  constructor(options: ProcessorOptions, ramSize: number) {
    this.#ramSize = ramSize;
    const repeatedCost = 0;
    this.processor = new Processor({ ...options, repeatedCost, bus: this.#tape.recorder(options.bus) });
    const pages = options.memoryPages.initial + Math.ceil(TRACE_SIZE / WASM_PAGE);
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    const trace = options.memoryPages.initial * WASM_PAGE;
    const { runtime, model } = options;
    const bus = this.#tape.player();
    this.#reference = new Processor({
      runtime,
      memory,
      memoryPages,
      bus,
      model,
      blockLimit: 1,
      repeatedCost,
      trace,
    });
    this.#path = new RingReader(memory.buffer, trace + TRACE.path);
    this.#writes = new RingReader(memory.buffer, trace + TRACE.writes);
    this.#tape.takeWritten = () => this.#takeWritten();
    this.#tape.takeRegisters = () => this.#takeRegisters();
    this.#tape.putRegisters = (registers) => this.#putRegisters(registers);
    this.#tape.write = (written) => this.#write(written);
    this.#tape.waits = (waits) => this.#reference.setInterrupt(waits);
    this.#tape.acknowledged = (vector) => this.#note(vector);
    this.#tape.differs = (question, answered) => {
      this.#busDifference ??= { what: "access to a device", expected: question, got: answered };
    };
  }

  /** A device may write to RAM from now on. */
  written(address: number, length: number): void {
    this.#written.push({ kind: "bytes", address, length });
  }

  /** Something else lies at some pages. */
  memoryChanged(address: number, length: number): void {
    this.processor.memoryChanged();
    this.#written.push({ kind: "pages", address, length });
  }

  /** Line A20 is held low or let through. */
  setA20(through: boolean): void {
    this.processor.setA20(through);
    this.#written.push({ kind: "a20", through });
  }

  /** Something other than guest code has set registers of the first processor. */
  registersSet(): void {
    this.#areSet = true;
  }

  /** The processor was reset or set up from without: its state and RAM are taken over before it runs again. */
  restart(): void {
    this.#isCopied = false;
  }

  /** As the processor's `run`; ends where the two differ. */
  run(budget: number): LockStepResult {
    const { processor } = this;
    if (!this.#isCopied) this.#copy();
    this.#writeLate();
    const set = this.#takeRegisters();
    if (set) this.#putRegisters(set);
    let result: RunResult;
    let left = budget;
    do {
      const before = processor.instructions;
      const from = processor.registers.get64("ip");
      result = processor.run(1);
      if (processor.instructions === before && result.kind === "budget") result = processor.run(BLOCK);
      const differences = this.#follow();
      if (differences.length > 0) return { kind: "difference", report: this.#report(from, before, differences) };
      const count = processor.instructions - before;
      if (count === 0) break;
      left -= count;
    } while (left > 0 && result.kind === "budget" && !processor.returnRequested);
    return result;
  }

  /** Takes over all of the first processor's state and RAM. */
  #copy(): void {
    const [from, to] = [this.processor.registers, this.#reference.registers];
    const reference = this.#reference;
    reference.physicalWritten(0, 2 ** 32 - 1);
    to.bytes.set(from.bytes.subarray(ROM_BASE, RAM_BASE + this.#ramSize), ROM_BASE);
    to.bytes.set(from.bytes.subarray(from.base, from.base + FIELDS_SIZE), to.base);
    for (let page = PAGE_FLAGS; page < PAGE_FLAGS + (1 << 20); page++) {
      to.bytes[page] = (from.bytes[page] as number) & ~PAGE.code;
    }
    copyMsrState(this.processor.system.msrState, reference.system.msrState);
    // No interrupt waits for it but those that the first has taken.
    reference.setInterrupt(false);
    reference.flushTlb();
    reference.modeChanged();
    this.#offset = this.processor.instructions - reference.instructions;
    this.#tape.clear();
    this.#tape.waiting = -1;
    this.#taken = [];
    this.#written = [];
    this.#late = [];
    this.#areSet = false;
    this.#writes.take();
    this.#path.take();
    this.#isCopied = true;
  }

  #takeRegisters(): SetRegisters | undefined {
    if (!this.#areSet) return undefined;
    this.#areSet = false;
    return takeRegisters(this.processor.registers);
  }

  #putRegisters(registers: SetRegisters): void {
    putRegisters(this.#reference.registers, registers);
    this.#reference.modeChanged();
  }

  /** What devices wrote while the first processor accessed one; it may be that more comes of it until the next run. */
  #takeWritten(): Written[] {
    if (this.#written.length === 0) return [];
    const written = this.#written;
    this.#written = [];
    this.#late.push(...written);
    return written.map((change) => this.#contents(change));
  }

  #contents(change: Change): Written {
    if (change.kind === "a20") return change;
    const { kind, address, length } = change;
    const { bytes } = this.processor.registers;
    const at = kind === "bytes" ? hostAddress(address) : PAGE_FLAGS + address / GUEST_PAGE;
    return { kind, address, bytes: bytes.slice(at, at + (kind === "bytes" ? length : length / GUEST_PAGE)) };
  }

  #writeLate(): void {
    for (const change of [...this.#late, ...this.#written]) this.#write(this.#contents(change));
    this.#late = [];
    this.#written = [];
  }

  #write(written: Written): void {
    const reference = this.#reference;
    if (written.kind === "a20") {
      reference.setA20(written.through);
      return;
    }
    const { kind, address, bytes } = written;
    const length = kind === "bytes" ? bytes.length : bytes.length * GUEST_PAGE;
    reference.physicalWritten(address, address + length - 1);
    if (kind === "bytes") {
      reference.registers.bytes.set(bytes, hostAddress(address));
      return;
    }
    const flags = PAGE_FLAGS + address / GUEST_PAGE;
    bytes.forEach((flag, i) => {
      reference.registers.bytes[flags + i] = flag & ~PAGE.code;
    });
    reference.memoryChanged();
  }

  #note(vector: number): void {
    const { registers, instructions } = this.processor;
    this.#taken.push({ at: instructions, vector, ip: registers.get64("ip"), rcx: registers.gpr(RCX) });
  }

  /** Has the second processor do what the first did. In what they differ then. */
  #follow(): Difference[] {
    const [first, second] = [this.processor, this.#reference];
    const taken = this.#taken;
    if (taken.length > 0) {
      this.#taken = [];
      for (const { at, vector, ip, rcx } of taken) {
        this.#advance(at);
        this.#catchUp(ip, rcx);
        this.#tape.waiting = vector;
        second.run(1);
        if (this.#tape.waiting < 0) continue;
        this.#tape.waiting = -1;
        return [{ what: `interrupt ${vector}`, expected: "not taken", got: "taken" }, ...this.#compareState()];
      }
    }
    this.#advance(first.instructions);
    if (!sameState(second.registers, first.registers)) {
      this.#catchUp(first.registers.get64("ip"), first.registers.gpr(RCX));
    }
    return this.#compare();
  }

  /** Runs the second processor until it has counted as many instructions as the first. */
  #advance(instructions: number): void {
    const second = this.#reference;
    for (let tries = 0; tries < 2; ) {
      const left = instructions - this.#offset - second.instructions;
      if (left <= 0) return;
      const before = second.instructions;
      const { kind } = second.run(left);
      if (kind !== "budget") return;
      if (second.instructions === before) tries++;
    }
  }

  /** Where the first processor has stopped within a repeated string instruction, the second does as many elements. */
  #catchUp(ip: bigint, rcx: bigint): void {
    const second = this.#reference;
    const { registers } = second;
    if (registers.get64("ip") !== ip || registers.gpr(RCX) === rcx || !this.#isRepeated()) return;
    for (let i = 0; i < MOST_ELEMENTS && registers.get64("ip") === ip && registers.gpr(RCX) !== rcx; i++) {
      second.step(true);
    }
  }

  #isRepeated(): boolean {
    const { registers } = this.#reference;
    const context = registers.get32("context");
    const mode = { long: (context & CONTEXT.long) !== 0, code32: (context & CONTEXT.code32) !== 0 };
    const code = codeAt(this.#reference, this.#reference.linearIp, MAX_LENGTH);
    const decoded = decode(code, 0, code.length, mode, () => true);
    return typeof decoded !== "string" && decoded.form.instruction.repeat !== undefined && decoded.repeat !== "none";
  }

  #compareState(): Difference[] {
    const [first, second] = [this.processor, this.#reference];
    const differences: Difference[] = [];
    const [got, expected] = [first.instructions, second.instructions + this.#offset];
    if (got !== expected) differences.push({ what: "instructions", expected: `${expected}`, got: `${got}` });
    if (!sameState(second.registers, first.registers)) {
      differences.push(...stateDifferences(second.registers, first.registers));
    }
    return differences;
  }

  #compare(): Difference[] {
    const [first, second] = [this.processor, this.#reference];
    if (this.#tape.left > 0) this.#busDifference ??= { what: "accesses to devices", expected: "fewer", got: "more" };
    const differences = this.#compareState();
    // Translated code that leaves an instruction to the interpreter, as it is about to raise an exception, has set the
    // flags of that already.
    const hasBegun = differences.length > 0 && differences.every(({ what }) => what === "mxcsr");
    if (hasBegun && this.#wasSame) differences.length = 0;
    this.#wasSame = !hasBegun;
    if (this.#busDifference) differences.unshift(this.#busDifference);
    const [expected, got] = [second.registers.bytes, first.registers.bytes];
    const end = RAM_BASE + this.#ramSize;
    for (const at of this.#writes.take()) {
      if (at < RAM_BASE || at >= end || sameBytes(expected, got, at, Math.min(NEAR, end - at))) continue;
      const found = memoryDifference(expected, got, at, Math.min(at + NEAR, end));
      if (found) differences.push(found);
    }
    if (first.instructions >= this.#nextAll) {
      this.#nextAll = first.instructions + ALL_EVERY;
      const found = memoryDifference(expected, got, RAM_BASE, end);
      if (found) differences.push({ ...found, what: `${found.what}, seen after up to ${ALL_EVERY} instructions` });
    }
    if (differences.length === 0) this.#path.take();
    return differences;
  }

  #report(from: bigint, before: number, differences: readonly Difference[]): string {
    const reference = this.#reference;
    const count = this.processor.instructions - before;
    return [
      `translator and interpreter differ after ${this.processor.instructions} instructions, ` +
        `in the ${count} from ${from.toString(16)} on:`,
      ...differences.map(({ what, expected, got }) => `  ${what}: interpreter ${expected}, translator ${got}`),
      "what the interpreter ran:",
      ...listing(reference, [Number(from & 0xffff_ffffn), ...this.#path.take()]).map((line) => `  ${line}`),
    ].join("\n");
  }
}
