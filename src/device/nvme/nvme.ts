/**
 * NVMe controller with one namespace: a PCI function whose commands and data are in the guest's memory.
 *
 * Commands run concurrently, up to `MOST_IN_FLIGHT`, each with a buffer of at most 1 MiB, so that the host's memory for
 * them is bounded whatever the guest's queues are.
 *
 * @spec NVM Express 1.4c; PCI class code 01h 08h 02h
 *
 * Not modelled: pages other than 4 KiB, queues that are not contiguous, SGLs, metadata, fused commands, arbitration
 * other than round robin, controller memory buffer, several power states, firmware updates, namespace management,
 * formatting, self tests, sanitising; interrupt coalescing (stored); aborts (no command is ever aborted).
 */
import { PAGE_SIZE } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import type { MsiTarget } from "../../machine/apic-bus.ts";
import type { AccessSize, AsyncWork, Device, GuestMemory, MemoryDevice, SignalLine } from "../../machine/device.ts";
import type { BarBuses } from "../pci/bar.ts";
import { PciFunction, type PciFunctionState } from "../pci/function.ts";
import { type AdminContext, adminCommand } from "./admin-commands.ts";
import { DEVICE, ERROR_LOG_LENGTH, VENDOR } from "./identify.ts";
import { type Command, ioCommand, type Outcome, type Steps } from "./io-commands.ts";
import { Aqa, AsyncEvent, CapHigh, CapLow, Cc, Csts, Register, Shutdown, Sqe, Status, VERSION_1_4 } from "./layout.ts";
import { completionQueue, postCompletions, submissionQueue, takeCommand } from "./queues.ts";
import { afterReset, type InFlight, type NvmeState, powerOn, VECTORS } from "./state.ts";

export const MAX_ENTRIES = 1024;
export const MOST_IN_FLIGHT = 64;
/** Asynchronous events that wait to be told. */
const MOST_EVENTS = 8;

const BAR_SIZE = 0x4000;
const MSIX_TABLE = 0x2000;
const MSIX_PENDING = 0x3000;
const CLASS_CODE = 0x01_08_02;
/** Units of half a second that getting ready takes at the most. */
const TIMEOUT = 20;
const CAP_LOW = CapLow.pack({ mqes: MAX_ENTRIES - 1, cqr: true, to: TIMEOUT });
/** The NVM command set. */
const CAP_HIGH = CapHigh.pack({ css: 1 });

export interface NvmeDeviceState extends NvmeState {
  pci: PciFunctionState;
}

export interface NvmeWiring extends BarBuses {
  /** In listings of the buses. */
  readonly name: string;
  readonly ram: GuestMemory;
  readonly disk: BlockDevice;
  readonly work: AsyncWork;
  /** Up to 20 ASCII characters. */
  readonly serial: string;
  /** INTA#, as routed by the board. */
  readonly intx?: SignalLine;
  readonly msi?: MsiTarget;
  readonly events?: {
    /** The host's storage failed a command. */
    ioError?(error: Error): void;
  };
}

interface Active {
  readonly entry: InFlight;
  readonly command: Command;
  readonly steps: Steps;
}

export class Nvme implements Device<NvmeDeviceState>, MemoryDevice {
  readonly state: NvmeDeviceState;
  /** For the board to put on the PCI bus. */
  readonly pci: PciFunction;
  readonly #wiring: NvmeWiring;
  readonly #context: AdminContext;
  readonly #active = new Set<Active>();
  readonly #hostOperations = new Set<Promise<void>>();
  /** Resolves when what was in flight before the last reset has ended. */
  #settled: Promise<unknown> = Promise.resolve();
  #drained = true;
  #busMaster = false;
  #servicing = false;

