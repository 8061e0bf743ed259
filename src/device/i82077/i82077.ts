/**
 * 82077AA floppy disk controller in AT mode, ports 3F2h to 3F5h and 3F7h of the PC, with two drives.
 *
 * @spec Intel 82077AA datasheet (290166)
 *
 * Not modelled: status registers A and B and the lower bits of DIR, which the chip does not drive in AT mode; the scan
 * commands and format-write (they are invalid); FM, deleted data marks and sector sizes other than 512 bytes on a disk
 * (such sectors are not found); formats other than the image's; precompensation, power down, tape drives; perpendicular
 * mode (stored: SeaBIOS reads 2.88 MB disks without it); the time that heads and disks take to come round, so that
 * there is no overrun, except by a DMA channel in the wrong direction.
 */
import type { AsyncWork, Device, SignalLine, TimeSource } from "../../machine/device.ts";
import type { DmaChannel, DmaCycle, DmaDevice } from "../../machine/dma.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { FloppyDrive } from "./drive.ts";
import { Mechanics } from "./mechanics.ts";
import { DATA_RATES, type FloppyMedium, type FloppyType } from "./medium.ts";
import {
  type CommandDescription,
  type CommandName,
  Configure,
  commandOf,
  Dir,
  Dor,
  Dsr,
  Flags,
  InterruptCode,
  LOCK,
  Msr,
  Perpendicular,
  Port,
  SEEK_INWARDS,
  St0,
  St3,
  Unit,
} from "./registers.ts";
import { type I82077State, powerOn } from "./state.ts";
import { Transfer, type TransferResult, type TransferState } from "./transfer.ts";
import { transferOf } from "./transfer-command.ts";

export const FLOPPY_PORT = 0x3f0;
const DRIVES = 4;
const VERSION = 0x90;
/** LOCK's result. */
const LOCKED = 0x10;

export interface FloppyDriveConfig {
  readonly type: FloppyType;
  readonly medium?: FloppyMedium;
}

export interface I82077Wiring {
  readonly time: TimeSource;
  readonly work: AsyncWork;
  readonly dma: DmaChannel;
  readonly irq: SignalLine;
  readonly events?: {
    /** The host's storage failed. */
    ioError?(error: Error): void;
  };
}

export class I82077 extends ByteWidePorts implements Device<I82077State>, DmaDevice {
  readonly state: I82077State;
  readonly #drives: readonly (FloppyDrive | undefined)[];
  readonly #wiring: I82077Wiring;
  readonly #mechanics: Mechanics;
  #transfer: Transfer | undefined;

