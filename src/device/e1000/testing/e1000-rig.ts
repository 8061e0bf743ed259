/** A guest's driver of the controller for tests: registers, rings in plain memory, and another station on the cable. */
import { MemoryBus } from "../../../machine/memory-bus.ts";
import { PortBus } from "../../../machine/port-bus.ts";
import { ManualTime, PlainMemory, ProbeLine } from "../../../machine/testing/rig.ts";
import { EthernetHub } from "../../../net/hub.ts";
import type { EthernetPort, EthernetStation } from "../../../net/link.ts";
import { E1000 } from "../e1000.ts";
import { Mdic, Register } from "../registers.ts";

export const RAM = 4 << 20;
export const ADDRESS = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
export const OTHER = Uint8Array.of(0x02, 0x00, 0x00, 0x00, 0x00, 0x01);
export const BROADCAST = new Uint8Array(6).fill(0xff);

const TX_RING = 0x1000;
const RX_RING = 0x2000;
export const TX_BUFFERS = 0x10_0000;
export const RX_BUFFERS = 0x20_0000;
/** Between receive buffers. */
const RX_STRIDE = 0x4000;
export const RING_SIZE = 16;

/** Bits of a transmit descriptor's command. */
export const EOP = 1;
export const IFCS = 2;
export const IC = 4;
export const TSE = 4;
export const RS = 8;
const DEXT = 0x20;
export const VLE = 0x40;

/** The other station: hears all, and has room while it says so. */
export class Listener implements EthernetStation {
  readonly heard: Uint8Array[] = [];
  hasRoom = true;
  told = 0;
  refusals = 0;
  receive(frame: Uint8Array): boolean {
    if (this.hasRoom) this.heard.push(frame.slice());
    else this.refusals++;
    return this.hasRoom;
  }
  roomAgain(): void {
    this.told++;
  }
}

export interface ReceivedPart {
  length: number;
  status: number;
  errors: number;
  special: number;
  bytes: Uint8Array;
}

export interface Context {
  ipcss?: number;
  ipcso?: number;
  ipcse?: number;
  tucss?: number;
  tucso?: number;
  tucse?: number;
  hdrlen?: number;
  mss?: number;
  paylen?: number;
  /** TUCMD */
  command?: number;
}

export class E1000Rig {
  readonly memory = new PlainMemory(RAM);
  readonly view = new DataView(this.memory.bytes.buffer);
  readonly intx = new ProbeLine();
  readonly time = new ManualTime();
  readonly ports = new PortBus();
  readonly other = new Listener();
  readonly otherPort: EthernetPort;
  readonly nic: E1000;
  txSize = RING_SIZE;
  #txTail = 0;
  #txBuffer = TX_BUFFERS;
  #rxNext = 0;

  constructor(options: { rom?: Uint8Array } = {}) {
    const hub = new EthernetHub();
    this.nic = new E1000({
      ports: this.ports,
      memory: new MemoryBus(),
      ram: this.memory,
      time: this.time,
      intx: this.intx,
      connect: (station) => hub.connect(station),
      address: ADDRESS,
      ...options,
    });
    this.otherPort = hub.connect(this.other);
    this.nic.reset();
    this.nic.pci.writeConfig(4, 2, 7);
  }

  read(register: number): number {
    return this.nic.readMemory(register, 4);
  }
  write(register: number, value: number): void {
    this.nic.writeMemory(register, 4, value >>> 0);
  }

  readPhy(register: number): number {
    this.write(Register.mdic, Mdic.pack({ op: 2, phyadd: 1, regadd: register }));
    return Mdic(this.read(Register.mdic)).data;
  }
  writePhy(register: number, data: number): void {
    this.write(Register.mdic, Mdic.pack({ op: 1, phyadd: 1, regadd: register, data }));
  }

  /** A ring for sending, empty, and the transmitter on. */
  startTransmit(size = RING_SIZE): void {
    this.txSize = size;
    this.#txTail = 0;
    this.#ring(Register.tdbal, TX_RING, size);
    this.write(Register.tdh, 0);
    this.write(Register.tdt, 0);
    this.write(Register.tctl, 2);
  }

