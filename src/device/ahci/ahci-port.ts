/**
 * One port of an AHCI host bus adapter with the device behind it: registers, the command list, received FISes.
 * @spec AHCI 1.3.1 §3.3 "Port registers", §5 "Data transfer operation", §6.2 "Error recovery", §10.4 "Reset"
 *
 * Commands that are not queued run one after the other, queued ones side by side. After an error nothing more is
 * begun until software has cleared PxCMD.ST.
 *
 * Not modelled: DMA Setup FISes (memory is written without), port multipliers, power states of the link, hot plug.
 */
import { guestPhysical } from "../../bits/units.ts";
import { Scratch } from "../../machine/scratch.ts";
import type { AtaEnd, AtaTask, TaskFile } from "../ata/ata-drive.ts";
import { Control, DIAGNOSTIC_PASSED, READY, SIGNATURE, Status } from "../ata/registers.ts";
import { parseHostFis, pioSetupFis, REGISTER_FIS_LENGTH, registerFis, setDeviceBitsFis } from "./fis.ts";
import type { AhciPortState, AhciPortWiring } from "./port-state.ts";
import { PrdTable } from "./prd-table.ts";
import {
  ATAPI_COMMAND,
  ATAPI_COMMAND_LENGTH,
  CLEARABLE_INTERRUPTS,
  COMMAND_FIS,
  COMMAND_SLOTS,
  CommandHeader,
  Detection,
  EXCHANGED,
  INTERRUPTS,
  LINK_DISABLED,
  LINK_UP,
  NO_DEVICE_SIG,
  NO_DEVICE_TFD,
  PRDT,
  Px,
  PxCmd,
  PxIs,
  PxSctl,
  ReceivedFis,
} from "./registers.ts";
import { transfer } from "./transfer.ts";

const CMD_WRITABLE = PxCmd.mask.start | PxCmd.mask.fisReceive | PxCmd.mask.atapi | PxCmd.mask.driveLed;
/** There is no staggered spin-up and no cold presence detection. */
const CMD_ALWAYS = PxCmd.mask.spinUp | PxCmd.mask.powerOn;
const BUSY = Status.mask.bsy | Status.mask.drq;
const RECEIVED_FIS_LENGTH = 256;

interface Running {
  readonly slot: number;
  readonly task: AtaTask;
  readonly steps: ReturnType<typeof transfer>;
  readonly prds: PrdTable;
  readonly header: number;
}

const isQueued = ({ protocol }: AtaTask): boolean => protocol === "queuedIn" || protocol === "queuedOut";

export class AhciPort {
  readonly state: AhciPortState = {
    clb: 0,
    clbu: 0,
    fb: 0,
    fbu: 0,
    is: 0,
    ie: 0,
    cmd: CMD_ALWAYS,
    tfd: NO_DEVICE_TFD,
    sig: NO_DEVICE_SIG,
    ssts: 0,
    sctl: 0,
    serr: 0,
    sact: 0,
    ci: 0,
    active: [],
    halted: false,
    signatureWaits: false,
  };
  readonly #wiring: AhciPortWiring;
  readonly #running = new Map<number, Running>();
  /** Host operations that run, with those of commands that were given up. */
  readonly #onHost = new Set<Promise<void>>();
  /** Operations of commands that were given up run: what comes next must not overtake them. */
  #draining = false;
  #waitsForHost = false;
  readonly #scratch = new Scratch();

  constructor(wiring: AhciPortWiring) {
    this.#wiring = wiring;
  }

  /** A reset of the adapter: the addresses of lists and FISes stay. */
  reset(): void {
    this.#waitsForHost = false;
    this.#forget();
    Object.assign(this.state, { is: 0, ie: 0, cmd: CMD_ALWAYS, sctl: 0, serr: 0, sact: 0, ci: 0, halted: false });
    this.#connect();
  }

  /** As at power-on. */
  clear(): void {
    Object.assign(this.state, { clb: 0, clbu: 0, fb: 0, fbu: 0 });
    this.reset();
  }

  restored(): void {
    const slots = this.state.active;
    this.#forget();
    this.#waitsForHost = false;
    for (const slot of slots) this.#fetch(slot);
  }

