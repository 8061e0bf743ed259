/** A guest's driver for tests: brings a virtio device up and fills split virtqueues in RAM. */
import { guestPhysical } from "../../../bits/units.ts";
import type { PlainMemory } from "../../../machine/testing/rig.ts";
import type { VirtioTransport } from "../transport.ts";
import { DeviceStatus, FEATURE, type VirtioDevice } from "../virtio-device.ts";

export interface Buffer {
  address: number;
  length: number;
  /** Device-writable. */
  writable?: boolean;
}

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** A bus that counts what the device tells the driver. */
export class ProbeTransport implements VirtioTransport {
  dmaAllowed = true;
  configChanges = 0;
  readonly notifications: number[] = [];
  notifyQueue(index: number): void {
    this.notifications.push(index);
  }
  configChanged(): void {
    this.configChanges++;
  }
}

/** The driver's side of one split virtqueue. */
export class DriverQueue {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  readonly #view: DataView;
  #nextDescriptor = 0;
  #usedSeen = 0;

  /** Lays the three parts out from `at` on, which must be a multiple of 16. */
  constructor(memory: PlainMemory, at: number, size: number) {
    this.#view = new DataView(memory.bytes.buffer);
    this.size = size;
    this.desc = at;
    this.driver = at + 16 * size;
    this.device = (this.driver + 6 + 2 * size + 3) & ~3;
  }

  /** First byte after the queue. */
  get end(): number {
    return this.device + 6 + 8 * this.size;
  }

  /** Writes one descriptor into the table at `table`. */
  describe(index: number, address: number, length: number, flags: number, next = 0, table = this.desc): void {
    const at = table + 16 * index;
    this.#view.setUint32(at, address >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint16(at + 12, flags, true);
    this.#view.setUint16(at + 14, next, true);
  }

  /** Adds a chain of buffers and makes it available; returns its head. */
  add(...buffers: Buffer[]): number {
    const head = this.#nextDescriptor % this.size;
    buffers.forEach(({ address, length, writable }, i) => {
      const last = i === buffers.length - 1;
      const index = (head + i) % this.size;
      const flags = (writable ? WRITE : 0) | (last ? 0 : NEXT);
      this.describe(index, address, length, flags, last ? 0 : (index + 1) % this.size);
    });
    this.#nextDescriptor = head + buffers.length;
    this.makeAvailable(head);
    return head;
  }

  /** Adds a chain by way of an indirect table at `table`; returns its head. */
  addIndirect(table: number, ...buffers: Buffer[]): number {
    buffers.forEach(({ address, length, writable }, i) => {
      const last = i === buffers.length - 1;
      this.describe(i, address, length, (writable ? WRITE : 0) | (last ? 0 : NEXT), last ? 0 : i + 1, table);
    });
    const head = this.#nextDescriptor++ % this.size;
    this.describe(head, table, 16 * buffers.length, INDIRECT);
    this.makeAvailable(head);
    return head;
  }

  /** Puts `head` into the available ring. */
  makeAvailable(head: number): void {
    this.#view.setUint16(this.driver + 4 + 2 * (this.availableIndex % this.size), head, true);
    this.availableIndex++;
  }

  get availableIndex(): number {
    return this.#view.getUint16(this.driver + 2, true);
  }
  set availableIndex(value: number) {
    this.#view.setUint16(this.driver + 2, value, true);
  }
  set availableFlags(value: number) {
    this.#view.setUint16(this.driver, value, true);
  }
  set usedEvent(value: number) {
    this.#view.setUint16(this.driver + 4 + 2 * this.size, value, true);
  }
  get availableEvent(): number {
    return this.#view.getUint16(this.device + 4 + 8 * this.size, true);
  }
  get usedIndex(): number {
    return this.#view.getUint16(this.device + 2, true);
  }

  /** What the device handed back since the last call. */
  takeUsed(): { head: number; length: number }[] {
    const used = [];
    for (; this.#usedSeen !== this.usedIndex; this.#usedSeen = (this.#usedSeen + 1) & 0xffff) {
      const at = this.device + 4 + 8 * (this.#usedSeen % this.size);
      used.push({ head: this.#view.getUint32(at, true), length: this.#view.getUint32(at + 4, true) });
    }
    return used;
  }
}

/** The feature bits that every device offers. */
export const ALL_RING_FEATURES = Object.values(FEATURE);

/** Resets the device and goes up to FEATURES_OK with these feature bits; returns whether the device took them. */
export function negotiate(device: VirtioDevice<object>, features: readonly number[]): boolean {
  const { acknowledge, driver, featuresOk } = DeviceStatus.mask;
  device.writeStatus(0);
  device.writeStatus(acknowledge);
  device.writeStatus(acknowledge | driver);
  for (const word of [0, 1]) {
    const mask = features.reduce((bits, bit) => (bit >>> 5 === word ? bits | (1 << (bit & 31)) : bits), 0);
    device.writeDriverFeatures(word, mask >>> 0);
  }
  device.writeStatus(acknowledge | driver | featuresOk);
  return DeviceStatus(device.state.status).featuresOk;
}

/** Tells the device where queue `index` is. */
export function placeQueue(device: VirtioDevice<object>, index: number, queue: DriverQueue): void {
  Object.assign(device.queues[index]!.state, {
    size: queue.size,
    descLow: queue.desc,
    driverLow: queue.driver,
    deviceLow: queue.device,
  });
  device.enableQueue(index);
}

/** Brings the device up with queues of `size` entries from `at` on, one after the other; returns them. */
export function start(
  device: VirtioDevice<object>,
  memory: PlainMemory,
  { features = [FEATURE.version1] as readonly number[], size = 16, at = 0x1000 } = {},
): DriverQueue[] {
  negotiate(device, features);
  const queues: DriverQueue[] = [];
  let place = at;
  for (const index of device.queues.keys()) {
    const queue = new DriverQueue(memory, place, Math.min(size, device.queues[index]!.maxSize));
    memory.bytes.fill(0, place, queue.end);
    placeQueue(device, index, queue);
    queues.push(queue);
    place = (queue.end + 15) & ~15;
  }
  device.writeStatus(device.state.status | DeviceStatus.mask.driverOk);
  return queues;
}

/** Whether the device asks to be reset. */
export const needsReset = (device: VirtioDevice<object>): boolean => DeviceStatus(device.state.status).deviceNeedsReset;

/** The ASCII bytes of `text`. */
export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** The text of `length` bytes of RAM. */
export const textIn = (memory: PlainMemory, address: number, length: number): string =>
  String.fromCharCode(...memory.view(guestPhysical(address), length)!);
