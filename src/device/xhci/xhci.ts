/**
 * USB host controller: a PCI function whose rings of commands, transfers and events are in the guest's memory.
 *
 * Nothing runs by itself: commands and transfers are done when a doorbell is rung, when the guest has made room on the
 * event ring, and when a device has data that an endpoint was asked for. Work for each of these is bounded.
 *
 * @spec eXtensible Host Controller Interface 1.2; PCI class code 0Ch 03h 30h
 *
 * Not modelled: bulk and isochronous endpoints, interrupt OUT endpoints, hubs, streams, more than one interrupter, event
 * rings of several segments, saving and restoring state (CRS ends with SRE), Microframe Index wrap events, legacy
 * support and debug capabilities; see also the other files.
 */
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, Clock, Device, GuestMemory, MemoryDevice, SignalLine } from "../../machine/device.ts";
import type { BarBuses } from "../pci/bar.ts";
import { PciFunction, type PciFunctionState } from "../pci/function.ts";
import type { UsbDevice } from "../usb/usb-device.ts";
import { runCommand } from "./commands.ts";
import { tellEndpoint } from "./contexts.ts";
import { EventRing } from "./event-ring.ts";
import {
  Area,
  BAR_SIZE,
  CAPABILITY_REGISTERS,
  CommandControl,
  CompletionCode,
  Crcr,
  EndpointCode,
  EXTENDED_CAPABILITIES,
  Operational,
  PORT_REGISTERS,
  PORTS,
  TrbType,
  USBCMD_STORED,
  USBSTS_WRITE_ONE_TO_CLEAR,
  Usbcmd,
  Usbsts,
} from "./layout.ts";
import { Ports } from "./ports.ts";
import { powerOn, type XhciState } from "./state.ts";
import { serviceEndpoint, type TransferContext, tellStopped } from "./transfers.ts";
import { addressOf, NO_RAM, takeTrb } from "./trb-ring.ts";

const VENDOR = 0x1b36;
const DEVICE = 0x000d;
const CLASS_CODE = 0x0c_03_30;
/** Serial Bus Release Number, §5.2.3: USB 3.0; and Frame Length Adjustment, §5.2.4, at its default. */
const SBRN = { offset: 0x60, size: 1, reset: 0x30 } as const;
const FLADJ = { offset: 0x61, size: 1, reset: 0x20, writable: 0x3f } as const;
/** TRBs that are read for one doorbell, of endpoints and of commands. What a guest has beyond that waits for the next. */
const MOST_TRBS = 1024;
const MOST_COMMANDS = 256;
const MICROFRAME = 125_000;

export interface XhciDeviceState extends XhciState {
  pci: PciFunctionState;
}

export interface XhciWiring extends BarBuses {
  readonly ram: GuestMemory;
  readonly clock: Clock;
  /** On the USB 2.0 ports, from the first on. */
  readonly devices: readonly UsbDevice[];
  /** INTA#, as routed by the board. */
  readonly intx?: SignalLine;
  readonly msi?: MsiTarget;
}

export class Xhci implements Device<XhciDeviceState>, MemoryDevice {
  readonly state: XhciDeviceState;
  /** For the board to put on the PCI bus. */
  readonly pci: PciFunction;
  readonly #clock: Clock;
  readonly #ports: Ports;
  readonly #events: EventRing;
  readonly #context: TransferContext;
  readonly #ram: GuestMemory;

