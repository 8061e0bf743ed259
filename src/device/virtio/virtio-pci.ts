/**
 * Virtio over PCI, modern devices only. Source: OASIS virtio 1.2, §4.1 "Virtio Over PCI Bus".
 *
 * One memory BAR holds the four structures, another the MSI-X table, with one vector for configuration
 * changes and one for each queue. The subsystem ID is the one that the drivers for Windows look for.
 *
 * Not modelled: the legacy interface, shared memory capabilities, VIRTIO_F_NOTIFICATION_DATA,
 * VIRTIO_F_NOTIF_CONFIG_DATA and VIRTIO_F_RING_RESET (so that the common configuration ends before their
 * fields).
 */
import { struct, u8, u16, u32 } from "../../bits/struct.ts";
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, Device, MemoryDevice, SignalLine } from "../../machine/device.ts";
import type { BarBuses } from "../pci/bar.ts";
import { readLittleEndian, writeLittleEndian } from "../pci/config-space.ts";
import { withFunctionIds } from "../pci/expansion-rom.ts";
import { type CapabilityDescription, PciFunction, type PciFunctionState } from "../pci/function.ts";
import { CapabilityId } from "../pci/registers.ts";
import type { VirtioTransport } from "./transport.ts";
import type { VirtioDevice, VirtioState } from "./virtio-device.ts";

export interface VirtioPciState {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  queueSelect: number;
  /** Bit 0: a queue, bit 1: the configuration. */
  isr: number;
  configVector: number;
  queueVectors: number[];
  pci: PciFunctionState;
  virtio: VirtioState<object>;
}

export interface VirtioPciWiring extends BarBuses {
  /** In listings of the buses. */
  name: string;
  device: VirtioDevice<object>;
  /** INTA#, as routed by the board. */
  intx?: SignalLine;
  msi?: MsiTarget;
  /** Expansion ROM, whichever card its images are for: firmware finds this one named in them. */
  rom?: Uint8Array;
}

/** struct virtio_pci_common_cfg (§4.1.4.3). */
export const CommonConfig = struct("LE", {
  deviceFeatureSelect: u32,
  deviceFeature: u32,
  driverFeatureSelect: u32,
  driverFeature: u32,
  configMsixVector: u16,
  numQueues: u16,
  deviceStatus: u8,
  configGeneration: u8,
  queueSelect: u16,
  queueSize: u16,
  queueMsixVector: u16,
  queueEnable: u16,
  queueNotifyOff: u16,
  queueDescLow: u32,
  queueDescHigh: u32,
  queueDriverLow: u32,
  queueDriverHigh: u32,
  queueDeviceLow: u32,
  queueDeviceHigh: u32,
});
type CommonField = keyof typeof CommonConfig.offset;

/** struct virtio_pci_cap (§4.1.4) after the capability's ID and link, and what two types append to it. */
const Capability = struct("LE", {
  length: u8,
  configType: u8,
  bar: u8,
  id: u8,
  padding: u16,
  structureOffset: u32,
  structureLength: u32,
});
const CAPABILITY_HEAD = 2;
const ConfigType = { common: 1, notify: 2, isr: 3, device: 4, pciAccess: 5 } as const;

/** Where the structures are in BAR 0. */
export const STRUCTURES_BAR = 0;
export const COMMON_OFFSET = 0x0000;
export const ISR_OFFSET = 0x1000;
export const DEVICE_OFFSET = 0x2000;
export const NOTIFY_OFFSET = 0x3000;
const STRUCTURES_SIZE = 0x4000;
/** Each queue's notification address is this many bytes after the one before. */
export const NOTIFY_MULTIPLIER = 4;

export const MSIX_BAR = 1;
const MSIX_BAR_SIZE = 0x1000;
const MSIX_PENDING_OFFSET = 0x800;
export const NO_VECTOR = 0xffff;

const ISR_QUEUE = 1;
const ISR_CONFIG = 2;