  constructor({ drives }: { drives: readonly (FloppyDriveConfig | undefined)[] }, wiring: I82077Wiring) {
    super();
    this.#wiring = wiring;
    this.#drives = drives.map((drive) => drive && new FloppyDrive(drive.type, drive.medium));
    wiring.dma.connect(this);
    this.state = { ...powerOn(), drives: this.#drives.map((drive) => drive?.state) };
    this.#mechanics = new Mechanics({
      state: this.state,
      drives: this.#drives,
      time: wiring.time,
      ready: (drive, medium) => this.#ready(drive, medium),
      idFound: (result) => this.#finish(...result),
      changed: () => this.#drive(),
    });
  }

  reset(): void {
    Object.assign(this.state, powerOn());
    for (const drive of this.#drives) if (drive) Object.assign(drive.state, { cylinder: 0, changed: true });
    this.#transfer = undefined;
    this.#mechanics.schedule();
    this.#drive();
  }

  restored(): void {
    this.#drives.forEach((drive, index) => {
      if (drive) this.state.drives[index] = Object.assign(drive.state, this.state.drives[index]);
    });
    this.#transfer = this.state.transfer && this.#makeTransfer(this.state.transfer);
    this.#mechanics.schedule();
    this.#drive();
    this.#transfer?.resume();
  }

  /** The drives' types; undefined where there is none. */
  get driveTypes(): readonly (FloppyType | undefined)[] {
    return this.#drives.map((drive) => drive?.type);
  }

  /** The disk that is in a drive. */
  medium(drive: number): FloppyMedium | undefined {
    return this.#drives[drive]?.medium;
  }

  /** Changes the disk of a drive; resolves when nothing is done any more to the one that was there. */
  async changeMedium(drive: number, medium: FloppyMedium | undefined): Promise<void> {
    await this.#drives[drive]?.change(medium);
  }

  protected readByte(port: number): number {
    const { state } = this;
    switch (port - FLOPPY_PORT) {
      case Port.dor:
        return state.dor;
      case Port.tdr:
        return state.tdr;
      case Port.msr:
        return this.#msr();
      case Port.fifo:
        return this.#readFifo();
      case Port.dir: {
        const drive = this.#drives[Dor(state.dor).drive];
        const diskChange = drive !== undefined && (drive.medium === undefined || drive.state.changed);
        return Dir.with(FLOATING_BYTE, { diskChange });
      }
      default:
        return FLOATING_BYTE;
    }
  }

  protected writeByte(port: number, value: number): void {
    const { state } = this;
    switch (port - FLOPPY_PORT) {
      case Port.dor:
        this.#writeDor(value);
        break;
      case Port.tdr:
        state.tdr = value & 3;
        break;
      case Port.msr:
        state.rate = Dsr(value).rate;
        if (Dsr(value).softwareReset) {
          this.#softwareReset();
          this.#leaveReset();
        }
        break;
      case Port.fifo:
        this.#writeFifo(value);
        break;
      case Port.dir:
        state.rate = value & 3;
        break;
    }
    this.#drive();
  }

  /** A DMA cycle of a transfer. */
  acknowledge({ direction, bytes, terminalCount }: DmaCycle): number {
    const transfer = this.#transfer;
    const { transfer: state } = this.state;
    if (!transfer || !state || this.#nonDma || transfer.available === 0) return 0;
    const fits = state.operation === "read" ? direction !== "from-memory" : direction === "from-memory";
    if (!fits) {
      transfer.overrun();
      return 0;
    }
    return transfer.move(bytes, terminalCount);
  }

  get #nonDma(): boolean {
    return (this.state.specify[1] & 1) !== 0;
  }

  get #inReset(): boolean {
    return !Dor(this.state.dor).notReset;
  }

  /** Lines follow the state. */
  #drive(): void {
    const { state } = this;
    const gate = Dor(state.dor).dmaGate;
    this.#wiring.irq.set(gate && state.interrupt);
    this.#wiring.dma.request.set(gate && !this.#nonDma && (this.#transfer?.available ?? 0) > 0);
  }

  #msr(): number {
    if (this.#inReset) return 0;
    const { state } = this;
    let seeking = 0;
    for (const { kind, drive } of state.events) if (kind === "seek" || kind === "recalibrate") seeking |= 1 << drive;
    const busy = { seeking, commandBusy: true };
    if (state.transfer) {
      if (!this.#nonDma) return Msr.pack(busy);
      const rqm = (this.#transfer?.available ?? 0) > 0;
      return Msr.pack({ ...busy, nonDma: true, rqm, dio: rqm && state.transfer.operation === "read" });
    }
    if (this.#readingId) return Msr.pack(busy);
    if (state.result.length > 0) return Msr.pack({ ...busy, rqm: true, dio: true });
    return Msr.pack({ seeking, rqm: true, commandBusy: state.command.length > 0 });
  }

  get #readingId(): boolean {
    return this.state.events.some(({ kind }) => kind === "readId");
  }

  #writeDor(value: number): void {
    const before = Dor(this.state.dor);
    this.state.dor = value;
    const { notReset, motors } = Dor(value);
    if (!notReset) this.#softwareReset();
    else if (!before.notReset) this.#leaveReset();
    this.#drives.forEach((drive, index) => {
      // A disk that stands still should be safe from whatever happens to the host.
      if (drive && (((before.motors & ~motors) >>> index) & 1) !== 0) this.#flush(drive);
    });
  }

  #flush(drive: FloppyDrive): void {
    this.#wiring.work.run(drive.flush(), (result) => {
      if (!result.ok) this.#wiring.events?.ioError?.(result.error);
    });
  }

  #softwareReset(): void {
    const { state } = this;
    this.#transfer = undefined;
    state.transfer = undefined;
    state.command = [];
    state.result = [];
    state.sensed = [];
    state.events = [];
    state.interrupt = false;
    state.perpendicular &= Perpendicular.mask.drives;
    const { configure, precompensationTrack } = powerOn();
    const kept = Configure.mask.fifoDisable | Configure.mask.threshold;
    state.configure = state.locked ? (configure & ~kept) | (state.configure & kept) : configure;
    if (!state.locked) state.precompensationTrack = precompensationTrack;
    this.#mechanics.schedule();
  }

  /** Polling finds that the ready lines of all drives changed. */
  #leaveReset(): void {
    this.#mechanics.poll();
  }

  #readFifo(): number {
    const { state } = this;
    if (this.#inReset) return FLOATING_BYTE;
    if (this.#transfer) {
      const byte = Uint8Array.of(FLOATING_BYTE);
      if (state.transfer?.operation === "read") this.#moveByte(byte);
      return byte[0]!;
    }
    if (state.result.length === 0) return FLOATING_BYTE;
    // The result phase's interrupt goes with its first byte.
    state.interrupt = state.sensed.some((st0) => St0(st0).seekEnd);
    const value = state.result.shift()!;
    this.#drive();
    return value;
  }

  #writeFifo(value: number): void {
    const { state } = this;
    if (this.#inReset) return;
    if (this.#transfer) {
      if (state.transfer?.operation !== "read") this.#moveByte(Uint8Array.of(value));
      return;
    }
    if (state.result.length > 0 || this.#readingId) return;
    state.command.push(value);
    const command = commandOf(state.command[0]!);
    if (command === undefined) this.#finish(St0.pack({ interruptCode: InterruptCode.invalid }));
    else if (state.command.length > command.parameters) {
      const result = this.#execute(command);
      if (result) this.#finish(...result);
      else state.command = [];
    }
  }

  /** One byte of a transfer without DMA. */
  #moveByte(byte: Uint8Array): void {
    const transfer = this.#transfer;
    if (!transfer || !this.#nonDma || transfer.available === 0) return;
    this.state.burst--;
    if (this.state.burst <= 0) this.#announce(transfer.available - 1);
    transfer.move(byte, false);
    this.#drive();
  }

  /** Interrupts for the next bytes of a transfer without DMA, as many as the FIFO is set to. */
  #announce(available: number): void {
    const { fifoDisable, threshold } = Configure(this.state.configure);
    this.state.interrupt = false;
    this.#drive();
    if (available === 0) return;
    this.state.burst = Math.min(available, fifoDisable ? 1 : 16 - threshold);
    this.state.interrupt = true;
    this.#drive();
  }

  /** Goes to the result phase, without an interrupt of its own. */
  #finish(...result: number[]): void {
    this.state.command = [];
    this.state.result = result;
  }

  /** Does what a whole command says; returns its result where it has one at once. */
  #execute({ name }: CommandDescription): number[] | undefined {
    const { state } = this;
    const [first = 0, second = 0, third = 0, fourth = 0] = state.command;
    const unit = Unit(second);
    const drive = this.#drives[unit.drive];
    switch (name) {
      case "specify":
        state.specify = [second, third];
        return [];
      case "senseDriveStatus": {
        const track0 = drive?.state.cylinder === 0;
        const writeProtected = drive?.medium?.device.readOnly ?? true;
        return [St3.pack({ drive: unit.drive, head: unit.head, track0, writeProtected, one3: true, one5: true })];
      }
      case "senseInterruptStatus":
        return this.#senseInterrupt();
      case "recalibrate":
        this.#mechanics.recalibrate(unit.drive);
        return [];
      case "seek":
        return this.#seek(unit.drive, unit.head, third);
      case "relativeSeek": {
        const from = drive?.state.cylinder ?? 0;
        return this.#seek(unit.drive, unit.head, Math.max(first & SEEK_INWARDS ? from + third : from - third, 0));
      }
      case "version":
        return [VERSION];
      case "configure":
        state.configure = third & ~0x80;
        state.precompensationTrack = fourth;
        return [];
      case "perpendicularMode": {
        const drives = second & Perpendicular.mask.overwrite ? second : state.perpendicular;
        const { gap, wgate } = Perpendicular.mask;
        state.perpendicular = (drives & Perpendicular.mask.drives) | (second & (gap | wgate));
        return [];
      }
      case "lock":
        state.locked = (first & LOCK) !== 0;
        return [state.locked ? LOCKED : 0];
      case "dumpreg":
        return this.#dumpRegisters();
      case "readId":
        this.#mechanics.readId(unit.drive, unit.head, Flags(first).mfm);
        return undefined;
      default:
        this.#beginTransfer(name);
        return undefined;
    }
  }

  #senseInterrupt(): number[] {
    const { state } = this;
    const st0 = state.sensed.shift();
    state.interrupt = false;
    this.#drive();
    // Another seek's end is another edge.
    state.interrupt = state.sensed.some((other) => St0(other).seekEnd);
    if (st0 === undefined) return [St0.pack({ interruptCode: InterruptCode.invalid })];
    return [st0, this.#drives[St0(st0).drive]?.state.cylinder ?? 0];
  }

  #seek(drive: number, head: boolean, cylinder: number): number[] {
    this.#mechanics.seek(drive, head, cylinder);
    return [];
  }

  #dumpRegisters(): number[] {
    const { specify, last, locked, perpendicular, configure, precompensationTrack } = this.state;
    const cylinders = Array.from({ length: DRIVES }, (_, i) => this.#drives[i]?.state.cylinder ?? 0);
    const lock = (locked ? LOCK : 0) | perpendicular;
    return [...cylinders, ...specify, last, lock, configure, precompensationTrack];
  }

  /** Whether the motor turns, and data come at the rate that the disk has. */
  #ready(drive: number, { rate }: FloppyMedium): boolean {
    return ((Dor(this.state.dor).motors >>> drive) & 1) !== 0 && DATA_RATES[this.state.rate] === rate;
  }

  #beginTransfer(name: CommandName): void {
    const { state } = this;
    const transfer = transferOf(name, state.command);
    const drive = this.#drives[transfer.drive];
    if (name === "formatTrack") transfer.cylinder = drive?.state.cylinder ?? 0;
    else if (Configure(state.configure).impliedSeek) drive?.stepTo(transfer.cylinder);
    state.last = name === "formatTrack" ? state.command[3]! : transfer.last;
    state.command = [];
    state.transfer = transfer;
    this.#transfer = this.#makeTransfer(transfer);
    this.#transfer.begin();
  }

  #makeTransfer(state: TransferState): Transfer {
    return new Transfer({
      work: this.#wiring.work,
      transfer: state,
      drive: this.#drives[state.drive],
      ready: (medium) => this.#ready(state.drive, medium),
      current: () => this.state.transfer === state,
      stepped: () => {
        if (this.#nonDma && this.#transfer) this.#announce(this.#transfer.available);
        else this.#drive();
      },
      ended: (result) => this.#ended(state, result),
      ioError: (error) => this.#wiring.events?.ioError?.(error),
    });
  }

  #ended(transfer: TransferState, { interruptCode, st1 = 0, st2 = 0 }: TransferResult): void {
    const { drive, head, cylinder, sector, sizeCode } = transfer;
    this.#transfer = undefined;
    this.state.transfer = undefined;
    this.#finish(St0.pack({ drive, head: head === 1, interruptCode }), st1, st2, cylinder, head, sector, sizeCode);
    this.state.interrupt = false;
    this.#drive();
    this.state.interrupt = true;
    this.#drive();
  }
}
