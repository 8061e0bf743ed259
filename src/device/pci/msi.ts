/**
 * The MSI capability: up to 32 messages to one address, with a mask and a pending bit for each.
 * @spec PCI Local Bus Specification 3.0, §6.8.1; the layout is the one with a 64-bit address and per-vector
 * masking.
 */
import { bits } from "../../bits/fields.ts";
import type { MsiTarget } from "../../machine/apic-bus.ts";
import { PHYSICAL_ADDRESS_LIMIT } from "../../machine/memory-bus.ts";
import { type ConfigSpace, readLittleEndian, writeLittleEndian } from "./config-space.ts";
import type { PciFunctionState } from "./function.ts";

const MessageControl = bits({
  enabled: 0,
  /** Both are the base-2 logarithm of a count. */
  multipleCapable: [1, 3],
  multipleEnabled: [4, 6],
  address64: 7,
  perVectorMasking: 8,
});

/** Offsets within the capability. */
const CONTROL = 2;
const ADDRESS_LOW = 4;
const ADDRESS_HIGH = 8;
const DATA = 12;
const MASK = 16;
const PENDING = 20;
export const MSI_LENGTH = 24;

export class Msi {
  readonly #state: PciFunctionState;
  readonly #target: MsiTarget;
  readonly #offset: number;
  readonly #capable: number;

  /** `vectors` is a power of two from 1 to 32; `offset` is that of the capability, whose ID and link are there. */
  constructor(state: PciFunctionState, space: ConfigSpace, target: MsiTarget, offset: number, vectors: number) {
    this.#state = state;
    this.#target = target;
    this.#offset = offset;
    this.#capable = Math.ceil(Math.log2(vectors));
    const mask = 2 ** (2 ** this.#capable) - 1;
    space.define({
      offset: offset + CONTROL,
      size: 2,
      reset: MessageControl.pack({ multipleCapable: this.#capable, address64: true, perVectorMasking: true }),
      writable: MessageControl.mask.enabled | MessageControl.mask.multipleEnabled,
    });
    space.define({ offset: offset + ADDRESS_LOW, size: 4, writable: 0xfffffffc });
    space.define({ offset: offset + ADDRESS_HIGH, size: 4, writable: 0xffffffff });
    space.define({ offset: offset + DATA, size: 2, writable: 0xffff });
    space.define({ offset: offset + MASK, size: 4, writable: mask });
  }

  get enabled(): boolean {
    return (this.#control & MessageControl.mask.enabled) !== 0;
  }

  /** Sends message `vector`, or marks it pending while it is masked. Software may have enabled fewer: then they share. */
  signal(vector: number): void {
    if (!this.enabled) return;
    const message = vector & (this.#enabledCount - 1);
    const bit = 1 << message;
    if ((this.#read(MASK) & bit) !== 0) this.#write(PENDING, this.#read(PENDING) | bit);
    else this.#send(message);
  }

  /** Called after software wrote to the capability: sends what was pending and is not masked any more. */
  written(): void {
    if (!this.enabled) return;
    const due = this.#read(PENDING) & ~this.#read(MASK);
    if (due === 0) return;
    this.#write(PENDING, this.#read(PENDING) & ~due);
    for (let message = 0; message < this.#enabledCount; message++) {
      if ((due & (1 << message)) !== 0) this.#send(message);
    }
  }

  get #enabledCount(): number {
    return 2 ** Math.min(MessageControl(this.#control).multipleEnabled, this.#capable);
  }

  #send(message: number): void {
    const address = this.#read(ADDRESS_HIGH) * 2 ** 32 + this.#read(ADDRESS_LOW);
    const data = (this.#read(DATA) & 0xffff & ~(this.#enabledCount - 1)) | message;
    if (address < PHYSICAL_ADDRESS_LIMIT) this.#target.send(address, data);
  }

  get #control(): number {
    return readLittleEndian(this.#state.config, this.#offset + CONTROL, 2);
  }

  #read(register: number): number {
    return readLittleEndian(this.#state.config, this.#offset + register, 4);
  }

  #write(register: number, value: number): void {
    writeLittleEndian(this.#state.config, this.#offset + register, 4, value);
  }
}