  /** A ring for receiving with all descriptors but one the controller's, and the receiver on. */
  startReceive({ rctl = 0x0400_8000, descriptors = RING_SIZE - 1 } = {}): void {
    for (let i = 0; i < RING_SIZE; i++) this.rxDescriptor(i, RX_BUFFERS + i * RX_STRIDE);
    this.#rxNext = 0;
    this.#ring(Register.rdbal, RX_RING, RING_SIZE);
    this.write(Register.rdh, 0);
    this.write(Register.rdt, descriptors);
    this.write(Register.rctl, rctl | 2);
  }

  #ring(first: number, base: number, size: number): void {
    this.write(first, base);
    this.write(first + 4, 0);
    this.write(first + 8, size * 16);
  }

  /** Puts a descriptor into the ring for sending, whose words these are. */
  put(words: readonly [number, number, number, number]): void {
    const at = TX_RING + this.#txTail * 16;
    words.forEach((word, index) => this.view.setUint32(at + index * 4, word, true));
    this.#txTail = (this.#txTail + 1) % this.txSize;
  }

  /** Copies bytes to where they may be sent from. */
  place(bytes: Uint8Array): number {
    const at = this.#txBuffer;
    this.memory.bytes.set(bytes, at);
    this.#txBuffer += (bytes.length + 15) & ~15;
    if (this.#txBuffer > RX_BUFFERS - 0x8_0000) this.#txBuffer = TX_BUFFERS;
    return at;
  }

  legacy(bytes: Uint8Array, { command = EOP | IFCS | RS, cso = 0, css = 0, special = 0 } = {}): void {
    this.put([
      this.place(bytes),
      0,
      (bytes.length | (cso << 16) | (command << 24)) >>> 0,
      (css << 8) | (special << 16),
    ]);
  }

  data(bytes: Uint8Array, { command = EOP | IFCS | RS, popts = 0, special = 0 } = {}): void {
    const word = (bytes.length | (1 << 20) | ((command | DEXT) << 24)) >>> 0;
    this.put([this.place(bytes), 0, word, ((popts << 8) | (special << 16)) >>> 0]);
  }

  context(context: Context): void {
    const { ipcss = 0, ipcso = 0, ipcse = 0, tucss = 0, tucso = 0, tucse = 0 } = context;
    const { hdrlen = 0, mss = 0, paylen = 0, command = 0 } = context;
    this.put([
      (ipcss | (ipcso << 8) | (ipcse << 16)) >>> 0,
      (tucss | (tucso << 8) | (tucse << 16)) >>> 0,
      (paylen | ((command | DEXT) << 24)) >>> 0,
      ((hdrlen << 8) | (mss << 16)) >>> 0,
    ]);
  }

  /** Hands the controller what was put into the ring. */
  send(): void {
    this.write(Register.tdt, this.#txTail);
  }

  /** Status of a descriptor for sending. */
  txStatus(index: number): number {
    return this.memory.bytes[TX_RING + index * 16 + 12]!;
  }

  rxDescriptor(index: number, address: number): void {
    const at = RX_RING + index * 16;
    this.memory.bytes.fill(0, at, at + 16);
    this.view.setUint32(at, address, true);
  }

  /** Takes the next descriptor that the controller filled. */
  take(): ReceivedPart | undefined {
    const at = RX_RING + this.#rxNext * 16;
    const status = this.memory.bytes[at + 12]!;
    if ((status & 1) === 0) return undefined;
    const address = this.view.getUint32(at, true);
    const length = this.view.getUint16(at + 8, true);
    const part = {
      length,
      status,
      errors: this.memory.bytes[at + 13]!,
      special: this.view.getUint16(at + 14, true),
      bytes: this.memory.bytes.slice(address, address + length),
    };
    this.memory.bytes[at + 12] = 0;
    this.#rxNext = (this.#rxNext + 1) % RING_SIZE;
    return part;
  }
}

/** A frame of `length` bytes, which follow a pattern. */
export function frameTo(destination: Uint8Array, length = 100, { source = OTHER, type = 0x88b5 } = {}): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 0xff);
  frame.set(destination);
  frame.set(source, 6);
  frame[12] = type >>> 8;
  frame[13] = type & 0xff;
  return frame;
}
