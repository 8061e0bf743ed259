/** A guest's xHCI driver for tests: registers and rings in plain memory. */
import assert from "node:assert/strict";
import { MemoryBus } from "../../../../machine/memory-bus.ts";
import { PortBus } from "../../../../machine/port-bus.ts";
import { ManualTime, PlainMemory, ProbeLine } from "../../../../machine/testing/rig.ts";
import { type SetupPacket, STALL, type Stall, type UsbDevice } from "../../../usb/usb-device.ts";
import {
  Area,
  CONTEXT_SIZE,
  CommandControl,
  CompletionCode,
  EndpointType,
  Interrupter,
  Operational,
  Portsc,
  TrbControl,
  TrbType,
} from "../../layout.ts";
import { Xhci } from "../../xhci.ts";

export const RAM = 1 << 20;
const DCBAA = 0x1000;
const ERST = 0x2000;
export const EVENT_RING = 0x3000;
export const EVENTS = 16;
export const COMMAND_RING = 0x4000;
/** TRBs of a ring, the last of which is a link to the first. */
export const ENTRIES = 16;
const DEVICE_CONTEXTS = 0x5000;
export const INPUT_CONTEXT = 0x7000;
export const EP0_RING = 0x8000;
export const INTERRUPT_RING = 0x9000;
/** Where tests have room. */
export const DATA = 0x1_0000;
/** Device context indices of endpoint 0 and of interrupt endpoint 1. */
export const EP0 = 1;
export const EP1_IN = 3;

/** A device that answers what a test says. */
export class TestDevice implements UsbDevice {
  readonly speed = "full";
  readonly requests: (SetupPacket & { data: Uint8Array })[] = [];
  resets = 0;
  answer: (setup: SetupPacket) => Uint8Array | Stall = () => new Uint8Array(0);
  packets: (Uint8Array | Stall)[] = [];
  asked = false;
  ready: (endpoint: number) => void = () => {};

  attach(ready: (endpoint: number) => void): void {
    this.ready = ready;
  }
  busReset(): void {
    this.resets++;
    this.asked = false;
  }
  control(setup: SetupPacket, data: Uint8Array): Uint8Array | Stall {
    this.requests.push({ ...setup, data });
    return this.answer(setup);
  }
  interruptIn(endpoint: number): Uint8Array | Stall | undefined {
    if (endpoint !== 1) return STALL;
    this.asked = true;
    return this.packets.shift();
  }
  stopAsking(): void {
    this.asked = false;
  }
  send(packet: Uint8Array | Stall): void {
    this.packets.push(packet);
    this.ready(1);
  }
}

export interface TrbFields {
  low?: number;
  high?: number;
  status?: number;
  control: number;
}

export interface TakenEvent {
  type: number;
  code: number;
  /** Low half of the parameter. */
  pointer: number;
  /** What a transfer did not move. */
  length: number;
  endpoint: number;
  slot: number;
  control: number;
}

/** The guest's side of a ring. */
class ProducerRing {
  readonly #memory: Uint8Array;
  readonly base: number;
  #index = 0;
  #cycle = 1;

  constructor(memory: Uint8Array, base: number) {
    this.#memory = memory;
    this.base = base;
    memory.fill(0, base, base + ENTRIES * 16);
  }

  /** Puts a TRB on the ring; returns its address. */
  put({ low = 0, high = 0, status = 0, control }: TrbFields): number {
    const address = this.base + this.#index * 16;
    this.#write(address, low, high, status, control | this.#cycle);
    this.#index++;
    if (this.#index === ENTRIES - 1) {
      const chain = control & TrbControl.mask.chain;
      const link = TrbControl.pack({ type: TrbType.link, toggleCycle: true }) | chain;
      this.#write(this.base + this.#index * 16, this.base, 0, 0, link | this.#cycle);
      this.#index = 0;
      this.#cycle ^= 1;
    }
    return address;
  }

  get dequeue(): number {
    return (this.base + this.#index * 16) | this.#cycle;
  }

  #write(address: number, ...words: [number, number, number, number]): void {
    const view = new DataView(this.#memory.buffer, address, 16);
    for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  }
}

export class XhciRig {
  readonly memory = new PlainMemory(RAM);
  readonly intx = new ProbeLine();
  readonly time = new ManualTime();
  readonly messages: [number, number][] = [];
  readonly device: TestDevice = new TestDevice();
  readonly xhci: Xhci;
  readonly #view = new DataView(this.memory.bytes.buffer);
  commands = new ProducerRing(this.memory.bytes, COMMAND_RING);
  ep0 = new ProducerRing(this.memory.bytes, EP0_RING);
  interrupts = new ProducerRing(this.memory.bytes, INTERRUPT_RING);
  #eventIndex = 0;
  #eventCycle = 1;

