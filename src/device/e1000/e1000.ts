/**
 * Gigabit Ethernet controller Intel 82540EM, which other virtual machines call e1000: a PCI function whose rings of
 * descriptors and packets are in the guest's memory.
 *
 * Nothing runs by itself: packets are sent when the ring's tail is written, and frames come from the other stations. Work
 * for each of these is bounded; what is more goes on by a timer.
 *
 * @spec PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453); PCI class code 02h 00h 00h
 *
 * Not modelled: jumbo frames, flow control, wake-up and power management, management (ASF, TCO), the flash, LEDs,
 * software-definable pins, TBI (this chip has no fibre), MAC loopback (the transceiver's is), early interrupts for small
 * packets, diagnostic registers and the packet buffer's memory, the 82542's register addresses; see also the other files.
 */
import type { AccessSize, Device, GuestMemory, MemoryDevice, SignalLine, TimeSource } from "../../machine/device.ts";
import type { EthernetPort, EthernetStation } from "../../net/link.ts";
import type { BarBuses } from "../pci/bar.ts";
import { PciFunction, type PciFunctionState } from "../pci/function.ts";
import { eepromWords, eerd, readEecd, writeEecd } from "./eeprom.ts";
import { Interrupts } from "./interrupts.ts";
import { Transceiver } from "./phy.ts";
import { Receiver } from "./receive.ts";
import {
  CTRL_STORED,
  Ctrl,
  Icr,
  IO_ADDRESS,
  IO_BAR_SIZE,
  IO_DATA,
  Mdic,
  MEMORY_BAR_SIZE,
  packetBufferAllocation,
  REGISTERS_SIZE,
  Register,
  STATUS,
  STATUS_LU,
  Tctl,
  WRITABLE,
} from "./registers.ts";
import { afterReset, type E1000Registers, powerOn } from "./state.ts";
import { isStatistic, readStatistic } from "./statistics.ts";
import { Transmitter } from "./transmit.ts";

/** The PRO/1000 MT Desktop Adapter. */
const VENDOR = 0x8086;
const DEVICE = 0x100e;
const SUBSYSTEM = 0x001e;
const REVISION = 2;
const CLASS_CODE = 0x02_00_00;

export interface E1000State extends E1000Registers {
  pci: PciFunctionState;
}

export interface E1000Wiring extends BarBuses {
  readonly ram: GuestMemory;
  readonly time: TimeSource;
  /** INTA#, as routed by the board. */
  readonly intx?: SignalLine;
  /** Plugs the controller in. */
  connect(station: EthernetStation): EthernetPort;
  /** The station's address, six bytes. */
  readonly address: Uint8Array;
  /** Expansion ROM: what firmware boots from the network with. */
  readonly rom?: Uint8Array;
}

export class E1000 implements Device<E1000State>, MemoryDevice, EthernetStation {
  readonly state: E1000State;
  /** For the board to put on the PCI bus. */
  readonly pci: PciFunction;
  readonly #address: Uint8Array;
  readonly #eeprom: Uint16Array;
  readonly #interrupts: Interrupts;
  readonly #phy: Transceiver;
  readonly #transmitter: Transmitter;
  readonly #receiver: Receiver;