  constructor(wiring: NvmeWiring) {
    this.#wiring = wiring;
    const { name, ports, memory, intx, msi } = wiring;
    this.pci = new PciFunction(
      {
        name,
        identity: { vendor: VENDOR, device: DEVICE, revision: 1, classCode: CLASS_CODE, subsystemVendor: VENDOR },
        interruptPin: 1,
        bars: [{ kind: "memory", index: 0, width: 64, size: BAR_SIZE, device: this }],
        msix: { bar: 0, vectors: VECTORS, tableOffset: MSIX_TABLE, pendingOffset: MSIX_PENDING },
      },
      { ports, memory, ...(intx && { intx }), ...(msi && { msi }), configWritten: () => this.#configWritten() },
    );
    this.state = { ...powerOn(), pci: this.pci.state };
    this.#context = {
      state: this.state,
      disk: wiring.disk,
      memory: wiring.ram,
      // What the host does at once need not be waited for, unless what was given up by a reset has not ended.
      readNow: (offset, targets) =>
        wiring.work.immediate === true && this.#drained && (wiring.disk.readNow?.(offset, targets) ?? false),
      writeNow: (offset, sources) =>
        wiring.work.immediate === true && this.#drained && (wiring.disk.writeNow?.(offset, sources) ?? false),
      serial: wiring.serial,
      maxEntries: MAX_ENTRIES,
      forget: (sqid) => this.#forgetQueue(sqid),
      queueDeleted: () => this.#drivePin(),
    };
  }

  reset(): void {
    const { pci } = this.state;
    this.#abandon();
    Object.assign(this.state, powerOn(), { pci });
    this.pci.reset();
    this.#busMaster = this.pci.busMaster;
    this.#drivePin();
  }

  restored(): void {
    this.state.pci = Object.assign(this.pci.state, this.state.pci);
    this.pci.restored();
    this.#busMaster = this.pci.busMaster;
    this.#abandon();
    const { inFlight } = this.state;
    this.state.inFlight = [];
    for (const entry of inFlight) this.#begin(entry);
    this.#drivePin();
  }

  readMemory(offset: number, size: AccessSize): number {
    const word = this.#register(offset & ~3) >>> ((offset & 3) * 8);
    return size === 4 ? word >>> 0 : word & (2 ** (size * 8) - 1);
  }