const VENDOR = 0x1af4;
const FIRST_DEVICE = 0x1040;
const SUBSYSTEM = 0x1100;
/** Class codes by device type: network, storage, communication; the others have no class. */
const CLASS_CODES: Readonly<Record<number, number>> = { 1: 0x020000, 2: 0x010000, 3: 0x078000, 8: 0x010000 };
const NO_CLASS = 0xff0000;

export class VirtioPci implements Device<VirtioPciState>, MemoryDevice, VirtioTransport {
  readonly state: VirtioPciState;
  /** For the board to put on the PCI bus. */
  readonly pci: PciFunction;
  readonly #device: VirtioDevice<object>;
  /** Offset in configuration space of the access capability, and of its data. */
  readonly #access: number;
  readonly #accessData: number;
  #dmaAllowed = false;

  constructor({ name, device, ports, memory, intx, msi, rom }: VirtioPciWiring) {
    this.#device = device;
    const identity = {
      vendor: VENDOR,
      device: FIRST_DEVICE + device.deviceId,
      revision: 1,
      classCode: CLASS_CODES[device.deviceId] ?? NO_CLASS,
      subsystemVendor: VENDOR,
      subsystem: SUBSYSTEM,
    };
    this.pci = new PciFunction(
      {
        name,
        identity,
        interruptPin: 1,
        ...(rom && { rom: withFunctionIds(rom, identity) }),
        bars: [
          { kind: "memory", index: STRUCTURES_BAR, width: 32, size: STRUCTURES_SIZE, device: this },
          { kind: "memory", index: MSIX_BAR, width: 32, size: MSIX_BAR_SIZE },
        ],
        capabilities: capabilities(device),
        msix: {
          bar: MSIX_BAR,
          vectors: device.queues.length + 1,
          tableOffset: 0,
          pendingOffset: MSIX_PENDING_OFFSET,
        },
      },
      {
        ports,
        memory,
        ...(intx && { intx }),
        ...(msi && { msi }),
        configRead: (offset, size) => this.#configRead(offset, size),
        configWritten: (offset, size) => this.#configWritten(offset, size),
      },
    );
    this.#access = this.pci.capabilityOffsets.at(-1)! + CAPABILITY_HEAD;
    this.#accessData = this.#access + Capability.size;
    this.state = {
      deviceFeatureSelect: 0,
      driverFeatureSelect: 0,
      queueSelect: 0,
      isr: 0,
      configVector: NO_VECTOR,
      queueVectors: device.queues.map(() => NO_VECTOR),
      pci: this.pci.state,
      virtio: device.state,
    };
    device.attach(this);
  }

  reset(): void {
    this.pci.reset();
    this.#dmaAllowed = this.pci.busMaster;
    this.#resetDevice();
  }

  restored(): void {
    // The parts may have been replaced by those of the snapshot; each belongs to who works with it.
    this.state.pci = Object.assign(this.pci.state, this.state.pci);
    this.state.virtio = Object.assign(this.#device.state, this.state.virtio);
    this.pci.restored();
    this.#dmaAllowed = this.pci.busMaster;
    this.#device.restored();
  }

  get dmaAllowed(): boolean {
    return this.#dmaAllowed;
  }

  notifyQueue(index: number): void {
    this.#interrupt(this.state.queueVectors[index] ?? NO_VECTOR, ISR_QUEUE);
  }

  configChanged(): void {
    this.#interrupt(this.state.configVector, ISR_CONFIG);
  }

  readMemory(offset: number, size: AccessSize): number {
    if (offset >= NOTIFY_OFFSET) return 0;
    if (offset >= DEVICE_OFFSET) return this.#device.readConfig(offset - DEVICE_OFFSET, size);
    if (offset >= ISR_OFFSET) return offset === ISR_OFFSET ? this.#takeIsr() : 0;
    return littleEndian(this.#common(), offset, size);
  }

  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (offset >= NOTIFY_OFFSET) {
      this.#device.notified(Math.floor((offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER));
    } else if (offset >= DEVICE_OFFSET) {
      this.#device.writeConfig(offset - DEVICE_OFFSET, size, value);
    } else if (offset < ISR_OFFSET) {
      this.#writeCommon(offset, size, value);
    }
  }

  /** Reading the ISR status clears it and takes the interrupt line back (§4.1.4.5). */
  #takeIsr(): number {
    const { isr } = this.state;
    this.state.isr = 0;
    this.pci.interrupt.set(false);
    return isr;
  }