  constructor(devices?: readonly UsbDevice[]) {
    this.xhci = new Xhci({
      ports: new PortBus(),
      memory: new MemoryBus(),
      ram: this.memory,
      clock: this.time,
      devices: devices ?? [this.device],
      intx: this.intx,
      msi: { send: (address, data) => void this.messages.push([address, data]) },
    });
    this.xhci.reset();
    this.xhci.pci.writeConfig(4, 2, 0x6);
  }

  read32(offset: number): number {
    return this.xhci.readMemory(offset, 4);
  }
  write32(offset: number, value: number): void {
    this.xhci.writeMemory(offset, 4, value >>> 0);
  }
  operational(register: number, value: number): void {
    this.write32(Area.operational + register, value);
  }
  interrupter(register: number, value: number): void {
    this.write32(Area.interrupter0 + register, value);
  }
  get usbsts(): number {
    return this.read32(Area.operational + Operational.usbsts);
  }
  portsc(port: number) {
    return Portsc(this.read32(Area.ports + (port - 1) * 0x10));
  }
  writePort(port: number, fields: Parameters<typeof Portsc.pack>[0]): void {
    this.write32(Area.ports + (port - 1) * 0x10, Portsc.pack({ pp: true, ...fields }));
  }
  doorbell(slot: number, target: number): void {
    this.write32(Area.doorbells + slot * 4, target);
  }

  /** Resets the controller and starts it, with new rings. */
  start({ inte = true } = {}): void {
    this.operational(Operational.usbcmd, 2);
    this.commands = new ProducerRing(this.memory.bytes, COMMAND_RING);
    this.ep0 = new ProducerRing(this.memory.bytes, EP0_RING);
    this.interrupts = new ProducerRing(this.memory.bytes, INTERRUPT_RING);
    this.#eventIndex = 0;
    this.#eventCycle = 1;
    this.memory.bytes.fill(0, EVENT_RING, EVENT_RING + EVENTS * 16);
    this.#view.setUint32(ERST, EVENT_RING, true);
    this.#view.setUint32(ERST + 4, 0, true);
    this.#view.setUint32(ERST + 8, EVENTS, true);
    for (let slot = 1; slot <= 8; slot++) {
      this.#view.setUint32(DCBAA + slot * 8, DEVICE_CONTEXTS + slot * 0x400, true);
      this.#view.setUint32(DCBAA + slot * 8 + 4, 0, true);
    }
    this.operational(Operational.config, 8);
    this.operational(Operational.dcbaapLow, DCBAA);
    this.operational(Operational.dcbaapHigh, 0);
    this.operational(Operational.crcrLow, COMMAND_RING | 1);
    this.operational(Operational.crcrHigh, 0);
    this.interrupter(Interrupter.erstsz, 1);
    this.interrupter(Interrupter.erdpLow, EVENT_RING);
    this.interrupter(Interrupter.erdpHigh, 0);
    this.interrupter(Interrupter.erstbaLow, ERST);
    this.interrupter(Interrupter.erstbaHigh, 0);
    this.interrupter(Interrupter.iman, 3);
    this.operational(Operational.usbcmd, inte ? 5 : 1);
  }

