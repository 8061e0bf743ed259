/** The processor and memory as the machine's BIOS works on them. */
import { guestPhysical } from "../bits/units.ts";
import { physicalAddress, type ReadEntry } from "../cpu/mmu/page-walk.ts";
import type { Processor } from "../cpu/processor.ts";
import type { BiosProcessor } from "../firmware/bios/processor.ts";
import { SEG } from "../firmware/bios/processor.ts";
import type { AccessSize, Completion, GuestMemory } from "../machine/device.ts";
import type { MemoryBus } from "../machine/memory-bus.ts";

const PAGE = 4096;
const PROTECTED = 0x1;
const PAGING = 0x8000_0000;
const VIRTUAL_8086 = 0x20000;
const CARRY = 1;
const BIG = 0x4000;

export interface BiosProcessorParts {
  readonly processor: Processor;
  readonly ram: GuestMemory;
  readonly memory: MemoryBus;
  hold<T>(operation: Promise<T>, complete: Completion<T>): void;
  holdInTime(): () => void;
  /** Told that a register was set. */
  registerSet(): void;
}

export class MachineBiosProcessor implements BiosProcessor {
  readonly #parts: BiosProcessorParts;
  readonly #word = new Uint8Array(4);

  constructor(parts: BiosProcessorParts) {
    this.#parts = parts;
  }

  get #registers() {
    return this.#parts.processor.registers;
  }

  get realAddresses(): boolean {
    const registers = this.#registers;
    return (registers.get32("cr0") & PROTECTED) === 0 || (registers.get32("eflagsSystem") & VIRTUAL_8086) !== 0;
  }
  get(register: number): number {
    return this.#registers.gpr32(register);
  }
  set(register: number, value: number): void {
    this.#registers.setLow32(register, value);
    this.#parts.registerSet();
  }
  selector(segment: number): number {
    return this.#registers.selector(segment) & 0xffff;
  }
  base(segment: number): number {
    return this.#registers.segmentBase32(segment);
  }
  load(segment: number, selector: number): void {
    const registers = this.#registers;
    const [limit, attributes] = [registers.limit(segment), registers.attributes(segment)];
    registers.setSegment(segment, { selector, base: BigInt(selector << 4), limit, attributes });
    this.#parts.processor.modeChanged();
    this.#parts.registerSet();
  }
  get stack32(): boolean {
    return (this.#registers.attributes(SEG.ss) & BIG) !== 0;
  }
  setCarry(carry: boolean): void {
    const registers = this.#registers;
    const { eflags } = registers;
    registers.eflags = carry ? eflags | CARRY : eflags & ~CARRY;
    this.#parts.registerSet();
  }

  readonly #readEntry: ReadEntry = (physical, bytes) => {
    const view = this.#parts.ram.view(guestPhysical(Number(physical)), bytes, "read");
    if (view === undefined) return undefined;
    const data = new DataView(view.buffer, view.byteOffset, bytes);
    return bytes === 8 ? data.getBigUint64(0, true) : BigInt(data.getUint32(0, true));
  };

  /** Undefined where no page is mapped. */
  #physical(linear: number): number | undefined {
    const registers = this.#registers;
    if ((registers.get32("cr0") & PAGING) === 0) return linear;
    const physical = physicalAddress(registers, BigInt(linear), this.#readEntry);
    return physical === undefined ? undefined : Number(physical);
  }

  /** Calls `each` with the physical address of every piece of a linear range that is mapped. */
  #pieces(linear: number, length: number, each: (physical: number, at: number, bytes: number) => void): void {
    const paging = (this.#registers.get32("cr0") & PAGING) !== 0;
    for (let done = 0; done < length; ) {
      const at = (linear + done) >>> 0;
      const bytes = Math.min(length - done, paging ? PAGE - (at % PAGE) : 2 ** 32 - at);
      const physical = this.#physical(at);
      if (physical !== undefined) each(physical, done, bytes);
      done += bytes;
    }
  }

  read(linear: number, target: Uint8Array): void {
    target.fill(0xff);
    this.#pieces(linear, target.length, (physical, at, bytes) =>
      this.readPhysical(physical, target.subarray(at, at + bytes)),
    );
  }
  write(linear: number, source: Uint8Array): void {
    this.#pieces(linear, source.length, (physical, at, bytes) =>
      this.writePhysical(physical, source.subarray(at, at + bytes)),
    );
  }

  /** A word of RAM, which most are: what services are told by lies there, and they are called for each character. */
  #wordOfRam(linear: number, bytes: number, access: "read" | "write"): Uint8Array | undefined {
    if ((this.#registers.get32("cr0") & PAGING) !== 0) return undefined;
    return this.#parts.ram.view(guestPhysical(linear), bytes, access);
  }

  readWord(linear: number, bytes: 1 | 2 | 4): number {
    const view = this.#wordOfRam(linear, bytes, "read");
    if (view) return littleEndian(view);
    const word = this.#word.subarray(0, bytes);
    this.read(linear, word);
    return littleEndian(word);
  }
  writeWord(linear: number, bytes: 1 | 2 | 4, value: number): void {
    const view = this.#wordOfRam(linear, bytes, "write");
    const word = view ?? this.#word.subarray(0, bytes);
    for (let i = 0; i < bytes; i++) word[i] = value >>> (8 * i);
    if (!view) this.write(linear, word);
  }

  readPhysical(address: number, target: Uint8Array): void {
    const { ram, memory } = this.#parts;
    const view = ram.view(guestPhysical(address), target.length, "read");
    if (view) {
      target.set(view);
      return;
    }
    this.#pagewise(address, target.length, (at, done, bytes) => {
      const piece = ram.view(guestPhysical(at), bytes, "read");
      if (piece) target.set(piece, done);
      else words(at, bytes, (from, i, size) => putLittleEndian(target, done + i, size, memory.read(from, size)));
    });
  }

  writePhysical(address: number, source: Uint8Array): void {
    const { ram, memory } = this.#parts;
    const view = ram.view(guestPhysical(address), source.length, "write");
    if (view) {
      view.set(source);
      return;
    }
    this.#pagewise(address, source.length, (at, done, bytes) => {
      const bytesHere = source.subarray(done, done + bytes);
      const piece = ram.view(guestPhysical(at), bytes, "write");
      if (piece) piece.set(bytesHere);
      else words(at, bytes, (to, i, size) => memory.write(to, size, littleEndian(bytesHere.subarray(i, i + size))));
    });
  }

  #pagewise(address: number, length: number, each: (at: number, done: number, bytes: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const bytes = Math.min(length - done, PAGE - (at % PAGE));
      each(at, done, bytes);
      done += bytes;
    }
  }

  hold<T>(operation: Promise<T>, complete: Completion<T>): void {
    this.#parts.hold(operation, complete);
  }
  holdInTime(): () => void {
    return this.#parts.holdInTime();
  }
}

/** Accesses of 4 bytes where they are aligned, and of fewer at the ends. */
function words(address: number, length: number, each: (at: number, done: number, size: AccessSize) => void): void {
  for (let done = 0; done < length; ) {
    const at = address + done;
    const left = length - done;
    const size = at % 4 === 0 && left >= 4 ? 4 : at % 2 === 0 && left >= 2 ? 2 : 1;
    each(at, done, size);
    done += size;
  }
}

function littleEndian(bytes: Uint8Array): number {
  let value = 0;
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + (bytes[i] as number);
  return value;
}
function putLittleEndian(target: Uint8Array, at: number, bytes: number, value: number): void {
  for (let i = 0; i < bytes; i++) target[at + i] = value >>> (8 * i);
}