  /** Registers are written as dwords; anything else is dropped. */
  writeMemory(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset % 4 !== 0) return;
    if (offset >= Register.doorbells) this.#doorbell((offset - Register.doorbells) / 4, value);
    else this.#writeRegister(offset, value);
  }

  #register(offset: number): number {
    const { state } = this;
    switch (offset) {
      case Register.capLow:
        return CAP_LOW;
      case Register.capHigh:
        return CAP_HIGH;
      case Register.vs:
        return VERSION_1_4;
      case Register.intms:
      case Register.intmc:
        return state.intms;
      case Register.cc:
        return state.cc;
      case Register.csts:
        return state.csts;
      case Register.aqa:
        return state.aqa;
      case Register.asqLow:
        return state.asqLow;
      case Register.asqHigh:
        return state.asqHigh;
      case Register.acqLow:
        return state.acqLow;
      case Register.acqHigh:
        return state.acqHigh;
      default:
        return 0;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const { state } = this;
    switch (offset) {
      case Register.intms:
        state.intms = (state.intms | value) >>> 0;
        this.#drivePin();
        break;
      case Register.intmc:
        state.intms = (state.intms & ~value) >>> 0;
        this.#drivePin();
        break;
      case Register.cc:
        this.#configure(value);
        break;
      case Register.aqa:
        state.aqa = value & (Aqa.mask.asqs | Aqa.mask.acqs);
        break;
      case Register.asqLow:
        state.asqLow = (value & -PAGE_SIZE) >>> 0;
        break;
      case Register.asqHigh:
        state.asqHigh = value;
        break;
      case Register.acqLow:
        state.acqLow = (value & -PAGE_SIZE) >>> 0;
        break;
      case Register.acqHigh:
        state.acqHigh = value;
        break;
    }
  }

  #configure(value: number): void {
    const before = Cc(this.state.cc);
    const { en, shn } = Cc(value);
    if (before.en && !en) {
      this.#controllerReset();
      this.state.cc = value;
      return;
    }
    this.state.cc = value;
    if (en && !before.en) this.#enable();
    if (shn !== 0 && before.shn === 0) this.#shutDown();
  }

  /** Queues go, and all else but the registers of the admin queues. */
  #controllerReset(): void {
    this.#abandon();
    Object.assign(this.state, afterReset());
    this.#drivePin();
  }

  #enable(): void {
    const { state } = this;
    const { css, mps, ams } = Cc(state.cc);
    const { asqs, acqs } = Aqa(state.aqa);
    if (css !== 0 || mps !== 0 || ams !== 0 || asqs === 0 || acqs === 0) {
      state.csts = Csts.pack({ cfs: true });
      return;
    }
    state.cqs[0] = completionQueue(state.acqLow + state.acqHigh * 2 ** 32, acqs + 1, true, 0);
    state.sqs[0] = submissionQueue(state.asqLow + state.asqHigh * 2 ** 32, asqs + 1, 0);
    state.csts = Csts.pack({ rdy: true });
  }

  /** A shutdown notification: complete once all is on stable storage. */
  #shutDown(): void {
    const { state } = this;
    state.csts = Csts.with(state.csts, { shst: Shutdown.occurring });
    const { cc } = state;
    this.#wiring.work.run(
      this.#onHost(() => this.#wiring.disk.flush()),
      (result) => {
        if (!result.ok) this.#wiring.events?.ioError?.(result.error);
        if (Cc(state.cc).shn === Cc(cc).shn) state.csts = Csts.with(state.csts, { shst: Shutdown.complete });
      },
    );
  }

  #doorbell(index: number, value: number): void {
    if (!Csts(this.state.csts).rdy) return;
    const qid = index >>> 1;
    const completion = (index & 1) === 1;
    const queue = completion ? this.state.cqs[qid] : this.state.sqs[qid];
    if (queue === undefined) {
      this.#event(AsyncEvent.invalidDoorbellRegister);
      return;
    }
    const entry = value & 0xffff;
    if (entry >= queue.size) {
      this.#event(AsyncEvent.invalidDoorbellValue);
      return;
    }
    if (completion) queue.head = entry;
    else queue.tail = entry;
    this.#service();
    this.#drivePin();
  }

  #configWritten(): void {
    const before = this.#busMaster;
    this.#busMaster = this.pci.busMaster;
    if (this.#busMaster && !before) this.#service();
    this.#drivePin();
  }

  /** Stores completions and takes commands, of each queue in turn, as far as there is room. */
  #service(): void {
    if (this.#servicing) return;
    this.#servicing = true;
    for (const qid of this.state.cqs.keys()) this.#post(qid);
    let taken = true;
    while (taken) {
      taken = false;
      for (const qid of this.state.sqs.keys()) if (this.#takeOne(qid)) taken = true;
    }
    this.#servicing = false;
  }

  #takeOne(sqid: number): boolean {
    const queue = this.state.sqs[sqid];
    if (!queue || !this.#busMaster || !Csts(this.state.csts).rdy) return false;
    // The admin queue has room of its own, so that it is served while I/O waits.
    const limit = sqid === 0 ? 2 * MOST_IN_FLIGHT : MOST_IN_FLIGHT;
    if (this.#active.size >= limit || queue.head === queue.tail) return false;
    if ((this.state.cqs[queue.cqid]?.waiting.length ?? 0) > 0) return false;
    const sqe = takeCommand(queue, this.#wiring.ram);
    if (sqe) this.#begin({ sqid, sqe });
    // A queue that is not in RAM holds no commands.
    else queue.head = queue.tail;
    return sqe !== undefined;
  }

  #begin(entry: InFlight): void {
    const command = Sqe.at(entry.sqe);
    if (entry.sqid === 0) {
      const outcome = adminCommand(this.#context, command);
      if (outcome) this.#complete(entry.sqid, command, outcome);
      else this.#tellEvents();
      return;
    }
    const active = { entry, command, steps: ioCommand(this.#context, command) };
    this.#active.add(active);
    this.state.inFlight.push(entry);
    this.#advance(active);
  }

  #advance(active: Active): void {
    const step = active.steps.next();
    if (step.done === true) {
      this.#end(active, step.value);
      return;
    }
    const { operation, failure } = step.value;
    this.#wiring.work.run(this.#onHost(operation), (result) => {
      if (!this.#active.has(active)) return;
      if (result.ok) this.#advance(active);
      else {
        this.#wiring.events?.ioError?.(result.error);
        this.#end(active, { status: failure });
      }
      this.#service();
      this.#drivePin();
    });
  }

  async #onHost(operation: () => Promise<void>): Promise<void> {
    const settled = this.#settled;
    const ended = (async () => {
      await settled;
      await operation();
    })();
    this.#hostOperations.add(ended);
    try {
      await ended;
    } finally {
      this.#hostOperations.delete(ended);
    }
  }

  #end(active: Active, outcome: Outcome): void {
    this.#remove(active);
    this.#complete(active.entry.sqid, active.command, outcome);
  }

  #remove(active: Active): void {
    this.#active.delete(active);
    const { inFlight } = this.state;
    inFlight.splice(inFlight.indexOf(active.entry), 1);
  }

  #complete(sqid: number, command: Command, { status, result = 0 }: Outcome): void {
    const { state } = this;
    const queue = state.sqs[sqid];
    const cqid = queue?.cqid;
    if (cqid === undefined) return;
    if (status !== Status.success) {
      state.errorCount++;
      const { cid, nsid, cdw10, cdw11 } = command;
      const lba = sqid === 0 ? 0 : cdw10 + cdw11 * 2 ** 32;
      state.errors.push({ count: state.errorCount, sqid, cid, status: (status << 1) & 0xffff, lba, nsid });
      if (state.errors.length > ERROR_LOG_LENGTH) state.errors.shift();
    }
    state.cqs[cqid]?.waiting.push({ sqid, cid: command.cid, status, result });
    this.#post(cqid);
    if (sqid === 0) this.#tellEvents();
  }

  #post(cqid: number): void {
    const queue = this.state.cqs[cqid];
    if (!queue || !this.#busMaster) return;
    const posted = postCompletions(queue, this.#wiring.ram, (sqid) => this.state.sqs[sqid]?.head ?? 0);
    if (posted === 0 || !queue.interrupts) return;
    if (this.pci.usesMessages) this.pci.signal(queue.vector);
    this.#drivePin();
  }

  /** The pin is asserted while a completion queue has entries that the guest did not take. */
  #drivePin(): void {
    const { cqs, intms } = this.state;
    const asserted = cqs.some(
      (queue) => queue?.interrupts && queue.head !== queue.tail && ((intms >>> (queue.vector & 31)) & 1) === 0,
    );
    this.pci.interrupt.set(asserted);
  }

  #event(event: number): void {
    const { events } = this.state;
    if (events.length < MOST_EVENTS) events.push(event);
    this.#tellEvents();
    this.#drivePin();
  }

  /** Completes event requests; an event's type is told again once its log page was read. */
  #tellEvents(): void {
    const { state } = this;
    while (state.eventRequests.length > 0) {
      const index = state.events.findIndex((event) => ((state.toldEvents >>> (event & 7)) & 1) === 0);
      if (index < 0) return;
      const [event = 0] = state.events.splice(index, 1);
      state.toldEvents |= 1 << (event & 7);
      const cid = state.eventRequests.shift()!;
      state.cqs[0]?.waiting.push({ sqid: 0, cid, status: Status.success, result: event });
      this.#post(0);
    }
  }

  #forgetQueue(sqid: number): void {
    for (const active of [...this.#active]) if (active.entry.sqid === sqid) this.#remove(active);
    for (const queue of this.state.cqs) if (queue) queue.waiting = queue.waiting.filter((each) => each.sqid !== sqid);
  }

  /** Forgets what is in flight. What the host began still ends, and what comes next must not overtake it. */
  #abandon(): void {
    this.#active.clear();
    if (this.#hostOperations.size === 0) return;
    const settled = Promise.allSettled([...this.#hostOperations]).then(() => {
      if (this.#settled === settled) this.#drained = true;
    });
    this.#drained = false;
    this.#settled = settled;
  }
}
