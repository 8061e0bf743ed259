/**
 * What every virtio device does, whatever its type and bus: device status, feature negotiation, queues,
 * configuration space. Source: OASIS virtio 1.2, §2 "Basic Facilities of a Virtio Device", §3, §6.
 *
 * The device is modern only: a driver must accept VIRTIO_F_VERSION_1. A driver's violation sets
 * DEVICE_NEEDS_RESET (§2.1.2), and queues rest until the driver resets the device.
 *
 * Not modelled: legacy interface, packed ring, VIRTIO_F_IN_ORDER, VIRTIO_F_RING_RESET, shared memory
 * regions, VIRTIO_F_ACCESS_PLATFORM (there is no IOMMU).
 */
import { bits } from "../../bits/fields.ts";
import type { Device, GuestMemory } from "../../machine/device.ts";
import type { VirtioTransport } from "./transport.ts";
import { initialQueueState, Virtqueue, type VirtqueueState } from "./virtqueue.ts";

/** Device status field (§2.1). */
export const DeviceStatus = bits({
  acknowledge: 0,
  driver: 1,
  driverOk: 2,
  featuresOk: 3,
  deviceNeedsReset: 6,
  failed: 7,
});
const { driverOk: DRIVER_OK, featuresOk: FEATURES_OK, deviceNeedsReset: NEEDS_RESET } = DeviceStatus.mask;

/** Feature bits that do not depend on the device type (§6). */
export const FEATURE = { indirectDesc: 28, eventIdx: 29, version1: 32 } as const;

export interface VirtioState<Own extends object> {
  status: number;
  /** Feature bits 0 to 31 that the driver accepted. */
  driverFeaturesLow: number;
  /** Feature bits 32 to 63 that the driver accepted. */
  driverFeaturesHigh: number;
  configGeneration: number;
  queues: VirtqueueState[];
  /** What the device type adds. */
  device: Own;
}

/** What a device reports to whoever runs the machine. */
export interface VirtioEvents {
  /** The driver broke a rule (one line that says which) and must reset the device. */
  fault?(reason: string): void;
}

/** What sets one device type apart from another. */
export interface VirtioType<Own extends object> {
  /** Device type number (§5). */
  deviceId: number;
  /** Feature bits of the type that this device offers. */
  features: readonly number[];
  /** The largest size of each queue, powers of two. */
  queueSizes: readonly number[];
  /** Bytes of the device configuration space. */
  configLength: number;
  /** The type's part of the power-on state. */
  initial: Own;
}

export abstract class VirtioDevice<Own extends object> implements Device<VirtioState<Own>> {
  readonly state: VirtioState<Own>;
  readonly deviceId: number;
  readonly configLength: number;
  readonly queues: readonly Virtqueue[];
  readonly #features: readonly [low: number, high: number];
  readonly #fault: (reason: string) => void;
  #transport: VirtioTransport | undefined;

  constructor(memory: GuestMemory, type: VirtioType<Own>, events: VirtioEvents = {}) {
    this.deviceId = type.deviceId;
    this.configLength = type.configLength;
    this.#fault = (reason) => events.fault?.(reason);
    const offered = [...Object.values(FEATURE), ...type.features];
    const word = (first: number) =>
      offered.reduce((mask, bit) => (bit >= first && bit < first + 32 ? mask | (1 << (bit - first)) : mask), 0) >>> 0;
    this.#features = [word(0), word(32)];
    this.state = {
      status: 0,
      driverFeaturesLow: 0,
      driverFeaturesHigh: 0,
      configGeneration: 0,
      queues: type.queueSizes.map(initialQueueState),
      device: type.initial,
    };
    const fault = (reason: string) => this.fail(reason);
    this.queues = type.queueSizes.map(
      (maxSize, index) => new Virtqueue({ state: this.state.queues[index]!, memory, maxSize, fault }),
    );
  }

  /** Wires the bus; without one, notifications go nowhere. */
  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** Power-on state, and what a driver gets by writing 0 to the device status (§2.1). */
  reset(): void {
    const { state } = this;
    state.status = 0;
    state.driverFeaturesLow = 0;
    state.driverFeaturesHigh = 0;
    for (const queue of this.queues) queue.reset();
    this.#applyFeatures();
    this.resetDevice();
  }

  restored(): void {
    this.queues.forEach((queue, index) => {
      queue.state = this.state.queues[index] ?? initialQueueState(queue.maxSize);
    });
    this.#applyFeatures();
    this.restoredDevice();
  }

  /** Offered feature bits 32·`word` to 32·`word` + 31. */
  deviceFeatures(word: number): number {
    return this.#features[word] ?? 0;
  }