  #interrupt(vector: number, isr: number): void {
    if (this.pci.usesMessages) {
      if (vector !== NO_VECTOR) this.pci.signal(vector);
      return;
    }
    this.state.isr |= isr;
    this.pci.interrupt.set(true);
  }

  #common(): Uint8Array {
    const { state } = this;
    const device = this.#device;
    const queue = device.queues[state.queueSelect]?.state;
    return CommonConfig.make({
      deviceFeatureSelect: state.deviceFeatureSelect,
      deviceFeature: device.deviceFeatures(state.deviceFeatureSelect),
      driverFeatureSelect: state.driverFeatureSelect,
      driverFeature: device.driverFeatures(state.driverFeatureSelect),
      configMsixVector: state.configVector,
      numQueues: device.queues.length,
      deviceStatus: device.state.status,
      configGeneration: device.state.configGeneration,
      queueSelect: state.queueSelect,
      // A queue that does not exist has size 0 (§4.1.4.3.1).
      ...(queue && {
        queueSize: queue.size,
        queueMsixVector: state.queueVectors[state.queueSelect] ?? NO_VECTOR,
        queueEnable: queue.enabled ? 1 : 0,
        queueNotifyOff: state.queueSelect,
        queueDescLow: queue.descLow,
        queueDescHigh: queue.descHigh,
        queueDriverLow: queue.driverLow,
        queueDriverHigh: queue.driverHigh,
        queueDeviceLow: queue.deviceLow,
        queueDeviceHigh: queue.deviceHigh,
      }),
    });
  }

  /** Fields are written whole (§4.1.3.1); an access that covers part of one does not change it. */
  #writeCommon(offset: number, size: AccessSize, value: number): void {
    for (const { name, at, length } of COMMON_FIELDS) {
      if (at < offset || at + length > offset + size) continue;
      const shifted = value >>> ((at - offset) * 8);
      this.#writeField(name, length === 4 ? shifted >>> 0 : shifted & (2 ** (length * 8) - 1));
    }
  }

  #writeField(name: CommonField, value: number): void {
    const { state } = this;
    switch (name) {
      case "deviceFeatureSelect":
      case "driverFeatureSelect":
      case "queueSelect":
        state[name] = value;
        return;
      case "driverFeature":
        this.#device.writeDriverFeatures(state.driverFeatureSelect, value);
        return;
      case "configMsixVector":
        state.configVector = this.#existingVector(value);
        return;
      case "deviceStatus":
        if (value === 0) this.#resetDevice();
        else this.#device.writeStatus(value);
        return;
      case "queueEnable":
        // Only 1 may be written (§4.1.4.3.2).
        if (value === 1) this.#device.enableQueue(state.queueSelect);
        return;
      default:
        this.#writeQueueField(name, value);
    }
  }

  #writeQueueField(name: CommonField, value: number): void {
    const { queueSelect, queueVectors } = this.state;
    const queue = this.#device.queues[queueSelect]?.state;
    if (queue === undefined) return;
    if (name === "queueMsixVector") queueVectors[queueSelect] = this.#existingVector(value);
    // A queue in use keeps its place: the driver must configure it before it enables it (§4.1.5.1.3).
    if (queue.enabled) return;
    if (name === "queueSize") queue.size = value;
    else if (name === "queueDescLow") queue.descLow = value;
    else if (name === "queueDescHigh") queue.descHigh = value;
    else if (name === "queueDriverLow") queue.driverLow = value;
    else if (name === "queueDriverHigh") queue.driverHigh = value;
    else if (name === "queueDeviceLow") queue.deviceLow = value;
    else if (name === "queueDeviceHigh") queue.deviceHigh = value;
  }

  /** Reading the field back tells a driver whether it got the vector (§4.1.5.1.2). */
  #existingVector(vector: number): number {
    return vector <= this.#device.queues.length ? vector : NO_VECTOR;
  }

  #resetDevice(): void {
    const { state } = this;
    state.deviceFeatureSelect = 0;
    state.driverFeatureSelect = 0;
    state.queueSelect = 0;
    state.isr = 0;
    state.configVector = NO_VECTOR;
    state.queueVectors.fill(NO_VECTOR);
    this.pci.interrupt.set(false);
    this.#device.reset();
  }

  /** A read of pci_cfg_data reads the structure that the capability points at (§4.1.4.9). */
  #configRead(offset: number, size: AccessSize): void {
    const window = this.#accessWindow(offset, size);
    if (window === undefined) return;
    writeLittleEndian(this.pci.state.config, this.#accessData, 4, this.readMemory(window.offset, window.size));
  }

  #configWritten(offset: number, size: AccessSize): void {
    const window = this.#accessWindow(offset, size);
    if (window !== undefined) {
      const value = readLittleEndian(this.pci.state.config, this.#accessData, window.size);
      this.writeMemory(window.offset, window.size, value);
    }
    const before = this.#dmaAllowed;
    this.#dmaAllowed = this.pci.busMaster;
    if (this.#dmaAllowed && !before) this.#device.serviceAll();
  }

  /** What an access to `offset` of configuration space reaches by way of pci_cfg_data, if that is what it is. */
  #accessWindow(offset: number, size: AccessSize): { offset: number; size: AccessSize } | undefined {
    if (offset >= this.#accessData + 4 || offset + size <= this.#accessData) return undefined;
    const { bar, structureOffset, structureLength } = Capability.at(this.pci.state.config, this.#access);
    const valid = structureLength === 1 || structureLength === 2 || structureLength === 4;
    if (!valid || bar !== STRUCTURES_BAR || structureOffset % structureLength !== 0) return undefined;
    if (structureOffset + structureLength > STRUCTURES_SIZE) return undefined;
    return { offset: structureOffset, size: structureLength };
  }
}

const COMMON_FIELDS = (Object.keys(CommonConfig.offset) as CommonField[]).map((name, index, names) => {
  const at = CommonConfig.offset[name];
  const next = names[index + 1];
  return { name, at, length: (next === undefined ? CommonConfig.size : CommonConfig.offset[next]) - at };
});

/** Bytes past the end of `source` read as 0. */
function littleEndian(source: Uint8Array, offset: number, size: AccessSize): number {
  let value = 0;
  for (let at = 0; at < size; at++) value |= (source[offset + at] ?? 0) << (at * 8);
  return value >>> 0;
}

/** The capabilities of §4.1.4.3 to §4.1.4.9; the last one is the access capability. */
function capabilities(device: VirtioDevice<object>): CapabilityDescription[] {
  const structure = (
    configType: number,
    structureOffset: number,
    structureLength: number,
    tail = new Uint8Array(0),
  ) => {
    const length = CAPABILITY_HEAD + Capability.size + tail.length;
    const head = Capability.make({ length, configType, bar: STRUCTURES_BAR, structureOffset, structureLength });
    return { id: CapabilityId.vendor, body: Uint8Array.of(...head, ...tail) };
  };
  const multiplier = new Uint8Array(4);
  new DataView(multiplier.buffer).setUint32(0, NOTIFY_MULTIPLIER, true);
  const access = structure(ConfigType.pciAccess, 0, 0, new Uint8Array(4));
  const writable = new Uint8Array(access.body.length);
  writable[Capability.offset.bar] = 0xff;
  writable.fill(0xff, Capability.offset.structureOffset);
  return [
    structure(ConfigType.common, COMMON_OFFSET, CommonConfig.size),
    structure(ConfigType.isr, ISR_OFFSET, 1),
    ...(device.configLength > 0 ? [structure(ConfigType.device, DEVICE_OFFSET, device.configLength)] : []),
    structure(ConfigType.notify, NOTIFY_OFFSET, NOTIFY_MULTIPLIER * device.queues.length, multiplier),
    { ...access, writable },
  ];
}