  /** Takes the next event, and tells the controller unless `tell` is false. */
  take({ tell = true } = {}): TakenEvent | undefined {
    const at = EVENT_RING + this.#eventIndex * 16;
    const control = this.#view.getUint32(at + 12, true);
    if ((control & 1) !== this.#eventCycle) return undefined;
    const status = this.#view.getUint32(at + 8, true);
    this.#eventIndex = (this.#eventIndex + 1) % EVENTS;
    if (this.#eventIndex === 0) this.#eventCycle ^= 1;
    if (tell) this.acknowledge();
    const { type, slot } = CommandControl(control);
    return {
      type,
      slot,
      code: status >>> 24,
      pointer: this.#view.getUint32(at, true),
      length: status & 0xff_ffff,
      endpoint: (control >>> 16) & 0x1f,
      control,
    };
  }

  /** Tells the controller how far events were taken, and that the handler is done. */
  acknowledge(): void {
    this.interrupter(Interrupter.erdpLow, (EVENT_RING + this.#eventIndex * 16) | 8);
  }

  takeAll(): TakenEvent[] {
    const events: TakenEvent[] = [];
    for (let event = this.take(); event; event = this.take()) events.push(event);
    return events;
  }

  /** Runs a command; returns its completion code and slot. */
  command(fields: Parameters<typeof CommandControl.pack>[0], low = 0): { code: number; slot: number } {
    const pointer = this.commands.put({ low, control: CommandControl.pack(fields) });
    this.doorbell(0, 0);
    const event = this.takeAll().find(
      ({ type, pointer: at }) => type === TrbType.commandCompletionEvent && at === pointer,
    );
    assert.ok(event, "a command that does not end");
    return { code: event.code, slot: event.slot };
  }

  /** Puts an input context together: flags, and dwords of contexts by their index. */
  input(add: number, contexts: Readonly<Record<number, readonly number[]>>, drop = 0): number {
    this.memory.bytes.fill(0, INPUT_CONTEXT, INPUT_CONTEXT + 33 * CONTEXT_SIZE);
    this.#view.setUint32(INPUT_CONTEXT, drop, true);
    this.#view.setUint32(INPUT_CONTEXT + 4, add, true);
    for (const [index, dwords] of Object.entries(contexts)) {
      for (const [i, dword] of dwords.entries()) {
        this.#view.setUint32(INPUT_CONTEXT + (1 + Number(index)) * CONTEXT_SIZE + i * 4, dword >>> 0, true);
      }
    }
    return INPUT_CONTEXT;
  }

  /** A dword of a slot's output context. */
  output(slot: number, index: number, dword: number): number {
    return this.#view.getUint32(DEVICE_CONTEXTS + slot * 0x400 + index * CONTEXT_SIZE + dword * 4, true);
  }
  endpointState(slot: number, index: number): number {
    return this.output(slot, index, 0) & 7;
  }

  addressInput(port = 1): number {
    return this.input(3, {
      0: [(1 << 27) | (1 << 20), port << 16],
      [EP0]: [0, (EndpointType.control << 3) | (8 << 16), this.ep0.dequeue],
    });
  }
  configureInput(type: number = EndpointType.interruptIn): number {
    return this.input(1 | (1 << EP1_IN), {
      0: [(EP1_IN << 27) | (1 << 20), 1 << 16],
      [EP1_IN]: [0, (type << 3) | (8 << 16), this.interrupts.dequeue],
    });
  }

  /** A started controller whose device on port 1 has its address; returns the slot. */
  addressed(): number {
    this.start();
    this.writePort(1, { pr: true });
    const { slot } = this.command({ type: TrbType.enableSlot });
    const { code } = this.command({ type: TrbType.addressDevice, slot }, this.addressInput());
    assert.equal(code, CompletionCode.success);
    return slot;
  }

  /** As `addressed`, with interrupt endpoint 1 enabled. */
  configured(): number {
    const slot = this.addressed();
    const { code } = this.command({ type: TrbType.configureEndpoint, slot }, this.configureInput());
    assert.equal(code, CompletionCode.success);
    return slot;
  }

  setup(setup: Partial<SetupPacket>): TrbFields {
    const { bmRequestType = 0, bRequest = 0, wValue = 0, wIndex = 0, wLength = 0 } = setup;
    return {
      low: (bmRequestType | (bRequest << 8) | (wValue << 16)) >>> 0,
      high: (wIndex | (wLength << 16)) >>> 0,
      status: 8,
      control: TrbControl.pack({ type: TrbType.setupStage, idt: true }),
    };
  }

  /** A whole control transfer with `length` bytes of data at DATA; returns its events. */
  control(slot: number, setup: Partial<SetupPacket>, length = setup.wLength ?? 0): TakenEvent[] {
    const isIn = ((setup.bmRequestType ?? 0) & 0x80) !== 0;
    this.ep0.put(this.setup(setup));
    if (length > 0) {
      const control = TrbControl.pack({ type: TrbType.dataStage, isp: true, directionIn: isIn });
      this.ep0.put({ low: DATA, status: length, control });
    }
    this.ep0.put({ control: TrbControl.pack({ type: TrbType.statusStage, ioc: true, directionIn: !isIn }) });
    this.doorbell(slot, EP0);
    return this.takeAll();
  }

  /** Asks interrupt endpoint 1 for up to `length` bytes at DATA; returns the TRB's address. */
  askInterrupt(slot: number, { length = 8, address = DATA, ring = true, bei = false } = {}): number {
    const control = TrbControl.pack({ type: TrbType.normal, ioc: true, isp: true, bei });
    const at = this.interrupts.put({ low: address, status: length, control });
    if (ring) this.doorbell(slot, EP1_IN);
    return at;
  }

  /** Turns MSI-X on, with one message: data 41h to FEE00000h. */
  useMessages(): void {
    const entry = Uint32Array.of(0xfee0_0000, 0, 0x41, 0);
    this.xhci.pci.state.msixTable.set(new Uint8Array(entry.buffer));
    this.xhci.pci.writeConfig(0x42, 2, 0x8000);
  }
}
