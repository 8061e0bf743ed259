/**
 * Rings of descriptors, of which those from head to tail are the controller's.
 *
 * @spec 317453 §3.2.6 "Receive Descriptor Queue Structure", §3.4 "Transmit Descriptor Ring Structure"
 */
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import { Register } from "./registers.ts";

export const DESCRIPTOR_SIZE = 16;

/** Both rings have their registers in the same order. */
export type RingRegisters = typeof Register.rdbal | typeof Register.tdbal;
const HEAD = Register.rdh - Register.rdbal;
const TAIL = Register.rdt - Register.rdbal;
const LENGTH = Register.rdlen - Register.rdbal;

export class Ring {
  readonly #registers: Uint32Array;
  readonly #first: number;
  readonly #base: number;
  /** Descriptors. */
  readonly size: number;

  private constructor(registers: Uint32Array, first: RingRegisters) {
    this.#registers = registers;
    this.#first = first;
    this.#base = registers[first / 4]! + registers[first / 4 + 1]! * 2 ** 32;
    this.size = registers[(first + LENGTH) / 4]! / DESCRIPTOR_SIZE;
  }

  /** The ring that the registers describe; undefined where head or tail are outside of it. */
  static of(registers: Uint32Array, first: RingRegisters): Ring | undefined {
    const ring = new Ring(registers, first);
    return ring.head < ring.size && ring.tail < ring.size ? ring : undefined;
  }

  get head(): number {
    return this.#registers[(this.#first + HEAD) / 4]!;
  }

  get tail(): number {
    return this.#registers[(this.#first + TAIL) / 4]!;
  }

  /** How many descriptors the controller has. */
  get available(): number {
    return (this.tail - this.head + this.size) % this.size;
  }

  /** Where the descriptor is that is `ahead` of the head. */
  address(ahead: number): GuestPhysical {
    return guestPhysical(this.#base + ((this.head + ahead) % this.size) * DESCRIPTOR_SIZE);
  }

  /** Gives descriptors back to software. */
  advance(count: number): void {
    this.#registers[(this.#first + HEAD) / 4] = (this.head + count) % this.size;
  }
}
