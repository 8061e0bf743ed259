/**
 * What a processor asked of the machine around it, so that another one that does the same is given the same answers:
 * devices see each access once.
 */
import type { ProcessorBus } from "../bus.ts";
import type { SetRegisters } from "./set-registers.ts";

/** What a device did to memory: bytes that it wrote, pages with other memory (state.ts, PAGE_FLAGS), line A20. */
export type Written =
  | { readonly kind: "bytes" | "pages"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "a20"; readonly through: boolean };

interface Access {
  /** What was asked, with its arguments. */
  readonly question: string;
  readonly answer: unknown;
  /** Words or bytes that the answer filled in. */
  readonly filled: Uint8Array | undefined;
  /** What the device did to memory meanwhile. */
  readonly written: readonly Written[];
  /** Registers that it set meanwhile. */
  readonly registers: SetRegisters | undefined;
}

const hex = (value: number): string => value.toString(16);

export class BusTape {
  readonly #accesses: Access[] = [];
  #next = 0;
  /** Set by `recorder`'s owner: what devices have done to memory since the last call. */
  takeWritten: () => readonly Written[] = () => [];
  /** Set by `recorder`'s owner: registers, where one was set since the last call. */
  takeRegisters: () => SetRegisters | undefined = () => undefined;
  /** Set by `player`'s owner. */
  putRegisters: (registers: SetRegisters) => void = () => {};
  /** Set by `player`'s owner. */
  write: (written: Written) => void = () => {};
  /** Told where the second processor asks for something else. */
  differs: (expected: string, got: string) => void = () => {};
  /** An interrupt was acknowledged: its vector. */
  acknowledged: (vector: number) => void = () => {};
  /** Told whether an interrupt waits for the second processor. */
  waits: (waits: boolean) => void = () => {};
  #waiting = -1;

  /** The vector that waits for the second processor, or -1. */
  get waiting(): number {
    return this.#waiting;
  }
  set waiting(vector: number) {
    this.#waiting = vector;
    this.waits(vector >= 0);
  }

  /** Accesses that the second processor has not made yet. */
  get left(): number {
    return this.#accesses.length - this.#next;
  }

  /** Forgets all. */
  clear(): void {
    this.#accesses.length = 0;
    this.#next = 0;
  }

  #record<T>(question: string, ask: () => T, target?: ArrayBufferView): T {
    const answer = ask();
    const filled = target && bytesOf(target).slice();
    this.#accesses.push({ question, answer, filled, written: this.takeWritten(), registers: this.takeRegisters() });
    return answer;
  }

  #replay<T>(question: string, nothing: T, target?: ArrayBufferView): T {
    const access = this.#accesses[this.#next];
    if (access === undefined || access.question !== question) {
      this.differs(question, access?.question ?? "nothing");
      return nothing;
    }
    this.#next++;
    if (this.#next === this.#accesses.length) this.clear();
    if (target && access.filled) bytesOf(target).set(access.filled);
    access.written.forEach(this.write);
    if (access.registers) this.putRegisters(access.registers);
    return access.answer as T;
  }

  /** The bus of the processor that asks first. */
  recorder(bus: ProcessorBus): ProcessorBus {
    const record = this.#record.bind(this) as <T>(question: string, ask: () => T, target?: ArrayBufferView) => T;
    return {
      readPort: (port, bytes) => record(portRead(port, bytes), () => bus.readPort(port, bytes)),
      writePort: (port, bytes, value) => record(portWrite(port, bytes, value), () => bus.writePort(port, bytes, value)),
      readMemory: (address, bytes, wide) =>
        record(memoryRead(address, bytes), () => bus.readMemory(address, bytes, wide), wide),
      writeMemory: (address, bytes, low, high) =>
        record(memoryWrite(address, bytes, low, high), () => bus.writeMemory(address, bytes, low, high)),
      acknowledgeInterrupt: () => {
        const vector = bus.acknowledgeInterrupt();
        if (vector >= 0) this.acknowledged(vector);
        return vector;
      },
      readMsr: (msr, value) => record(`rdmsr ${hex(msr)}`, () => bus.readMsr(msr, value), value),
      writeMsr: (msr, low, high) => record(msrWrite(msr, low, high), () => bus.writeMsr(msr, low, high)),
      readCr8: () => record("read cr8", () => bus.readCr8()),
      writeCr8: (value) => record(`write cr8 ${hex(value)}`, () => bus.writeCr8(value)),
      tsc: () => record("tsc", () => bus.tsc()),
      random: (target) => record(`random ${target.length}`, () => bus.random(target), target),
    };
  }

  /** The bus of the processor that asks second. */
  player(): ProcessorBus {
    const replay = this.#replay.bind(this) as <T>(question: string, nothing: T, target?: ArrayBufferView) => T;
    return {
      readPort: (port, bytes) => replay(portRead(port, bytes), 0),
      writePort: (port, bytes, value) => replay(portWrite(port, bytes, value), undefined),
      readMemory: (address, bytes, wide) => replay(memoryRead(address, bytes), 0, wide),
      writeMemory: (address, bytes, low, high) => replay(memoryWrite(address, bytes, low, high), undefined),
      acknowledgeInterrupt: () => {
        const vector = this.waiting;
        this.waiting = -1;
        return vector;
      },
      readMsr: (msr, value) => replay(`rdmsr ${hex(msr)}`, false, value),
      writeMsr: (msr, low, high) => replay(msrWrite(msr, low, high), false),
      readCr8: () => replay("read cr8", 0),
      writeCr8: (value) => replay(`write cr8 ${hex(value)}`, undefined),
      tsc: () => replay("tsc", 0),
      random: (target) => replay(`random ${target.length}`, undefined, target),
    };
  }
}

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const portRead = (port: number, bytes: number): string => `in ${hex(port)}, ${bytes} bytes`;
const portWrite = (port: number, bytes: number, value: number): string =>
  `out ${hex(port)}, ${bytes} bytes: ${hex(value >>> 0)}`;
const memoryRead = (address: number, bytes: number): string => `read ${hex(address)}, ${bytes} bytes`;
const memoryWrite = (address: number, bytes: number, low: number, high: number): string =>
  `write ${hex(address)}, ${bytes} bytes: ${bytes === 8 ? `${hex(high >>> 0)} ` : ""}${hex(low >>> 0)}`;
const msrWrite = (msr: number, low: number, high: number): string =>
  `wrmsr ${hex(msr)}: ${hex(high >>> 0)} ${hex(low >>> 0)}`;
