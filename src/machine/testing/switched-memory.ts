/** Physical memory from an address up whose kind may change, for tests of the chips that change it. */
import type { MemoryKind, PhysicalMemory } from "../device.ts";

const PAGE = 4096;

export class SwitchedMemory implements PhysicalMemory {
  readonly bytes: Uint8Array;
  readonly #start: number;
  readonly #kinds: MemoryKind[];
  /** How often the kind of something was set. */
  switches = 0;

  constructor(size: number, start = 0) {
    this.bytes = new Uint8Array(size);
    this.#start = start;
    this.#kinds = Array(size / PAGE).fill("ram");
  }

  kindOf(address: number): MemoryKind | undefined {
    return this.#kinds[Math.floor((address - this.#start) / PAGE)];
  }

  setKind(address: number, length: number, kind: MemoryKind): void {
    this.storage(address, length);
    if (address % PAGE !== 0 || length % PAGE !== 0) throw new RangeError("not whole pages");
    this.switches++;
    this.#kinds.fill(kind, (address - this.#start) / PAGE, (address + length - this.#start) / PAGE);
  }

  storage(address: number, length: number): Uint8Array {
    const at = address - this.#start;
    if (at < 0 || length < 0 || at + length > this.bytes.length) throw new RangeError("no such memory");
    return this.bytes.subarray(at, at + length);
  }
}
