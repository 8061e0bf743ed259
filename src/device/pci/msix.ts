/**
 * The MSI-X capability: a table of up to 2048 messages and their pending bits, both in a memory BAR.
 * @spec PCI Local Bus Specification 3.0, §6.8.2.
 */
import { bits } from "../../bits/fields.ts";
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, MemoryDevice } from "../../machine/device.ts";
import { PHYSICAL_ADDRESS_LIMIT } from "../../machine/memory-bus.ts";
import { type ConfigSpace, readLittleEndian, writeLittleEndian } from "./config-space.ts";
import type { PciFunctionState } from "./function.ts";

export interface MsixDescription {
  /** The memory BAR that table and pending bits are in. */
  bar: number;
  /** Table entries, 1 to 2048. */
  vectors: number;
  /** Offsets in the BAR, multiples of 8; what a BAR's device has there is hidden. */
  tableOffset: number;
  pendingOffset: number;
}

const MessageControl = bits({ lastVector: [0, 10], functionMasked: 14, enabled: 15 });

/** Offsets within the capability. */
const CONTROL = 2;
const TABLE = 4;
const PENDING_BITS = 8;
export const MSIX_LENGTH = 12;

/** A table entry: address (64 bits), data, vector control. */
const ENTRY_LENGTH = 16;
const DATA = 8;
const VECTOR_CONTROL = 12;
const VECTOR_MASKED = 1;

export class Msix {
  readonly #state: PciFunctionState;
  readonly #target: MsiTarget;
  readonly #offset: number;
  readonly #description: MsixDescription;

  /** `offset` is that of the capability, whose ID and link are there. */
  constructor(
    state: PciFunctionState,
    space: ConfigSpace,
    target: MsiTarget,
    offset: number,
    description: MsixDescription,
  ) {
    this.#state = state;
    this.#target = target;
    this.#offset = offset;
    this.#description = description;
    const { vectors, bar, tableOffset, pendingOffset } = description;
    space.define({
      offset: offset + CONTROL,
      size: 2,
      reset: MessageControl.pack({ lastVector: vectors - 1 }),
      writable: MessageControl.mask.functionMasked | MessageControl.mask.enabled,
    });
    space.define({ offset: offset + TABLE, size: 4, reset: tableOffset | bar });
    space.define({ offset: offset + PENDING_BITS, size: 4, reset: pendingOffset | bar });
  }

  reset(): void {
    const { vectors } = this.#description;
    this.#state.msixTable = new Uint8Array(vectors * ENTRY_LENGTH);
    for (let vector = 0; vector < vectors; vector++) {
      this.#state.msixTable[vector * ENTRY_LENGTH + VECTOR_CONTROL] = VECTOR_MASKED;
    }
    this.#state.msixPending = new Uint8Array(Math.ceil(vectors / 64) * 8);
  }

  get enabled(): boolean {
    return (this.#control & MessageControl.mask.enabled) !== 0;
  }

  /** Sends message `vector`, or marks it pending while it is masked. A vector past the table is dropped. */
  signal(vector: number): void {
    if (!this.enabled || !(vector >= 0 && vector < this.#description.vectors)) return;
    if (this.#isMasked(vector)) this.#state.msixPending[vector >>> 3]! |= 1 << (vector & 7);
    else this.#send(vector);
  }

  /** Called after software wrote to the capability: sends what was pending and is not masked any more. */
  written(): void {
    for (let vector = 0; vector < this.#description.vectors; vector++) this.#sendPending(vector);
  }

  /** What the BAR's range is behind: the table and the pending bits, and `device` everywhere else. */
  within(device: MemoryDevice | undefined): MemoryDevice {
    const { tableOffset, pendingOffset } = this.#description;
    // The lengths do not change, so they can be taken from the state at reset.
    const tableEnd = tableOffset + this.#state.msixTable.length;
    const pendingEnd = pendingOffset + this.#state.msixPending.length;
    return {
      readMemory: (offset, size) => {
        if (offset >= tableOffset && offset < tableEnd) return this.#readTable(offset - tableOffset, size);
        if (offset < pendingOffset || offset >= pendingEnd) return device?.readMemory(offset, size) ?? 0;
        return readLittleEndian(this.#state.msixPending, offset - pendingOffset, size);
      },
      writeMemory: (offset, size, value) => {
        if (offset >= tableOffset && offset < tableEnd) this.#writeTable(offset - tableOffset, size, value);
        else if (offset < pendingOffset || offset >= pendingEnd) device?.writeMemory(offset, size, value);
      },
    };
  }

  get #control(): number {
    return readLittleEndian(this.#state.config, this.#offset + CONTROL, 2);
  }

  #isMasked(vector: number): boolean {
    if ((this.#control & MessageControl.mask.functionMasked) !== 0) return true;
    return (this.#state.msixTable[vector * ENTRY_LENGTH + VECTOR_CONTROL]! & VECTOR_MASKED) !== 0;
  }

  #readTable(offset: number, size: AccessSize): number {
    return readLittleEndian(this.#state.msixTable, offset, size);
  }

  #writeTable(offset: number, size: AccessSize, value: number): void {
    const { msixTable } = this.#state;
    writeLittleEndian(msixTable, offset, size, value);
    const vector = Math.floor(offset / ENTRY_LENGTH);
    // The bits of vector control above the mask are reserved and read as zero, the lowest two of the address too.
    const at = vector * ENTRY_LENGTH;
    msixTable[at]! &= ~3;
    msixTable[at + VECTOR_CONTROL]! &= VECTOR_MASKED;
    msixTable.fill(0, at + VECTOR_CONTROL + 1, at + ENTRY_LENGTH);
    this.#sendPending(vector);
  }

  #sendPending(vector: number): void {
    const bit = 1 << (vector & 7);
    const pending = this.#state.msixPending[vector >>> 3]!;
    if ((pending & bit) === 0 || !this.enabled || this.#isMasked(vector)) return;
    this.#state.msixPending[vector >>> 3] = pending & ~bit;
    this.#send(vector);
  }

  #send(vector: number): void {
    const { msixTable } = this.#state;
    const at = vector * ENTRY_LENGTH;
    const address = readLittleEndian(msixTable, at + 4, 4) * 2 ** 32 + readLittleEndian(msixTable, at, 4);
    if (address < PHYSICAL_ADDRESS_LIMIT) this.#target.send(address, readLittleEndian(msixTable, at + DATA, 4));
  }
}