  constructor({ ports, memory, ram, clock, devices, intx, msi }: XhciWiring) {
    this.#clock = clock;
    this.pci = new PciFunction(
      {
        name: "xhci",
        identity: { vendor: VENDOR, device: DEVICE, revision: 1, classCode: CLASS_CODE, subsystemVendor: VENDOR },
        interruptPin: 1,
        bars: [{ kind: "memory", index: 0, width: 64, size: BAR_SIZE, device: this }],
        msix: { bar: 0, vectors: 1, tableOffset: Area.msixTable, pendingOffset: Area.msixPending },
        registers: [SBRN, FLADJ],
      },
      { ports, memory, ...(intx && { intx }), ...(msi && { msi }), configWritten: () => this.#configWritten() },
    );
    this.state = { ...powerOn(), pci: this.pci.state };
    this.#ram = ram;
    this.#events = new EventRing(this.state, {
      memory: ram,
      usesMessages: () => this.pci.usesMessages,
      sendMessage: () => void this.pci.signal(0),
      drivePin: (level) => this.pci.interrupt.set(level),
      systemError: () => this.#fail(Usbsts.mask.hse),
      controllerError: () => this.#fail(Usbsts.mask.hce),
    });
    this.#ports = new Ports(this.state, devices, (port) => this.#portChanged(port));
    this.#context = {
      state: this.state,
      memory: ram,
      ports: this.#ports,
      events: this.#events,
      systemError: () => this.#fail(Usbsts.mask.hse),
    };
    devices.forEach((device, index) => {
      device.attach((endpoint) => this.#deviceReady(index + 1, endpoint * 2 + 1));
    });
    this.#ports.reset();
  }

  reset(): void {
    this.pci.reset();
    this.#controllerReset();
  }

  restored(): void {
    this.state.pci = Object.assign(this.pci.state, this.state.pci);
    this.pci.restored();
    this.#events.drive();
  }

  readMemory(offset: number, size: AccessSize): number {
    const word = this.#register(offset & ~3) >>> ((offset & 3) * 8);
    return size === 4 ? word >>> 0 : word & (2 ** (size * 8) - 1);
  }

  /** Registers are written as dwords; anything else is dropped. */
  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset % 4 !== 0) return;
    if (offset >= Area.doorbells) this.#doorbell((offset - Area.doorbells) / 4, value & 0xff);
    else if (offset >= Area.interrupter0) this.#writeInterrupter(offset - Area.interrupter0, value);
    else if (offset >= Area.ports) this.#writePort(offset - Area.ports, value);
    else if (offset >= Area.operational) this.#writeOperational(offset - Area.operational, value);
  }

  #register(offset: number): number {
    if (offset >= Area.doorbells) return 0;
    if (offset >= Area.interrupter0) return this.#events.read(offset - Area.interrupter0);
    if (offset >= Area.runtime) return offset === Area.runtime ? this.#microframe() : 0;
    if (offset >= Area.extendedCapabilities) {
      return EXTENDED_CAPABILITIES[(offset - Area.extendedCapabilities) / 4] ?? 0;
    }
    if (offset >= Area.ports) {
      const at = offset - Area.ports;
      return at % PORT_REGISTERS === 0 ? (this.state.portsc[at / PORT_REGISTERS] ?? 0) : 0;
    }
    if (offset >= Area.operational) return this.#operational(offset - Area.operational);
    return CAPABILITY_REGISTERS[offset / 4] ?? 0;
  }

  #operational(register: number): number {
    const { state } = this;
    switch (register) {
      case Operational.usbcmd:
        return state.usbcmd;
      case Operational.usbsts:
        return state.usbsts;
      case Operational.pagesize:
        return 1;
      case Operational.dnctrl:
        return state.dnctrl;
      case Operational.crcrLow:
        return Crcr.pack({ crr: state.commandRingRunning });
      case Operational.dcbaapLow:
        return state.dcbaapLow;
      case Operational.dcbaapHigh:
        return state.dcbaapHigh;
      case Operational.config:
        return state.config;
      default:
        return 0;
    }
  }

  /** MFINDEX, §5.5.1. */
  #microframe(): number {
    return Usbcmd(this.state.usbcmd).rs ? Math.floor(this.#clock.now() / MICROFRAME) & 0x3fff : 0;
  }

  #writeOperational(register: number, value: number): void {
    const { state } = this;
    switch (register) {
      case Operational.usbcmd:
        this.#command(value);
        break;
      case Operational.usbsts:
        state.usbsts = (state.usbsts & ~(value & USBSTS_WRITE_ONE_TO_CLEAR)) >>> 0;
        break;
      case Operational.dnctrl:
        state.dnctrl = value & 0xffff;
        break;
      case Operational.crcrLow:
        this.#writeCommandRing(value);
        break;
      case Operational.crcrHigh:
        if (!state.commandRingRunning) {
          state.commandRing.dequeue = addressOf(state.commandRing.dequeue % 2 ** 32, value);
        }
        break;
      case Operational.dcbaapLow:
        state.dcbaapLow = (value & ~0x3f) >>> 0;
        break;
      case Operational.dcbaapHigh:
        state.dcbaapHigh = value;
        break;
      case Operational.config:
        state.config = value & 0x3ff;
        break;
    }
  }

  /** USBCMD, §5.4.1. */
  #command(value: number): void {
    const { state } = this;
    const { rs, hcrst, crs } = Usbcmd(value);
    if (hcrst) {
      this.#controllerReset();
      return;
    }
    const ran = Usbcmd(state.usbcmd).rs;
    const failed = Usbsts(state.usbsts).hce;
    state.usbcmd = (value & USBCMD_STORED) >>> 0;
    if (failed) state.usbcmd = Usbcmd.with(state.usbcmd, { rs: false });
    if (crs) state.usbsts = Usbsts.with(state.usbsts, { sre: true });
    state.usbsts = Usbsts.with(state.usbsts, { hch: !Usbcmd(state.usbcmd).rs });
    if (ran && !rs) state.commandRingRunning = false;
    this.#events.drive();
    if (ran || !Usbcmd(state.usbcmd).rs) return;
    this.#ports.tellChanges();
    // Doorbells that were rung before it stood still.
    this.#service();
  }

  /** HCRST, §4.23.1: all but the PCI function. */
  #controllerReset(): void {
    const { pci } = this.state;
    Object.assign(this.state, powerOn(), { pci });
    this.#ports.reset();
    this.#events.drive();
  }

  /** The controller stops, until it is reset or, after a system error, started. */
  #fail(status: number): void {
    const { state } = this;
    state.usbsts = (state.usbsts | status | Usbsts.mask.hch) >>> 0;
    state.usbcmd = Usbcmd.with(state.usbcmd, { rs: false });
    state.commandRingRunning = false;
    state.eventsWaiting = [];
  }

  /** CRCR, §5.4.5. */
  #writeCommandRing(value: number): void {
    const { state } = this;
    const { rcs, cs, ca } = Crcr(value);
    if (!state.commandRingRunning) {
      const high = Math.floor(state.commandRing.dequeue / 2 ** 32);
      state.commandRing = { dequeue: addressOf((value & ~0x3f) >>> 0, high), cycle: Number(rcs) };
      return;
    }
    if (!cs && !ca) return;
    state.commandRingRunning = false;
    this.#completeCommand(state.commandRing.dequeue, CompletionCode.commandRingStopped, 0);
  }

  #writeInterrupter(register: number, value: number): void {
    const wasBlocked = this.#events.isBlocked;
    this.#events.write(register, value);
    if (wasBlocked && !this.#events.isBlocked) this.#service();
  }

  #writePort(at: number, value: number): void {
    const port = Math.floor(at / PORT_REGISTERS) + 1;
    if (at % PORT_REGISTERS !== 0 || port > PORTS) return;
    this.#ports.write(port, value);
    // A device that was resumed may have something to say.
    this.#service();
  }

  #portChanged(port: number): void {
    const { state } = this;
    state.usbsts = Usbsts.with(state.usbsts, { pcd: true });
    if (!this.#isRunning) return;
    this.#events.post({
      low: port * 2 ** 24,
      high: 0,
      status: CompletionCode.success * 2 ** 24,
      control: TrbType.portStatusChangeEvent << 10,
      interrupts: true,
    });
  }

  get #isRunning(): boolean {
    return Usbcmd(this.state.usbcmd).rs && this.pci.busMaster;
  }

  /** §4.7: doorbell 0 is the command ring's, the others those of device slots, whose endpoint `target` is. */
  #doorbell(slotId: number, target: number): void {
    const { state } = this;
    if (!this.#isRunning) return;
    if (slotId === 0) {
      if (target !== 0) return;
      state.commandRingRunning = true;
      state.commandsWaiting = true;
      this.#serviceCommands();
      return;
    }
    const slot = state.slots[slotId];
    const endpoint = slot?.endpoints[target];
    if (!slot || !endpoint || (endpoint.state !== EndpointCode.running && endpoint.state !== EndpointCode.stopped))
      return;
    if (endpoint.state === EndpointCode.stopped) {
      endpoint.state = EndpointCode.running;
      tellEndpoint(this.#ram, slot, target);
    }
    endpoint.armed = true;
    serviceEndpoint(this.#context, slotId, target, { left: MOST_TRBS });
  }

  /** A device has a packet. */
  #deviceReady(port: number, index: number): void {
    if (!this.#isRunning) return;
    const slotId = this.state.slots.findIndex((slot) => slot?.port === port);
    if (slotId > 0) serviceEndpoint(this.#context, slotId, index, { left: MOST_TRBS });
  }

  #configWritten(): void {
    this.#events.drive();
    this.#service();
  }

  /** Goes on with everything that waited. */
  #service(): void {
    if (!this.#isRunning) return;
    const budget = { left: MOST_TRBS };
    this.#serviceCommands();
    for (const [slotId, slot] of this.state.slots.entries()) {
      for (const index of slot?.endpoints.keys() ?? []) serviceEndpoint(this.#context, slotId, index, budget);
    }
  }

  #serviceCommands(): void {
    const { state } = this;
    const budget = { left: MOST_COMMANDS };
    while (state.commandRingRunning && state.commandsWaiting && !this.#events.isBlocked) {
      const trb = takeTrb(state.commandRing, this.#ram, budget);
      if (trb === NO_RAM) {
        this.#fail(Usbsts.mask.hse);
        return;
      }
      if (trb === undefined) {
        state.commandsWaiting = false;
        return;
      }
      const stopped = (slotId: number, index: number) => tellStopped(this.#context, slotId, index);
      const { code, slotId } = runCommand({ ...this.#context, stopped }, trb);
      this.#completeCommand(trb.address, code, slotId);
    }
  }

  #completeCommand(address: number, code: number, slotId: number): void {
    this.#events.post({
      low: address % 2 ** 32,
      high: Math.floor(address / 2 ** 32),
      status: code * 2 ** 24,
      control: CommandControl.pack({ type: TrbType.commandCompletionEvent, slot: slotId }),
      interrupts: true,
    });
  }
}
