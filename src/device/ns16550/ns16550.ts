/**
 * 16550A UART, eight ports from a base (COM1 0x3F8, COM2 0x2F8, ...).
 *
 * @spec National Semiconductor PC16550D datasheet (TL/C/8652), §8 "Registers"
 *
 * Not modelled: the time that a character takes (what is written is sent at once, the transmitter is always
 * empty; the character time-out interrupt comes at once too), parity, stop bits and word length (eight bits
 * pass whatever LCR says), a break sent by the guest outside loopback, DMA signalling.
 */
import { bits } from "../../bits/fields.ts";
import type { ByteSink, Device, SignalLine } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";

const RBR_THR_DLL = 0;
const IER_DLM = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

export const Ier = bits({ erbfi: 0, etbei: 1, elsi: 2, edssi: 3 });
export const Fcr = bits({
  fifoEnable: 0,
  rcvrFifoReset: 1,
  xmitFifoReset: 2,
  dmaModeSelect: 3,
  rcvrTrigger: [6, 7],
});
export const Lcr = bits({ wls: [0, 1], stb: 2, pen: 3, eps: 4, stickParity: 5, setBreak: 6, dlab: 7 });
export const Mcr = bits({ dtr: 0, rts: 1, out1: 2, out2: 3, loop: 4 });
export const Lsr = bits({ dr: 0, oe: 1, pe: 2, fe: 3, bi: 4, thre: 5, temt: 6, fifoError: 7 });
export const Msr = bits({ dcts: 0, ddsr: 1, teri: 2, ddcd: 3, cts: 4, dsr: 5, ri: 6, dcd: 7 });

/** IIR identification, bits 0 to 3, in order of priority; bits 6 and 7 are set while the FIFOs are on. */
const Iir = {
  receiverLineStatus: 0x6,
  receivedDataAvailable: 0x4,
  characterTimeout: 0xc,
  transmitterEmpty: 0x2,
  modemStatus: 0x0,
  none: 0x1,
  fifosEnabled: 0xc0,
} as const;

const FIFO_SIZE = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
const MSR_DELTAS = 0x0f;
const MCR_WRITABLE = 0x1f;
const IER_WRITABLE = 0x0f;
/** A character of the receive FIFO that was a break: its LSR bits above the byte. */
const BREAK = Lsr.mask.bi << 8;

/** Each byte alone, made once: a guest that prints does not make garbage. */
const SINGLE_BYTES = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));

export interface Ns16550State {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  /** Modem inputs and their deltas, as MSR shows them outside loopback. */
  msr: number;
  scr: number;
  dll: number;
  dlm: number;
  overrun: boolean;
  /** The transmitter-empty interrupt has not been read from IIR yet. */
  threPending: boolean;
  /** Received characters, oldest first, each with the LSR error bits it came with in bits 8 to 15. */
  rx: number[];
  /** The byte that RBR shows when it is empty. */
  lastRead: number;
  /** `receive` turned bytes away: the host waits for `onRoom`. */
  hostWaits: boolean;
}

export interface Ns16550Config {
  /** First of the eight ports. */
  readonly port: number;
}

export interface Ns16550Wiring {
  /** INTRPT through the PC's gate: it reaches the bus only while OUT2 is set. */
  readonly irq: SignalLine;
  /** What the guest sends, byte for byte as it is written. The arrays are shared: not to be changed. */
  readonly sink: ByteSink;
  /** The receiver has room again, after `receive` took less than it was given. */
  readonly onRoom?: () => void;
}

const powerOn = (): Ns16550State => ({
  ier: 0,
  fcr: 0,
  lcr: 0,
  mcr: 0,
  msr: Msr.pack({ cts: true, dsr: true, dcd: true }),
  scr: 0,
  dll: 0,
  dlm: 0,
  overrun: false,
  threPending: false,
  rx: [],
  lastRead: 0,
  hostWaits: false,
});

export class Ns16550 extends ByteWidePorts implements Device<Ns16550State> {
  readonly state: Ns16550State = powerOn();
  readonly #port: number;
  readonly #irq: SignalLine;
  readonly #sink: ByteSink;
  readonly #onRoom: (() => void) | undefined;

  constructor({ port }: Ns16550Config, { irq, sink, onRoom }: Ns16550Wiring) {
    super();
    this.#port = port;
    this.#irq = irq;
    this.#sink = sink;
    this.#onRoom = onRoom;
  }

