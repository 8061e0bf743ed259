/**
 * One channel of a parallel ATA controller, with up to two drives: the command and control block registers, PIO by
 * DRQ blocks, the bus master's transfers, and the interrupt.
 * @spec ATA/ATAPI-7 volume 2 §5 "Registers", §9 "Bus protocol"
 *
 * Both drives see what is written to the registers; each has its own when they are read. Where only device 0 is there,
 * device 1 reads as zeros.
 *
 * Not modelled: the time that commands take, overlapped and queued commands, commands while a drive is busy (they are
 * ignored, except DEVICE RESET).
 */
import type { AccessSize } from "../../machine/device.ts";
import { Scratch } from "../../machine/scratch.ts";
import { type AtaDrive, type AtaEnd, type AtaTask, MAX_GATHERED } from "../ata/ata-drive.ts";
import { Command, Control, Device, DIAGNOSTIC_PASSED, READY, Reason, SIGNATURE, Status } from "../ata/registers.ts";
import type { IdeChannelState, IdeChannelWiring, MoveResult } from "./channel-state.ts";
import {
  type DriveRegisters,
  driveRegisters,
  Register,
  readRegister,
  setLocation,
  taskFileOf,
  writeRegister,
} from "./drive-registers.ts";

const NOTHING = new Uint8Array(0);
const PACKET_LENGTH = 12;
/** Bytes that are asked of the host at once, for PIO and for DMA. */
const PIO_PIECE = 65536;
const DMA_PIECE = 1024 * 1024;

const isDma = ({ protocol }: AtaTask): boolean => protocol === "dmaIn" || protocol === "dmaOut";
const isIn = ({ protocol }: AtaTask): boolean => protocol === "pioIn" || protocol === "dmaIn";

export class IdeChannel {
  readonly state: IdeChannelState = {
    drives: [driveRegisters(), driveRegisters()],
    control: 0,
    selected: 0,
    phase: "idle",
    task: undefined,
    busy: 0,
    moved: 0,
    buffer: NOTHING,
    position: 0,
    blockEnd: 0,
    gathered: NOTHING,
  };
  readonly #wiring: IdeChannelWiring;
  /** Host operations of earlier numbers are not waited for any more. */
  #operation = 0;
  /** Settles with the host operation that runs. There is one at a time, so that none overtakes one that was given up. */
  #inFlight: Promise<void> | undefined;
  #waitsForHost = false;
  readonly #scratch = new Scratch();

  constructor(wiring: IdeChannelWiring) {
    this.#wiring = wiring;
  }

  reset(): void {
    this.state.control = 0;
    this.#waitsForHost = false;
    this.#forget();
    for (const which of [0, 1] as const) this.#showSignature(which);
    this.state.selected = 0;
    this.#drive();
  }

  restored(): void {
    this.#operation++;
    this.#waitsForHost = false;
    this.#drive();
    this.#resume();
  }

  /** Reads a command block register, 0 to 7. */
  read(register: number, size: AccessSize): number {
    if (register === Register.data) return this.#readData(size);
    const registers = this.#selectedRegisters;
    if (registers === undefined) return 0;
    if (register === Register.status) {
      registers.interrupt = false;
      this.#drive();
    }
    return readRegister(registers, register, (this.state.control & Control.hob) !== 0);
  }

  /** The alternate status register: reading it ends no interrupt. */
  readAlternateStatus(): number {
    return this.#selectedRegisters?.status ?? 0;
  }

  write(register: number, size: AccessSize, value: number): void {
    if (register === Register.data) {
      this.#writeData(size, value);
      return;
    }
    this.state.control &= ~Control.hob;
    if (register === Register.command) {
      this.#command(value & 0xff);
      return;
    }
    for (const registers of this.state.drives) writeRegister(registers, register, value & 0xff);
    if (register !== Register.device) return;
    this.state.selected = (value & Device.second) !== 0 ? 1 : 0;
    this.#drive();
  }

  writeControl(value: number): void {
    const resets = (this.state.control & ~value & Control.srst) !== 0;
    const begins = (value & ~this.state.control & Control.srst) !== 0;
    this.state.control = value & (Control.nIen | Control.srst | Control.hob);
    if (begins) {
      this.#forget();
      for (const registers of this.state.drives) registers.status = Status.mask.bsy;
    }
    if (resets) this.#resetDrives();
    this.#drive();
  }