  constructor({ ports, memory, ram, time, intx, connect, address, rom }: E1000Wiring) {
    this.#address = address.slice();
    this.#eeprom = eepromWords({
      address,
      vendor: VENDOR,
      device: DEVICE,
      subsystemVendor: VENDOR,
      subsystem: SUBSYSTEM,
    });
    this.pci = new PciFunction(
      {
        name: "e1000",
        identity: {
          vendor: VENDOR,
          device: DEVICE,
          revision: REVISION,
          classCode: CLASS_CODE,
          subsystemVendor: VENDOR,
          subsystem: SUBSYSTEM,
        },
        interruptPin: 1,
        bars: [
          { kind: "memory", index: 0, width: 32, size: MEMORY_BAR_SIZE, device: this },
          { kind: "io", index: 1, size: IO_BAR_SIZE, device: this },
        ],
        ...(rom && { rom }),
      },
      { ports, memory, ...(intx && { intx }), configWritten: () => this.#busMasterChanged() },
    );
    this.state = { ...powerOn(this.#address, true), pci: this.pci.state };
    this.#interrupts = new Interrupts(this.state, this.pci.interrupt, time);
    this.#phy = new Transceiver(this.state, time, () => this.#linkChanged());
    const port = connect(this);
    const raise = (causes: number) => this.#interrupts.raise(causes);
    this.#receiver = new Receiver(this.state, {
      ram,
      isConnected: () => this.pci.busMaster && (this.#phy.link || this.#phy.loopback),
      raise,
      roomAgain: () => port.roomAgain(),
    });
    this.#transmitter = new Transmitter(this.state, {
      ram,
      time,
      isBusMaster: () => this.pci.busMaster,
      raise,
      send: (frame) => {
        // Without a link frames go nowhere, and so does what the receiver does not take in loopback.
        if (this.#phy.loopback) this.#receiver.receive(frame);
        else if (this.#phy.link) return port.transmit(frame);
        return true;
      },
    });
  }

  reset(): void {
    const { pci, phy } = this.state;
    this.pci.reset();
    Object.assign(this.state, powerOn(this.#address, phy.cable), { pci });
    this.#drive();
  }

  restored(): void {
    this.state.pci = Object.assign(this.pci.state, this.state.pci);
    this.pci.restored();
    this.#drive();
  }

  /** Plugs the cable in or out. */
  setLink(up: boolean): void {
    this.#phy.setCable(up);
  }

  receive(frame: Uint8Array): boolean {
    // In loopback the cable is cut off.
    return this.#phy.loopback || this.#receiver.receive(frame);
  }

  roomAgain(): void {
    this.#transmitter.roomAgain();
  }

  readMemory(offset: number, size: AccessSize): number {
    const word = this.#read(offset & ~3) >>> ((offset & 3) * 8);
    return size === 4 ? word >>> 0 : word & (2 ** (size * 8) - 1);
  }

  /** Registers are written as dwords; anything else is dropped. */
  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (size === 4 && offset % 4 === 0) this.#write(offset, value);
  }

  /** §13.2.2: registers by their address, as dwords. */
  readPort(port: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (port === IO_ADDRESS) return this.state.ioAddress;
    return port === IO_DATA ? this.#read((this.state.ioAddress & ~3) >>> 0) : 0;
  }

  writePort(port: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (port === IO_ADDRESS) this.state.ioAddress = value;
    else if (port === IO_DATA) this.#write((this.state.ioAddress & ~3) >>> 0, value);
  }

  #read(register: number): number {
    const { state } = this;
    switch (register) {
      case Register.ctrlDuplicate:
        return this.#stored(Register.ctrl);
      case Register.status:
        return STATUS | (state.linkUp ? STATUS_LU : 0);
      case Register.eecd:
        return readEecd(state.microwire, this.#eeprom);
      case Register.eerd:
        return state.eerd;
      case Register.mdic:
        return state.mdic;
      case Register.icr: {
        const { causes } = state.interrupts;
        this.#interrupts.clear(causes);
        return causes;
      }
      case Register.ics:
        return state.interrupts.causes;
      case Register.ims:
        return state.interrupts.mask;
    }
    if (isStatistic(register)) return readStatistic(state.registers, register);
    return this.#stored(register);
  }

  #stored(register: number): number {
    return this.state.registers[register / 4] ?? 0;
  }

  #write(register: number, value: number): void {
    const { state } = this;
    const { interrupts } = state;
    switch (register) {
      case Register.ctrl:
      case Register.ctrlDuplicate:
        this.#control(value);
        return;
      case Register.eecd:
        writeEecd(state.microwire, value);
        return;
      case Register.eerd:
        state.eerd = eerd(value, this.#eeprom);
        return;
      case Register.mdic:
        state.mdic = this.#phy.access(value);
        if ((value & Mdic.mask.i) !== 0) this.#interrupts.raise(Icr.mdac);
        return;
      case Register.icr:
        this.#interrupts.clear(value);
        return;
      case Register.ics:
        this.#interrupts.raise(value);
        return;
      case Register.ims:
        this.#interrupts.setMask(interrupts.mask | value);
        return;
      case Register.imc:
        this.#interrupts.setMask(interrupts.mask & ~value);
        return;
      case Register.pba:
        state.registers[Register.pba / 4] = packetBufferAllocation(value & 0xffff);
        return;
    }
    if (register >= REGISTERS_SIZE) return;
    const writable = WRITABLE[register / 4]!;
    if (writable === 0) return;
    state.registers[register / 4] = value & writable;
    this.#written(register);
  }

  /** What a write of a register that is stored brings about. */
  #written(register: number): void {
    switch (register) {
      case Register.itr:
        this.#interrupts.intervalChanged();
        break;
      case Register.tdh:
        this.#transmitter.restart();
        break;
      case Register.tctl:
        if ((this.#stored(register) & Tctl.mask.en) === 0) this.#transmitter.restart();
        this.#transmitter.service();
        break;
      case Register.tdt:
        this.#transmitter.service();
        break;
      case Register.rdt:
      case Register.rdh:
      case Register.rctl:
        this.#receiver.tellRoom();
        break;
    }
  }

  /** CTRL, §13.4.1. */
  #control(value: number): void {
    const { rst, phyRst } = Ctrl(value);
    if (phyRst) this.#phy.hardwareReset();
    if (rst) this.#globalReset();
    else this.state.registers[Register.ctrl / 4] = value & CTRL_STORED;
  }

  #globalReset(): void {
    const pba = this.#stored(Register.pba);
    const { refused } = this.state.receive;
    Object.assign(this.state, afterReset(this.#address));
    this.state.registers[Register.pba / 4] = pba;
    this.state.receive.refused = refused;
    this.#drive();
    this.#receiver.tellRoom();
  }

  /** Drives lines and timers from the state. */
  #drive(): void {
    this.#phy.restored();
    this.#transmitter.restored();
    this.#interrupts.restored();
  }

  #linkChanged(): void {
    const { link } = this.#phy;
    if (this.state.linkUp === link) return;
    this.state.linkUp = link;
    this.#interrupts.raise(Icr.lsc);
    this.#receiver.tellRoom();
  }

  #busMasterChanged(): void {
    this.#transmitter.service();
    this.#receiver.tellRoom();
  }
}