  /** Enabled interrupts that are pending. */
  get pending(): boolean {
    return (this.#interrupts & this.state.ie) !== 0;
  }

  read(register: number): number {
    const { state } = this;
    switch (register) {
      case Px.clb:
        return state.clb;
      case Px.clbu:
        return state.clbu;
      case Px.fb:
        return state.fb;
      case Px.fbu:
        return state.fbu;
      case Px.is:
        return this.#interrupts >>> 0;
      case Px.ie:
        return state.ie;
      case Px.cmd:
        return state.cmd;
      case Px.tfd:
        return state.tfd;
      case Px.sig:
        return state.sig;
      case Px.ssts:
        return state.ssts;
      case Px.sctl:
        return state.sctl;
      case Px.serr:
        return state.serr;
      case Px.sact:
        return state.sact;
      case Px.ci:
        return state.ci;
      default:
        return 0;
    }
  }

  write(register: number, value: number): void {
    const { state } = this;
    switch (register) {
      case Px.clb:
        state.clb = (value & ~0x3ff) >>> 0;
        break;
      case Px.clbu:
        state.clbu = value;
        break;
      case Px.fb:
        state.fb = (value & ~(RECEIVED_FIS_LENGTH - 1)) >>> 0;
        break;
      case Px.fbu:
        state.fbu = value;
        break;
      case Px.is:
        state.is = (state.is & ~(value & CLEARABLE_INTERRUPTS)) >>> 0;
        this.#wiring.changed();
        break;
      case Px.ie:
        state.ie = (value & INTERRUPTS) >>> 0;
        this.#wiring.changed();
        break;
      case Px.cmd:
        this.#writeCommand(value);
        break;
      case Px.sctl:
        this.#writeControl(value);
        break;
      case Px.serr:
        state.serr = (state.serr & ~value) >>> 0;
        this.#wiring.changed();
        break;
      case Px.sact:
        if (this.#started) state.sact = (state.sact | value) >>> 0;
        break;
      case Px.ci:
        if (!this.#started) break;
        state.ci = (state.ci | value) >>> 0;
        this.#service();
        break;
    }
  }

  get #started(): boolean {
    return (this.state.cmd & PxCmd.mask.start) !== 0;
  }

  /** With the bit that follows PxSERR. */
  get #interrupts(): number {
    return this.state.is | ((this.state.serr & EXCHANGED) !== 0 ? PxIs.connectChange : 0);
  }

  #writeCommand(value: number): void {
    const { start, fisReceive, fisRunning, listRunning, listOverride, currentSlot } = PxCmd.mask;
    const { state } = this;
    const before = state.cmd;
    if ((value & listOverride) !== 0 && (before & start) === 0) state.tfd &= ~BUSY;
    state.cmd = CMD_ALWAYS | (value & CMD_WRITABLE) | (before & currentSlot);
    if ((state.cmd & fisReceive) !== 0) state.cmd |= fisRunning;
    if ((state.cmd & start) !== 0) state.cmd |= listRunning;
    if ((before & start) !== 0 && (value & start) === 0) {
      this.#forget();
      Object.assign(state, { ci: 0, sact: 0, halted: false });
      state.cmd &= ~currentSlot;
    }
    if (state.signatureWaits && (state.cmd & fisReceive) !== 0) this.#receiveSignature();
    this.#service();
  }