  driverFeatures(word: number): number {
    if (word === 0) return this.state.driverFeaturesLow;
    return word === 1 ? this.state.driverFeaturesHigh : 0;
  }

  /** Stores the driver's choice; without effect once FEATURES_OK is set (§2.2.1). */
  writeDriverFeatures(word: number, value: number): void {
    if ((this.state.status & FEATURES_OK) !== 0) return;
    if (word === 0) this.state.driverFeaturesLow = value;
    else if (word === 1) this.state.driverFeaturesHigh = value;
  }

  /** Whether feature `bit` was accepted by the driver. */
  negotiated(bit: number): boolean {
    return ((this.driverFeatures(bit >>> 5) >>> (bit & 31)) & 1) !== 0;
  }

  /** The driver's write to the device status; bits can be added, and 0 resets. */
  writeStatus(value: number): void {
    const { state } = this;
    if (value === 0) {
      this.reset();
      return;
    }
    let added = value & 0xff & ~state.status & ~NEEDS_RESET;
    if ((added & FEATURES_OK) !== 0) {
      if (this.#featuresAcceptable()) this.#applyFeatures();
      else added &= ~FEATURES_OK;
    }
    if (((state.status | added) & FEATURES_OK) === 0) added &= ~DRIVER_OK;
    state.status |= added;
    // A driver may have filled its queues before, and then need not notify (§3.1.1).
    if ((added & DRIVER_OK) !== 0) this.serviceAll();
  }

  /** The driver is up and did nothing wrong, and the bus lets the device reach memory. */
  get running(): boolean {
    const up = (this.state.status & (DRIVER_OK | NEEDS_RESET)) === DRIVER_OK;
    return up && this.#transport?.dmaAllowed !== false;
  }

  /** Looks at every queue, as if each had been notified. */
  serviceAll(): void {
    for (const index of this.queues.keys()) this.notified(index);
  }

  /** The driver set queue_enable. */
  enableQueue(index: number): void {
    const queue = this.queues[index];
    if (queue !== undefined && !queue.state.enabled) queue.enable();
  }

  /** The driver's available buffer notification for queue `index`. */
  notified(index: number): void {
    if (this.running && this.queues[index]?.state.enabled) this.serviceQueue(index);
  }

  /** Reads `size` bytes of the configuration space, little-endian; bytes outside it read as 0. */
  readConfig(offset: number, size: number): number {
    const config = this.config();
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (config[offset + i] ?? 0);
    return value;
  }

  /** The driver's write to the configuration space; a type without writable fields ignores it. */
  writeConfig(_offset: number, _size: number, _value: number): void {}

  /** The configuration space as it stands, `configLength` bytes. */
  protected abstract config(): Uint8Array;
  /** Takes what the driver made available in queue `index`. Called only while `running`. */
  protected abstract serviceQueue(index: number): void;
  /** Puts the type's own state back to power-on and forgets what is in flight. */
  protected abstract resetDevice(): void;
  /** Takes up the type's own state after a snapshot was loaded. */
  protected restoredDevice(): void {}

  /** Hands a chain back, and tells the driver if it wants to know. */
  protected use(index: number, head: number, written: number): void {
    if (!this.running) return;
    this.queues[index]!.push(head, written);
    this.notifyUsed(index);
  }

  /** Tells the driver of chains pushed to queue `index`, if it wants to know. */
  protected notifyUsed(index: number): void {
    if (this.running && this.queues[index]!.takeNotification()) this.#transport?.notifyQueue(index);
  }

  /** Tells the driver that the configuration space changed (§2.5.1). */
  protected configChanged(): void {
    this.state.configGeneration = (this.state.configGeneration + 1) & 0xff;
    if ((this.state.status & DRIVER_OK) !== 0) this.#transport?.configChanged();
  }

  /** The driver broke a rule: DEVICE_NEEDS_RESET, and queues rest until it resets the device. */
  protected fail(reason: string): void {
    if ((this.state.status & NEEDS_RESET) !== 0) return;
    this.state.status |= NEEDS_RESET;
    this.#fault(reason);
    if ((this.state.status & DRIVER_OK) !== 0) this.#transport?.configChanged();
  }

  #featuresAcceptable(): boolean {
    const { driverFeaturesLow: low, driverFeaturesHigh: high } = this.state;
    const offered = (low & ~this.#features[0]) === 0 && (high & ~this.#features[1]) === 0;
    return offered && this.negotiated(FEATURE.version1);
  }

  #applyFeatures(): void {
    for (const queue of this.queues) {
      queue.eventIndex = this.negotiated(FEATURE.eventIdx);
      queue.indirect = this.negotiated(FEATURE.indirectDesc);
    }
  }
}