  /** Software started the bus master: a drive that waits for it goes on. */
  busMasterStarted(): void {
    if (this.state.phase === "dma") this.#nextDma();
  }

  get #selectedRegisters(): DriveRegisters | undefined {
    const { selected, drives } = this.state;
    return this.#wiring.drives[selected] === undefined ? undefined : drives[selected];
  }

  get #registers(): DriveRegisters {
    return this.state.drives[this.state.busy];
  }

  get #device(): AtaDrive {
    return this.#wiring.drives[this.state.busy]!;
  }

  #resetDrives(): void {
    for (const which of [0, 1] as const) {
      this.#wiring.drives[which]?.busReset();
      this.#showSignature(which);
    }
    this.state.selected = 0;
  }

  #showSignature(which: 0 | 1): void {
    const kind = this.#wiring.drives[which]?.kind ?? "disk";
    const { count, lba } = SIGNATURE[kind];
    const registers = this.state.drives[which];
    Object.assign(registers, driveRegisters());
    setLocation(registers, { count, lba });
    registers.error = DIAGNOSTIC_PASSED;
    registers.status = kind === "disk" ? READY : 0;
  }

  #command(command: number): void {
    const { selected, control } = this.state;
    const drive = this.#wiring.drives[selected];
    if ((control & Control.srst) !== 0) return;
    if (command === Command.executeDiagnostic && this.state.phase === "idle") {
      this.#resetDrives();
      if (this.#wiring.drives[0] !== undefined) this.state.drives[0].interrupt = true;
      this.#drive();
      return;
    }
    if (drive === undefined) return;
    const registers = this.state.drives[selected];
    if (command === Command.deviceReset && drive.kind === "packet") {
      if (this.state.busy === selected) this.#forget();
      drive.busReset();
      const { device } = registers;
      this.#showSignature(selected);
      registers.device = device & Device.second;
      this.#drive();
      return;
    }
    if (this.state.phase !== "idle") return;
    registers.interrupt = false;
    registers.error = 0;
    this.#drive();
    this.state.busy = selected;
    this.#start(drive.begin(taskFileOf(registers, command)));
  }

  #start(task: AtaTask): void {
    Object.assign(this.state, { task, moved: 0, gathered: NOTHING });
    if (task.end !== undefined) {
      this.#end(task.end, true);
    } else if (task.protocol === "packet") {
      this.#openBlock("packet", new Uint8Array(PACKET_LENGTH), PACKET_LENGTH);
      this.#registers.count = Reason.command;
    } else if (task.length === 0) {
      this.#afterData();
    } else if (isDma(task)) {
      this.#nextDma();
    } else if (isIn(task)) {
      this.#nextPioIn(task);
    } else {
      this.#nextPioOut(task);
    }
  }

  /** Offers or asks for a DRQ block at the start of `buffer`. */
  #openBlock(phase: "packet" | "in" | "out", buffer: Uint8Array, block: number): void {
    Object.assign(this.state, { phase, buffer, position: 0, blockEnd: Math.min(block, buffer.length) });
    this.#registers.status = READY | Status.mask.drq;
    this.#tellByteCount();
  }

  /** A packet command tells how many bytes the block has, and which way they go. */
  #tellByteCount(): void {
    const { task, position, blockEnd, phase } = this.state;
    if (task?.scsi === undefined) return;
    const length = blockEnd - position;
    this.#registers.count = phase === "in" ? Reason.toHost : 0;
    this.#registers.mid = length & 0xff;
    this.#registers.high = length >>> 8;
  }

  #readData(size: AccessSize): number {
    if (this.state.phase !== "in" || this.state.selected !== this.state.busy) return 0xffff_ffff;
    const { buffer, position, blockEnd } = this.state;
    let value = 0;
    for (let at = 0; at < size; at++) if (position + at < blockEnd) value |= buffer[position + at]! << (8 * at);
    this.state.position = position + size;
    if (this.state.position >= blockEnd) this.#blockRead();
    return value >>> 0;
  }

  #writeData(size: AccessSize, value: number): void {
    const { phase, buffer, position, blockEnd } = this.state;
    if ((phase !== "out" && phase !== "packet") || this.state.selected !== this.state.busy) return;
    for (let at = 0; at < size; at++) if (position + at < blockEnd) buffer[position + at] = value >>> (8 * at);
    this.state.position = position + size;
    if (this.state.position < blockEnd) return;
    if (phase === "packet") this.#start(this.#device.packet(this.state.task!, buffer));
    else this.#blockWritten();
  }

  /** Goes on to the next DRQ block of `buffer`. Returns whether there is one. */
  #nextBlock(): boolean {
    const { task, buffer, blockEnd } = this.state;
    if (blockEnd >= buffer.length) return false;
    this.state.position = blockEnd;
    this.state.blockEnd = Math.min(blockEnd + task!.block, buffer.length);
    this.#tellByteCount();
    this.#interrupt();
    return true;
  }

  #blockRead(): void {
    if (this.#nextBlock()) return;
    const task = this.state.task!;
    this.state.moved += this.state.buffer.length;
    if (this.state.moved < task.length) this.#nextPioIn(task);
    else this.#afterData();
  }

  #blockWritten(): void {
    if (this.#nextBlock()) return;
    const task = this.state.task!;
    if (task.gathers) {
      const { gathered, buffer } = this.state;
      const joined = new Uint8Array(Math.min(gathered.length + buffer.length, MAX_GATHERED));
      joined.set(gathered);
      joined.set(buffer.subarray(0, joined.length - gathered.length), gathered.length);
      this.state.gathered = joined;
      this.#pieceWritten();
    } else {
      this.#writePiece();
    }
  }

  #nextPioIn(task: AtaTask): void {
    const length = Math.min(task.length - this.state.moved, wholeBlocks(task));
    if (task.data === undefined) {
      this.state.buffer = new Uint8Array(length);
      this.#readPiece();
    } else {
      this.#openBlock("in", task.data.slice(this.state.moved, this.state.moved + length), task.block);
      this.#interrupt();
    }
  }

  #nextPioOut(task: AtaTask): void {
    const length = Math.min(task.length - this.state.moved, wholeBlocks(task));
    this.#openBlock("out", new Uint8Array(length), task.block);
    // The first block of a disk is asked for by DRQ alone.
    if (this.state.moved > 0 || task.scsi !== undefined) this.#interrupt();
  }

  /** Moves the next piece of a DMA transfer, or waits for the bus master. */
  #nextDma(): void {
    const task = this.state.task!;
    const { busMaster } = this.#wiring;
    this.#registers.status = Status.mask.bsy;
    if (!busMaster.ready(isIn(task))) {
      this.state.phase = "dma";
      return;
    }
    const length = Math.min(task.length - this.state.moved, DMA_PIECE);
    if (isIn(task) && task.data !== undefined) {
      this.#put(task.data.subarray(this.state.moved, this.state.moved + length));
      return;
    }
    if (isIn(task)) {
      const scratch = this.#immediate ? this.#scratch.take(length) : undefined;
      if (scratch !== undefined && this.#device.readNow(task, this.state.moved, scratch)) {
        this.#put(scratch);
        return;
      }
      this.state.buffer = new Uint8Array(length);
      this.#readPiece();
      return;
    }
    this.state.buffer = new Uint8Array(length);
    if (!this.#went(busMaster.take(this.state.buffer))) return;
    if (task.gathers) {
      this.state.gathered = this.state.buffer;
      this.#pieceWritten();
    } else {
      this.#writePiece();
    }
  }

  #put(bytes: Uint8Array): void {
    const task = this.state.task!;
    if (!this.#went(this.#wiring.busMaster.put(bytes))) return;
    this.state.moved += bytes.length;
    if (this.state.moved < task.length) this.#nextDma();
    else this.#afterData();
  }

  /** Whether the transfer goes on. Without room it stays unfinished until a reset; without memory it is aborted. */
  #went(result: MoveResult): boolean {
    if (result === "error") this.#end(this.#device.abort(this.state.task!), true);
    else if (result === "short") this.state.phase = "dma";
    return result === "done";
  }

  #readPiece(): void {
    const { task, moved, buffer } = this.state;
    const arrived = () => {
      if (isDma(task!)) {
        this.#put(buffer);
      } else {
        this.#openBlock("in", buffer, task!.block);
        this.#interrupt();
      }
    };
    if (!isDma(task!) && this.#immediate && this.#device.readNow(task!, moved, buffer)) arrived();
    else this.#wait("reading", () => this.#device.read(task!, moved, buffer), arrived);
  }

  /** Whether the host may be asked to do things at once: what was given up before must have ended. */
  get #immediate(): boolean {
    return this.#wiring.work.immediate === true && this.#inFlight === undefined;
  }

  #writePiece(): void {
    const { task, moved, buffer } = this.state;
    if (this.#immediate && this.#device.writeNow(task!, moved, buffer)) {
      this.#pieceWritten();
      return;
    }
    this.#wait(
      "writing",
      () => this.#device.write(task!, moved, buffer),
      () => this.#pieceWritten(),
    );
  }

  #pieceWritten(): void {
    const task = this.state.task!;
    this.state.moved += this.state.buffer.length;
    if (this.state.moved >= task.length) this.#afterData();
    else if (isDma(task)) this.#nextDma();
    else this.#nextPioOut(task);
  }

  #afterData(): void {
    if (this.state.task!.finishes) this.#finish();
    else this.#complete();
  }

  #finish(): void {
    const { task, gathered } = this.state;
    this.#wait(
      "finishing",
      () => this.#device.finish(task!, gathered),
      () => this.#complete(),
    );
  }

  #complete(): void {
    const { task, gathered } = this.state;
    // A disk that was read by PIO interrupted for its last block.
    const tells = task!.protocol !== "pioIn" || task!.scsi !== undefined;
    this.#end(this.#device.complete(task!, gathered), tells);
  }

  /** Begins a host operation; the drive is busy until it has ended. */
  #wait(phase: "reading" | "writing" | "finishing", operation: () => Promise<void>, then: () => void): void {
    this.state.phase = phase;
    this.#registers.status = Status.mask.bsy;
    if (this.#inFlight !== undefined) {
      this.#resumeLater(this.#inFlight);
      return;
    }
    const number = ++this.#operation;
    const running = operation();
    const settled = () => {
      this.#inFlight = undefined;
    };
    this.#inFlight = running.then(settled, settled);
    this.#wiring.work.run(running, (result) => {
      if (number !== this.#operation) return;
      if (result.ok) {
        then();
        return;
      }
      this.#wiring.ioError?.(result.error);
      this.#end(this.#device.fail(this.state.task!, result.error, this.state.moved), true);
    });
  }

  /** Begins what the phase waits for, once the host has done what it does now. */
  #resumeLater(inFlight: Promise<void>): void {
    if (this.#waitsForHost) return;
    this.#waitsForHost = true;
    this.#wiring.work.run(inFlight, () => {
      this.#waitsForHost = false;
      this.#resume();
    });
  }

  #resume(): void {
    if (this.state.phase === "reading") this.#readPiece();
    else if (this.state.phase === "writing") this.#writePiece();
    else if (this.state.phase === "finishing") this.#finish();
  }

  #end(end: AtaEnd, interrupts: boolean): void {
    const { task } = this.state;
    const registers = this.#registers;
    if (task !== undefined && isDma(task) && task.end === undefined) this.#wiring.busMaster.ended();
    this.#forget();
    registers.status = end.status;
    registers.error = end.error;
    setLocation(registers, end);
    if (interrupts) this.#interrupt();
  }

  #forget(): void {
    this.#operation++;
    Object.assign(this.state, { phase: "idle", task: undefined, moved: 0, buffer: NOTHING, gathered: NOTHING });
    Object.assign(this.state, { position: 0, blockEnd: 0 });
  }

  #interrupt(): void {
    this.#registers.interrupt = true;
    this.#drive();
  }

  /** The selected drive drives INTRQ, unless it is told not to. */
  #drive(): void {
    const masked = (this.state.control & Control.nIen) !== 0;
    this.#wiring.interrupt.set(!masked && this.#selectedRegisters?.interrupt === true);
  }
}

/** Bytes of the most whole blocks that fit in a piece. */
function wholeBlocks({ block }: AtaTask): number {
  return Math.max(Math.floor(PIO_PIECE / block), 1) * block;
}