  #writeControl(value: number): void {
    const before = PxSctl(this.state.sctl).detection;
    this.state.sctl = value & 0xfff;
    const { detection } = PxSctl(value);
    if (detection === before) return;
    this.#forget();
    if (detection === Detection.none) {
      this.#wiring.drive?.busReset();
      this.#connect();
    } else {
      Object.assign(this.state, { ssts: detection === Detection.disabled ? LINK_DISABLED : 0, sact: 0, ci: 0 });
      this.state.tfd = NO_DEVICE_TFD;
    }
  }

  /** The link comes up, and the device tells what it is. */
  #connect(): void {
    const { drive } = this.#wiring;
    if (drive === undefined) {
      Object.assign(this.state, { ssts: 0, tfd: NO_DEVICE_TFD, sig: NO_DEVICE_SIG, signatureWaits: false });
      return;
    }
    this.state.ssts = LINK_UP;
    this.state.serr = (this.state.serr | EXCHANGED) >>> 0;
    this.#showSignature();
    this.#wiring.changed();
  }

  #showSignature(): void {
    const { count, lba } = SIGNATURE[this.#wiring.drive!.kind];
    this.state.sig = (count | (lba << 8)) >>> 0;
    const status = this.#wiring.drive!.kind === "disk" ? READY : 0;
    this.state.tfd = status | (DIAGNOSTIC_PASSED << 8);
    this.state.signatureWaits = true;
    if ((this.state.cmd & PxCmd.mask.fisReceive) !== 0) this.#receiveSignature();
  }

  #receiveSignature(): void {
    const { count, lba } = SIGNATURE[this.#wiring.drive!.kind];
    this.state.signatureWaits = false;
    const end = { status: this.state.tfd & 0xff, error: DIAGNOSTIC_PASSED };
    const fis = registerFis({ command: 0, features: 0, count, lba, device: 0 }, end);
    this.#receive(ReceivedFis.register, fis, PxIs.registerFis);
  }

  /** Puts a FIS where software wants it, and tells of it. */
  #receive(offset: number, fis: Uint8Array, interrupt: number): void {
    if ((this.state.cmd & PxCmd.mask.fisReceive) !== 0) {
      const address = this.state.fb + this.state.fbu * 2 ** 32;
      this.#wiring.memory.view(guestPhysical(address + offset), fis.length, "write")?.set(fis);
    }
    this.#raise(interrupt);
  }

  #raise(interrupt: number): void {
    this.state.is = (this.state.is | interrupt) >>> 0;
    this.#wiring.changed();
  }

  /** Begins the commands that can begin. */
  #service(): void {
    if (this.#draining) {
      this.#serviceLater();
      return;
    }
    for (let slot = 0; slot < COMMAND_SLOTS; slot++) {
      if (!this.#started || this.state.halted || (this.state.tfd & BUSY) !== 0) return;
      if ((this.state.ci & (1 << slot)) === 0 || this.#running.has(slot)) continue;
      // A command that is not queued waits for those that are, as software makes sure.
      this.#fetch(slot);
    }
  }

  #serviceLater(): void {
    if (this.#waitsForHost || this.state.ci === 0) return;
    this.#waitsForHost = true;
    this.#wiring.work.run(Promise.allSettled([...this.#onHost]), () => {
      this.#waitsForHost = false;
      this.#service();
    });
  }

  #fetch(slot: number): void {
    const { memory, drive, work } = this.#wiring;
    if (drive === undefined) return;
    const address = this.state.clb + this.state.clbu * 2 ** 32 + slot * CommandHeader.size;
    const view = memory.view(guestPhysical(address), CommandHeader.size, "read");
    const header = view && CommandHeader.at(view);
    const table = header && (header.table & ~0x7f) >>> 0;
    const base = header === undefined ? 0 : (table as number) + header.tableHigh * 2 ** 32;
    const command = header && memory.view(guestPhysical(base), PRDT, "read")?.slice();
    const fis = command && parseHostFis(command.subarray(COMMAND_FIS, COMMAND_FIS + REGISTER_FIS_LENGTH));
    this.state.cmd = PxCmd.with(this.state.cmd, { currentSlot: slot });
    if (header === undefined || fis === undefined) {
      this.#fatal(PxIs.hostBusFatal);
      return;
    }
    if (!fis.isCommand) {
      this.#control(slot, fis.control);
      return;
    }
    let task = drive.begin(fis.taskFile);
    if (task.protocol === "packet") {
      task = drive.packet(task, command!.slice(ATAPI_COMMAND, ATAPI_COMMAND + ATAPI_COMMAND_LENGTH));
    }
    const prds = new PrdTable(memory, base + PRDT, header.prdtLength);
    const running = {
      slot,
      task,
      prds,
      steps: transfer(drive, task, prds, work.immediate ? this.#scratch : undefined),
      header: address,
    };
    this.#running.set(slot, running);
    this.state.active.push(slot);
    // A queued command was accepted: its slot is free, and its tag is in use.
    if (isQueued(task)) this.state.ci = (this.state.ci & ~(1 << slot)) >>> 0;
    else this.state.tfd = Status.mask.bsy | (this.state.tfd & 0xff00);
    this.#advance(running);
  }

  /** A FIS that writes the control register: software resets the device with two of them. */
  #control(slot: number, control: number): void {
    this.state.ci = (this.state.ci & ~(1 << slot)) >>> 0;
    if ((control & Control.srst) !== 0) {
      this.#forget();
      return;
    }
    this.#wiring.drive?.busReset();
    this.#showSignature();
  }

  #advance(running: Running): void {
    const step = running.steps.next();
    if (step.done === true) {
      if (step.value.kind === "bus-error") {
        this.#forgetOne(running);
        this.#fatal(PxIs.hostBusData);
        return;
      }
      if (step.value.overflow) this.#raise(PxIs.overflow);
      this.#end(running, step.value.end);
      return;
    }
    const { operation, at } = step.value;
    const onHost = operation();
    const settled = () => {
      this.#onHost.delete(onHost);
      if (this.#onHost.size === 0) this.#draining = false;
    };
    this.#onHost.add(onHost);
    onHost.then(settled, settled);
    this.#wiring.work.run(onHost, (result) => {
      if (this.#running.get(running.slot) !== running) return;
      if (result.ok) {
        this.#advance(running);
      } else {
        this.#wiring.ioError?.(result.error);
        this.#end(running, this.#wiring.drive!.fail(running.task, result.error, at));
      }
      this.#service();
    });
  }

  #end(running: Running, end: AtaEnd): void {
    const { slot, task, prds, header } = running;
    const { taskFile } = task;
    this.#forgetOne(running);
    const failed = (end.status & Status.mask.err) !== 0;
    const view = this.#wiring.memory.view(guestPhysical(header), CommandHeader.size, "write");
    if (view !== undefined) CommandHeader.at(view).prdByteCount = prds.moved;
    if (prds.interrupts) this.#raise(PxIs.descriptorProcessed);
    if (isQueued(task)) {
      this.#endQueued(taskFile, end, failed);
      return;
    }
    this.state.tfd = end.status | (end.error << 8);
    if (!failed) this.state.ci = (this.state.ci & ~(1 << slot)) >>> 0;
    if (task.protocol === "pioIn" && task.scsi === undefined && !failed) {
      const length = Math.min(task.block, task.length);
      const fis = pioSetupFis(taskFile, end, READY | Status.mask.drq, length, true);
      this.#receive(ReceivedFis.pioSetup, fis, PxIs.pioSetupFis);
    } else {
      this.#receive(ReceivedFis.register, registerFis(taskFile, end), PxIs.registerFis);
    }
    if (failed) this.#fatal(PxIs.taskFileError);
  }

  #endQueued({ count }: TaskFile, end: AtaEnd, failed: boolean): void {
    const tag = 1 << ((count >>> 3) & 31);
    this.state.tfd = end.status | (end.error << 8);
    if (!failed) this.state.sact = (this.state.sact & ~tag) >>> 0;
    const fis = setDeviceBitsFis(end, failed ? 0 : tag >>> 0);
    this.#receive(ReceivedFis.setDeviceBits, fis, PxIs.setDeviceBits);
    // The device aborts what else is queued; software begins again.
    if (failed) {
      this.#forget();
      this.#fatal(PxIs.taskFileError);
    }
  }

  #fatal(interrupt: number): void {
    this.state.halted = true;
    this.#raise(interrupt);
  }

  #forgetOne({ slot }: Running): void {
    this.#running.delete(slot);
    this.state.active = this.state.active.filter((each) => each !== slot);
  }

  /** What the host began for these commands still ends, and is not heard. */
  #forget(): void {
    this.#running.clear();
    this.#draining = this.#onHost.size > 0;
    this.state.active = [];
  }
}
