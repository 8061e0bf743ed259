/**
 * Split virtqueue, device side. Source: OASIS virtio 1.2, §2.7 "Split Virtqueues".
 *
 * Everything in guest memory is hostile: indices, chains and addresses are checked each time, and a
 * violation ends in `fault`, from where the device asks for a reset (§2.1.2).
 *
 * Order towards other vCPUs: the two ring indices, the event fields and the flags are accessed with
 * `Atomics`, which are sequentially consistent; every other access to the rings lies between them
 * (§2.7.13). 16-bit atomics need a `GuestMemory` that keeps an address's alignment and a little-endian
 * host, which WebAssembly memory gives on every engine that there is.
 *
 * Not modelled: packed ring, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_RESET.
 */
import { bits } from "../../bits/fields.ts";
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { DescriptorChain, type Segment } from "./descriptor-chain.ts";

export interface VirtqueueState {
  /** Entries, as the driver chose. */
  size: number;
  enabled: boolean;
  descLow: number;
  descHigh: number;
  driverLow: number;
  driverHigh: number;
  deviceLow: number;
  deviceHigh: number;
  /** Index of the next available-ring entry to take. */
  nextAvailable: number;
  /** The used ring's index. */
  usedIndex: number;
  /** The used ring's index when the driver's wish for a notification was last looked at. */
  examinedUsed: number;
}

export interface VirtqueueWiring {
  state: VirtqueueState;
  memory: GuestMemory;
  /** Most entries that the driver may choose, a power of two. */
  maxSize: number;
  /** Called with what the driver did wrong; the queue must not be used until it is reset. */
  fault: (reason: string) => void;
}

const DescriptorFlags = bits({ next: 0, write: 1, indirect: 2 });
const { next: NEXT, write: WRITE, indirect: INDIRECT } = DescriptorFlags.mask;
const DESCRIPTOR_SIZE = 16;
const AVAILABLE_NO_INTERRUPT = 1;

/**
 * Most descriptors in a chain, those of an indirect table included (§2.7.4.1 allows "a reasonable
 * limit"). It is above the queue size because Linux fills indirect tables up to the device's segment
 * limit however small it made the queue; and it is what ends a chain with a loop.
 */
export const MAX_CHAIN = 1024;

/** A chain may hold at most 2^32 bytes (§2.7.5.2). */
const MAX_CHAIN_BYTES = 2 ** 32;

export const initialQueueState = (maxSize: number): VirtqueueState => ({
  size: maxSize,
  enabled: false,
  descLow: 0,
  descHigh: 0,
  driverLow: 0,
  driverHigh: 0,
  deviceLow: 0,
  deviceHigh: 0,
  nextAvailable: 0,
  usedIndex: 0,
  examinedUsed: 0,
});

export class Virtqueue {
  state: VirtqueueState;
  readonly maxSize: number;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  eventIndex = false;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  indirect = false;
  readonly #memory: GuestMemory;
  readonly #fault: (reason: string) => void;

  constructor({ state, memory, maxSize, fault }: VirtqueueWiring) {
    this.state = state;
    this.maxSize = maxSize;
    this.#memory = memory;
    this.#fault = fault;
  }

  /** Back to the state after a device reset. */
  reset(): void {
    Object.assign(this.state, initialQueueState(this.maxSize));
  }

  /** Starts the queue with the addresses and size in `state`; calls `fault` where they are unusable (§2.7). */
  enable(): void {
    const { state } = this;
    const { size } = state;
    if (size === 0 || size > this.maxSize || (size & (size - 1)) !== 0) {
      this.#fault(`queue size ${size} is not a power of two up to ${this.maxSize}`);
      return;
    }
    if (this.#desc % 16 !== 0 || this.#driver % 2 !== 0 || this.#device % 4 !== 0) {
      this.#fault("a part of the virtqueue is not aligned");
      return;
    }
    const ram =
      this.#memory.view(this.#desc, DESCRIPTOR_SIZE * size, "read") &&
      this.#memory.view(this.#driver, 6 + 2 * size, "read") &&
      this.#memory.view(this.#device, 6 + 8 * size, "read");
    if (ram === undefined) {
      this.#fault("a part of the virtqueue is not in RAM");
      return;
    }
    state.enabled = true;
  }