  reset(): void {
    const { msr, hostWaits } = this.state;
    Object.assign(this.state, powerOn(), { msr: msr & ~MSR_DELTAS, hostWaits });
    this.#update();
    this.#offerRoom();
  }

  restored(): void {
    this.#update();
  }

  /**
   * Bytes from the line. Returns how many were taken, from the first; the rest is the host's to keep until
   * `onRoom`. In loopback the line is cut off and nothing is taken.
   */
  receive(bytes: Uint8Array): number {
    const { state } = this;
    const room = this.#loop ? 0 : Math.max(0, this.#capacity - state.rx.length);
    const taken = Math.min(room, bytes.length);
    for (let i = 0; i < taken; i++) state.rx.push(bytes[i] ?? 0);
    state.hostWaits = taken < bytes.length;
    if (taken > 0) this.#update();
    return taken;
  }

  /** A break condition on the line (Linux: the way to SysRq on a serial console). False where there is no room. */
  receiveBreak(): boolean {
    const { state } = this;
    if (this.#loop || state.rx.length >= this.#capacity) return false;
    state.rx.push(BREAK);
    this.#update();
    return true;
  }

  /** Sets the modem inputs. */
  setModemInputs(inputs: { cts?: boolean; dsr?: boolean; ri?: boolean; dcd?: boolean }): void {
    this.#setModem(Msr.with(this.state.msr, inputs));
    this.#update();
  }

  protected readByte(port: number): number {
    const { state } = this;
    switch (port - this.#port) {
      case RBR_THR_DLL:
        return this.#dlab ? state.dll : this.#readRbr();
      case IER_DLM:
        return this.#dlab ? state.dlm : state.ier;
      case IIR_FCR:
        return this.#readIir();
      case LCR:
        return state.lcr;
      case MCR:
        return state.mcr;
      case LSR:
        return this.#readLsr();
      case MSR:
        return this.#readMsr();
      case SCR:
        return state.scr;
      default:
        return FLOATING_BYTE;
    }
  }

  protected writeByte(port: number, value: number): void {
    const { state } = this;
    switch (port - this.#port) {
      case RBR_THR_DLL:
        if (this.#dlab) state.dll = value;
        else this.#writeThr(value);
        break;
      case IER_DLM:
        if (this.#dlab) state.dlm = value;
        else this.#writeIer(value & IER_WRITABLE);
        break;
      case IIR_FCR:
        this.#writeFcr(value);
        break;
      case LCR:
        this.#writeLcr(value);
        break;
      case MCR:
        this.#writeMcr(value & MCR_WRITABLE);
        break;
      case SCR:
        state.scr = value;
        break;
    }
  }

  get #dlab(): boolean {
    return (this.state.lcr & Lcr.mask.dlab) !== 0;
  }

  get #loop(): boolean {
    return (this.state.mcr & Mcr.mask.loop) !== 0;
  }

  get #fifos(): boolean {
    return (this.state.fcr & Fcr.mask.fifoEnable) !== 0;
  }

