/**
 * The 256 bytes of a function's configuration space: what each bit is at reset, and which bits software can
 * write or clear.
 * @spec PCI Local Bus Specification 3.0, §6.1: reserved and read-only bits ignore writes.
 */
import type { AccessSize } from "../../machine/device.ts";
import { CONFIG_SPACE_SIZE } from "./registers.ts";

export interface ConfigRegister {
  offset: number;
  /** Bytes; little-endian. */
  size: AccessSize;
  /** Value at reset, 0 if left out. */
  reset?: number;
  /** Bits that hold what software writes. */
  writable?: number;
  /** Bits that software clears by writing one. */
  writeOneToClear?: number;
}

export class ConfigSpace {
  readonly #reset = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #writable = new Uint8Array(CONFIG_SPACE_SIZE);
  readonly #writeOneToClear = new Uint8Array(CONFIG_SPACE_SIZE);

  /** Defines a register; one defined before at the same place is replaced. */
  define({ offset, size, reset = 0, writable = 0, writeOneToClear = 0 }: ConfigRegister): void {
    for (let at = 0; at < size; at++) {
      this.#reset[offset + at] = reset >>> (at * 8);
      this.#writable[offset + at] = writable >>> (at * 8);
      this.#writeOneToClear[offset + at] = writeOneToClear >>> (at * 8);
    }
  }

  /** Fills `target` with the reset values. */
  reset(target: Uint8Array): void {
    target.set(this.#reset);
  }

  /** Writes the bits of `value` that software can write, from `offset` up; what lies past the end is dropped. */
  write(target: Uint8Array, offset: number, size: AccessSize, value: number): void {
    for (let at = offset; at < Math.min(offset + size, CONFIG_SPACE_SIZE); at++) {
      const byte = value >>> ((at - offset) * 8);
      const writable = this.#writable[at]!;
      target[at] = ((target[at]! & ~writable) | (byte & writable)) & ~(byte & this.#writeOneToClear[at]!);
    }
  }
}

/** The unsigned little-endian value of `size` bytes at `offset`; bytes past the end read as ones. */
export function readLittleEndian(source: Uint8Array, offset: number, size: AccessSize): number {
  let value = 0;
  for (let at = 0; at < size; at++) value |= (source[offset + at] ?? 0xff) << (at * 8);
  return value >>> 0;
}

/** Writes the low `size` bytes of `value` at `offset`; bytes past the end are dropped. */
export function writeLittleEndian(target: Uint8Array, offset: number, size: AccessSize, value: number): void {
  for (let at = 0; at < size; at++) target[offset + at] = value >>> (at * 8);
}