  /**
   * Takes the next available chain; undefined when there is none (the driver will then notify when it adds
   * one) or after a fault.
   */
  pop(): DescriptorChain | undefined {
    const { state } = this;
    if (!state.enabled) return undefined;
    let available = this.#load16(this.#driver + 2);
    if (available === state.nextAvailable) {
      if (!this.#requestNotification()) return undefined;
      // A chain added before the driver saw the request comes without a notification (§2.7.10).
      available = this.#load16(this.#driver + 2);
    }
    if (available === undefined || available === state.nextAvailable) return undefined;
    if (((available - state.nextAvailable) & 0xffff) > state.size) {
      this.#fault("the available index moved by more than the queue size");
      return undefined;
    }
    const slot = state.nextAvailable & (state.size - 1);
    const head = this.#load16(this.#driver + 4 + 2 * slot);
    if (head === undefined) return undefined;
    const chain = this.chain(head);
    if (chain !== undefined) state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    return chain;
  }

  /** Gives up the last `count` chains taken, none of which was handed back: `pop` takes them again. */
  putBack(count: number): void {
    const { state } = this;
    state.nextAvailable = (state.nextAvailable - count) & 0xffff;
  }

  /** The chain that starts at descriptor `head`, validated; undefined after a fault. */
  chain(head: number): DescriptorChain | undefined {
    const problem = this.#walk(head);
    if (typeof problem !== "string") return problem;
    this.#fault(problem);
    return undefined;
  }

  /** Hands a chain back to the driver; `written` counts the bytes stored from the start of its writable part. */
  push(head: number, written: number): void {
    const { state } = this;
    if (!state.enabled) return;
    const slot = state.usedIndex & (state.size - 1);
    const element = this.#memory.view(guestPhysical(this.#device + 4 + 8 * slot), 8, "write");
    if (element === undefined) {
      this.#fault("the used ring is not in RAM");
      return;
    }
    const fields = new DataView(element.buffer, element.byteOffset, 8);
    fields.setUint32(0, head, true);
    fields.setUint32(4, written, true);
    state.usedIndex = (state.usedIndex + 1) & 0xffff;
    this.#store16(this.#device + 2, state.usedIndex);
  }

  /** Whether the driver wants to hear of the chains pushed since the last call (§2.7.7). */
  takeNotification(): boolean {
    const { state } = this;
    if (!state.enabled || state.usedIndex === state.examinedUsed) return false;
    const pushed = (state.usedIndex - state.examinedUsed) & 0xffff;
    state.examinedUsed = state.usedIndex;
    if (!this.eventIndex) return ((this.#load16(this.#driver) ?? 0) & AVAILABLE_NO_INTERRUPT) === 0;
    const usedEvent = this.#load16(this.#driver + 4 + 2 * state.size);
    return usedEvent !== undefined && ((state.usedIndex - usedEvent - 1) & 0xffff) < pushed;
  }

  /** Asks the driver to notify for the next chain; false after a fault. */
  #requestNotification(): boolean {
    // Without EVENT_IDX the used ring's flags stay 0, which asks for every notification.
    if (!this.eventIndex) return true;
    return this.#store16(this.#device + 4 + 8 * this.state.size, this.state.nextAvailable);
  }

  #walk(head: number): DescriptorChain | string {
    const { size } = this.state;
    let table = this.#table(this.#desc, DESCRIPTOR_SIZE * size);
    if (table === undefined) return "the descriptor table is not in RAM";
    let entries = size;
    let inIndirect = false;
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let total = 0;
    let index = head;
    for (let count = 0; count < MAX_CHAIN; count++) {
      if (index >= entries) return `descriptor ${index} is outside a table of ${entries}`;
      const at = DESCRIPTOR_SIZE * index;
      const address = guestPhysical(table.getUint32(at + 4, true) * 2 ** 32 + table.getUint32(at, true));
      const length = table.getUint32(at + 8, true);
      const flags = table.getUint16(at + 12, true);
      if ((flags & INDIRECT) !== 0) {
        if (!this.indirect) return "an indirect descriptor without VIRTIO_F_INDIRECT_DESC";
        if (inIndirect) return "an indirect descriptor inside an indirect table";
        if ((flags & NEXT) !== 0) return "an indirect descriptor with a next descriptor";
        if (length === 0 || length % DESCRIPTOR_SIZE !== 0) return `an indirect table of ${length} bytes`;
        table = this.#table(address, length);
        if (table === undefined) return "an indirect table is not in RAM";
        entries = length / DESCRIPTOR_SIZE;
        inIndirect = true;
        index = 0;
        continue;
      }
      // A buffer of no bytes carries nothing; its address is as good as absent.
      if (length > 0) {
        if (!this.#memory.has(address, length)) return "a buffer is not in RAM";
        total += length;
        if (total > MAX_CHAIN_BYTES) return "a chain of more than 2^32 bytes";
        if ((flags & WRITE) !== 0) writable.push({ address, length });
        else if (writable.length > 0) return "a device-readable buffer after a device-writable one";
        else readable.push({ address, length });
      }
      if ((flags & NEXT) === 0) return new DescriptorChain(this.#memory, head, readable, writable);
      index = table.getUint16(at + 14, true);
    }
    return `a chain of more than ${MAX_CHAIN} descriptors`;
  }

  #table(address: GuestPhysical, length: number): DataView | undefined {
    const view = this.#memory.view(address, length, "read");
    return view && new DataView(view.buffer, view.byteOffset, length);
  }

  get #desc(): GuestPhysical {
    return guestPhysical(this.state.descHigh * 2 ** 32 + this.state.descLow);
  }
  get #driver(): GuestPhysical {
    return guestPhysical(this.state.driverHigh * 2 ** 32 + this.state.driverLow);
  }
  get #device(): GuestPhysical {
    return guestPhysical(this.state.deviceHigh * 2 ** 32 + this.state.deviceLow);
  }

  #load16(address: number): number | undefined {
    const view = this.#memory.view(guestPhysical(address), 2, "read");
    if (view !== undefined) return Atomics.load(new Uint16Array(view.buffer, view.byteOffset, 1), 0);
    this.#fault("the available ring is not in RAM");
    return undefined;
  }

  #store16(address: number, value: number): boolean {
    const view = this.#memory.view(guestPhysical(address), 2, "write");
    if (view === undefined) {
      this.#fault("the used ring is not in RAM");
      return false;
    }
    Atomics.store(new Uint16Array(view.buffer, view.byteOffset, 1), 0, value);
    return true;
  }
}