  get #capacity(): number {
    return this.#fifos ? FIFO_SIZE : 1;
  }

  #writeThr(value: number): void {
    const { state } = this;
    if (this.#loop) this.#loopBack(value);
    else this.#sink.write(SINGLE_BYTES[value] as Uint8Array);
    // The transmitter was full and is empty again: its interrupt goes and comes back, a new edge.
    if (state.ier & Ier.mask.etbei) {
      state.threPending = false;
      this.#update();
    }
    state.threPending = true;
    if (state.ier !== 0) this.#update();
  }

  #loopBack(character: number): void {
    const { state } = this;
    if (state.rx.length < this.#capacity) {
      state.rx.push(character);
    } else {
      // A full FIFO keeps what it has; the single register is overwritten (LSR bit 1).
      state.overrun = true;
      if (!this.#fifos) state.rx[0] = character;
    }
  }

  #readRbr(): number {
    const { state } = this;
    const character = state.rx.shift();
    if (character === undefined) return state.lastRead;
    state.lastRead = character & 0xff;
    this.#update();
    this.#offerRoom();
    return character & 0xff;
  }

  #writeIer(value: number): void {
    const { state } = this;
    // Enabling the interrupt while the transmitter is empty raises it; disabling it drops it.
    if ((value & Ier.mask.etbei) === 0) state.threPending = false;
    else if ((state.ier & Ier.mask.etbei) === 0) state.threPending = true;
    state.ier = value;
    this.#update();
  }

  #writeFcr(value: number): void {
    const { state } = this;
    const { fifoEnable, rcvrFifoReset } = Fcr(value);
    if (fifoEnable !== this.#fifos || rcvrFifoReset) state.rx = [];
    // Without bit 0 the other bits are not programmed.
    state.fcr = fifoEnable ? value & ~(Fcr.mask.rcvrFifoReset | Fcr.mask.xmitFifoReset) : 0;
    this.#update();
    this.#offerRoom();
  }

  #writeLcr(value: number): void {
    const { state } = this;
    const breakBegins = (value & ~state.lcr & Lcr.mask.setBreak) !== 0;
    state.lcr = value;
    if (breakBegins && this.#loop) {
      this.#loopBack(BREAK);
      this.#update();
    }
  }

  #writeMcr(value: number): void {
    const { state } = this;
    const before = this.#modemStatus();
    const looped = this.#loop;
    state.mcr = value;
    this.#noteDeltas(before, this.#modemStatus());
    this.#update();
    if (looped && !this.#loop) this.#offerRoom();
  }

  #setModem(msr: number): void {
    const { state } = this;
    const before = this.#modemStatus();
    state.msr = msr;
    this.#noteDeltas(before, this.#modemStatus());
  }

  /** The upper half of MSR: in loopback the modem outputs RTS, DTR, OUT1, OUT2. */
  #modemStatus(): number {
    if (!this.#loop) return this.state.msr & ~MSR_DELTAS;
    const { dtr, rts, out1, out2 } = Mcr(this.state.mcr);
    return Msr.pack({ cts: rts, dsr: dtr, ri: out1, dcd: out2 });
  }

  #noteDeltas(before: number, after: number): void {
    const changed = before ^ after;
    this.state.msr |= Msr.pack({
      dcts: (changed & Msr.mask.cts) !== 0,
      ddsr: (changed & Msr.mask.dsr) !== 0,
      // Only the end of a ring counts.
      teri: (changed & before & Msr.mask.ri) !== 0,
      ddcd: (changed & Msr.mask.dcd) !== 0,
    });
  }

  #readMsr(): number {
    const { state } = this;
    const value = this.#modemStatus() | (state.msr & MSR_DELTAS);
    if (state.msr & MSR_DELTAS) {
      state.msr &= ~MSR_DELTAS;
      this.#update();
    }
    return value;
  }

  /** Error bits of the character that RBR gives next. */
  get #errors(): number {
    return (this.state.rx[0] ?? 0) >>> 8;
  }

  #readLsr(): number {
    const { state } = this;
    let value = Lsr.mask.thre | Lsr.mask.temt;
    if (state.overrun) value |= Lsr.mask.oe;
    const first = state.rx[0];
    if (first !== undefined) {
      value |= Lsr.mask.dr | (first >>> 8);
      if (this.#fifos && state.rx.some((character) => character > 0xff)) value |= Lsr.mask.fifoError;
      if (first > 0xff) state.rx[0] = first & 0xff;
    }
    if (value & (Lsr.mask.oe | Lsr.mask.bi)) {
      state.overrun = false;
      this.#update();
    }
    return value;
  }

  /** The interrupt of highest priority. */
  #interrupt(): number {
    const { ier, overrun, rx, fcr, threPending, msr } = this.state;
    if (ier & Ier.mask.elsi && (overrun || this.#errors !== 0)) return Iir.receiverLineStatus;
    if (ier & Ier.mask.erbfi && rx.length > 0) {
      const trigger = this.#fifos ? (TRIGGER_LEVELS[fcr >>> 6] ?? 1) : 1;
      return rx.length >= trigger ? Iir.receivedDataAvailable : Iir.characterTimeout;
    }
    if (ier & Ier.mask.etbei && threPending) return Iir.transmitterEmpty;
    if (ier & Ier.mask.edssi && msr & MSR_DELTAS) return Iir.modemStatus;
    return Iir.none;
  }

  #readIir(): number {
    const interrupt = this.#interrupt();
    if (interrupt === Iir.transmitterEmpty) {
      this.state.threPending = false;
      this.#update();
    }
    return this.#fifos ? interrupt | Iir.fifosEnabled : interrupt;
  }

  #update(): void {
    const gated = (this.state.mcr & Mcr.mask.out2) !== 0;
    this.#irq.set(gated && this.#interrupt() !== Iir.none);
  }

  /** Tells a host that waits, once the guest has read everything: one call for a FIFO's worth. */
  #offerRoom(): void {
    const { state } = this;
    if (!state.hostWaits || state.rx.length > 0 || this.#loop) return;
    state.hostWaits = false;
    this.#onRoom?.();
  }
}
