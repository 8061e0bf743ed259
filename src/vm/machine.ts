/**
 * One machine in the caller's thread: processor, board and RAM, run in slices of guest time between which
 * deadlines fire, host operations complete and input arrives.
 */
import { guestPhysical } from "../bits/units.ts";
import type { FaultReport, ProcessorBus } from "../cpu/bus.ts";
import type { DebugStop } from "../cpu/debugger.ts";
import type { LockStep } from "../cpu/lockstep/lock-step.ts";
import { PHYSICAL_BITS } from "../cpu/mmu/address-translation.ts";
import { Processor } from "../cpu/processor.ts";
import type { ProcessorOptions } from "../cpu/processor-options.ts";
import { mediumFor } from "../device/i82077/medium.ts";
import type { BlockDevice } from "../disk/block-device.ts";
import type { AccessSize, ByteSink, Completion, RandomSource } from "../machine/device.ts";
import type { DisplaySource } from "../machine/display.ts";
import { GuestTime } from "../machine/guest-time.ts";
import { Board } from "./board.ts";
import { ConsoleInput } from "./console-input.ts";
import type { Host, MachineDefinition, MachineEnd } from "./definition.ts";
import { GuestRam } from "./guest-ram.ts";
import { GuestInput } from "./input/guest-input.ts";
import { loadParts, type Parts } from "./parts.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { Start } from "./start.ts";
import type { MachineTools } from "./tools/machine-tools.ts";
import { WatchedRam } from "./watched-ram.ts";
import { WorkQueue } from "./work-queue.ts";

/** Guest nanoseconds of one instruction where time is a count of instructions. */
export const ICOUNT_NS = 10;
/** Instructions of one slice at the most; a few milliseconds. */
const SLICE = 400_000;
const SLICE_WHILE_WORKING = 60_000;
/** The host's event loop gets its turn this often, in nanoseconds. */
const YIELD_EVERY = 5e6;
/** Nanoseconds that a halted machine without a deadline waits before it looks again. */
const LONGEST_SLEEP = 50e6;
const ICOUNT_SEED = 1;
/** Nanoseconds after which a kernel that is started directly gets handlers that others have needed. */
const HANDLERS_AFTER = 50e6;
/** The longest that a paused machine sleeps; it is woken to go on. */
const PAUSE = 60e9;
/** How often a block runs before it is translated, where the translator is checked: all that runs more than once or so. */
const CHECK_HEAT = 20;
const NOWHERE: ByteSink = { write: () => {} };

export class Machine {
  readonly board: Board;
  readonly processor: Processor;
  readonly ram: GuestRam;
  /** Keyboard and mouse. */
  readonly input: GuestInput;
  /** What was asked for of them. */
  readonly tools: MachineTools | undefined;
  /** Runs the processor beside another one and compares the two. */
  readonly #check: LockStep | undefined;
  readonly #definition: MachineDefinition;
  readonly #host: Host;
  readonly #time: GuestTime;
  readonly #random: RandomSource;
  readonly #work: WorkQueue;
  /** Input on its way; not there yet while the board is built. */
  readonly #serialInput: ConsoleInput | undefined;
  readonly #consoleInput: ConsoleInput | undefined;
  readonly #startedAt: number;
  readonly #start: Start;
  /** Operations that must end before guest code runs again. */
  #held = 0;
  /** Those of them that end at a time of the guest's. */
  readonly #holdsInTime = new Set<object>();
  #end: MachineEnd | undefined;
  #resetCause: string | undefined;
  #wake: () => void = () => {};
  #paused = false;
  /** Nanoseconds of the host's time that passed while the machine was paused. */
  #stoodStill = 0;
  /** The host's time at which it was paused, while it is: what happens on the host meanwhile finds the guest's time there. */
  #stillSince: number | undefined;
  /**
   * Told when the processor came to where a debugger wants it, or shut down; the machine is paused then. Without it a
   * processor that shuts down ends the machine at once.
   */
  onDebugStop: ((stop: DebugStop | { kind: "shutdown"; fault: FaultReport }) => void) | undefined;
  /** Told when the speaker's tone changes, in hertz, 0 for silence; `tone` is the present one. */
  onTone: ((hertz: number) => void) | undefined;
  /** Guest time that icount skipped while the processor was halted. */
  #skipped = 0;
  /** Instructions a nanosecond of host time takes, as measured. */
  #rate = 0.05;

  /** Rejects with BootError, DrivePlaceError, or RangeError where the host has not the memory. */
  static async create(definition: MachineDefinition, host: Host): Promise<Machine> {
    return new Machine(definition, host, await loadParts(definition, host));
  }

  private constructor(definition: MachineDefinition, host: Host, parts: Parts) {
    this.#definition = definition;
    this.#host = host;
    this.#startedAt = host.monotonic();
    const icount = definition.clock === "icount";
    this.#random = icount ? new SeededRandom(ICOUNT_SEED) : { fill: (target) => host.random(target) };
    const memories = {
      video: parts.devices.vga?.VIDEO_MEMORY_SIZE ?? 0,
      tools: parts.tools?.toolsSize(definition.tools) ?? 0,
    };
    const ram = definition.check
      ? new WatchedRam(definition.memory, memories)
      : new GuestRam(definition.memory, memories);
    this.ram = ram;
    host.prepareMemory?.(ram.memory, parts.start.fillsMemory);
    this.#time = new GuestTime(
      icount
        ? () => this.instructions * ICOUNT_NS + this.#skipped
        : () => (this.#stillSince ?? this.#host.monotonic()) - this.#startedAt - this.#stoodStill,
      () => {
        this.processor.requestReturn();
        // What happens on the host while the machine sleeps, such as the arrival of a packet, comes with a deadline.
        this.#wake();
      },
    );
    this.#work = new WorkQueue({ inOrder: icount, onSettled: () => this.#wake() });
    this.tools = parts.tools && new parts.tools.MachineTools(definition.tools ?? {}, ram.memory.buffer, ram.toolsAt);
    const options: ProcessorOptions = {
      runtime: parts.runtime,
      memory: this.ram.memory,
      memoryPages: this.ram.memoryPages,
      bus: this.tools?.bus(this.#bus()) ?? this.#bus(),
      observe: this.tools?.observation,
      model: definition.cpu,
      ...(definition.heat === undefined ? {} : { heat: definition.heat }),
      regions: parts.regions,
      kept: parts.kept,
      start: { kind: definition.kernel ? "kernel" : "firmware", name: parts.start.name },
    };
    this.#check = parts.lockStep && new parts.lockStep.LockStep({ ...options, heat: CHECK_HEAT }, ram.size);
    this.processor = this.#check?.processor ?? new Processor(options);
    this.tools?.attach(this.processor);
    if (parts.start.fillsMemory || !definition.kernel) this.processor.prepareTranslation(parts.kept);
    if (definition.kernel && !this.tools && !this.#check) void this.#takeHandlers(this.processor);
    if (ram instanceof WatchedRam) ram.onWrite = (address, length) => this.#check?.written(address, length);
    ram.onCodeWritten = (first, last) => this.processor.physicalWritten(first, last);
    ram.onKindChanged = (address, length) => {
      if (this.#check) this.#check.memoryChanged(address, length);
      else this.processor.memoryChanged();
    };
    ram.onVideoPlaced = (offset) => this.processor.registers.set32("videoOffset", offset);
    this.board = new Board(
      {
        unixSeconds: icount ? 1_700_000_000 : host.unixTime(),
        physicalAddressBits: PHYSICAL_BITS,
        disks: definition.disks,
        cdroms: definition.cdroms ?? [],
        floppies: definition.floppies ?? [],
        nics: definition.nics ?? [],
        pointer: definition.pointer ?? "mouse",
        debugExit: definition.debugExit,
        serial: definition.serial,
        serial2: definition.serial2 ?? NOWHERE,
        ...(definition.virtioConsole ? { virtioConsole: definition.virtioConsole } : {}),
        ...(definition.firmware ? { firmware: definition.firmware } : {}),
      },
      parts.devices,
      {
        ram: this.ram,
        time: this.#time,
        random: this.#random,
        work: this.#work,
        tsc: () => BigInt(this.#tsc()) + this.#tscOffset(),
        tscOffset: () => this.#tscOffset(),
        intr: { set: (level) => this.processor.setInterrupt(level) },
        nmi: () => this.processor.nmi(),
        powerOff: () => this.#finish({ kind: "power-off" }),
        reset: (cause) => this.#requestReset(cause),
        a20: (through) => (this.#check ?? this.processor).setA20(through),
        debugExit: (status) => this.#finish({ kind: "debug-exit", status }),
        speaker: (hertz) => this.onTone?.(hertz),
        serialRoom: () => this.#serialInput?.pump(),
        consoleRoom: () => this.#consoleInput?.pump(),
        release: () => {},
      },
    );
    this.#serialInput = new ConsoleInput(this.board.serial[0]);
    this.input = new GuestInput({
      keyboard: this.board.keyboard,
      mouse: this.board.mouse,
      ...(this.board.tablet ? { tablet: this.board.tablet } : {}),
      time: this.#time,
      wake: () => this.#wake(),
    });
    if (this.board.virtioConsole) this.#consoleInput = new ConsoleInput(this.board.virtioConsole);
    this.#start = parts.start.of({
      definition,
      processor: this.processor,
      board: this.board,
      ram,
      random: this.#random,
      time: this.#time,
      hold: (operation, complete) => this.#hold(operation, complete),
      holdInTime: () => this.#holdInTime(),
      immediate: this.#work.immediate,
      registerSet: () => this.#check?.registersSet(),
      end: (end) => this.#finish(end),
    });
    this.#boot();
  }

  #tsc(): number {
    return Math.floor(this.#time.now());
  }
  #tscOffset(): bigint {
    return BigInt.asIntN(64, this.processor.registers.get64("tscOffset"));
  }

  #bus(): ProcessorBus {
    const ram = this.ram;
    return {
      readPort: (port, bytes) => this.board.ports.read(port, bytes as AccessSize),
      writePort: (port, bytes, value) => this.board.ports.write(port, bytes as AccessSize, value),
      readMemory: (address, bytes, wide) => {
        const rom = ram.view(guestPhysical(address), bytes, "read");
        if (rom) return readBytes(rom, bytes, wide);
        if (bytes === 8) {
          this.board.memory.read64(address, wide);
          return wide[0] as number;
        }
        return this.board.memory.read(address, bytes as AccessSize);
      },
      writeMemory: (address, bytes, low, high) => {
        if (bytes === 8) this.board.memory.write64(address, low, high);
        else this.board.memory.write(address, bytes as AccessSize, low);
      },
      acknowledgeInterrupt: () => this.board.localApic.acknowledge(),
      readMsr: (msr, value) => this.board.kvmClock.readMsr(msr, value) || this.board.localApic.readMsr(msr, value),
      writeMsr: (msr, low, high) =>
        this.board.kvmClock.writeMsr(msr, low, high) || this.board.localApic.writeMsr(msr, low, high),
      readCr8: () => this.board.localApic.readCr8(),
      writeCr8: (value) => this.board.localApic.writeCr8(value),
      tsc: () => this.#tsc(),
      random: (target) => this.#random.fill(target),
    };
  }

  /** Brings the machine, whose parts have been reset, to its first instruction. */
  #boot(): void {
    this.#start();
    this.#check?.restart();
  }

  /** Lets no guest code run until a host operation has ended. */
  #hold<T>(operation: Promise<T>, complete: Completion<T>): void {
    this.#held++;
    this.#work.run(operation, (result) => {
      this.#held--;
      complete(result);
    });
    this.processor.requestReturn();
  }

  /** Lets no guest code run until the returned function is called, by a timer or a device. */
  #holdInTime(): () => void {
    const hold = {};
    this.#holdsInTime.add(hold);
    this.#held++;
    this.processor.requestReturn();
    return () => {
      if (this.#holdsInTime.delete(hold)) this.#held--;
    };
  }

  #requestReset(cause: string): void {
    if (this.#definition.noReboot) {
      this.#finish({ kind: "reset", cause });
      return;
    }
    this.#resetCause = cause;
    this.processor.requestReturn();
  }

  #reset(): void {
    this.#resetCause = undefined;
    this.#work.clear();
    this.#held = 0;
    this.#holdsInTime.clear();
    this.board.reset();
    this.processor.reset();
    this.#boot();
  }

  #finish(end: MachineEnd): void {
    this.#end ??= end;
    this.processor.requestReturn();
    this.#wake();
  }

  /** The file of the kernel that is started directly; undefined where firmware starts the machine. */
  get kernelImage(): Uint8Array | undefined {
    return this.#definition.kernel?.image;
  }

  /** Instructions executed since power-on. */
  get instructions(): number {
    return this.processor.instructions;
  }

  /** Ends the run as if the plug was pulled. */
  stop(): void {
    this.#finish({ kind: "stopped" });
  }

  /** Keeps the guest between two instructions, where it is now, and its time with it, until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#wake();
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Queues bytes as COM1's input. */
  sendSerial(bytes: Uint8Array): void {
    this.#serialInput?.send(bytes);
    this.#wake();
  }

  /** Queues bytes as the virtio console's input; dropped where there is none. */
  sendConsole(bytes: Uint8Array): void {
    this.#consoleInput?.send(bytes);
    this.#wake();
  }

  /** Bytes of COM1's input that the guest has not read yet; beyond 1 MiB more of them are dropped. */
  get serialBacklog(): number {
    return this.#serialInput?.length ?? 0;
  }

  /** The guest's screen; undefined on a board without one. */
  get display(): DisplaySource | undefined {
    return this.board.display;
  }

  /**
   * Puts a disk into a floppy drive, or takes it out; resolves when nothing is done any more to the one that was there.
   * Rejects with RangeError where there is no such drive, or it takes no disk of this size.
   */
  async changeFloppy(drive: number, device: BlockDevice | undefined): Promise<void> {
    const { floppy } = this.board;
    const type = floppy?.driveTypes[drive];
    if (!floppy || type === undefined) throw new RangeError(`the machine has no floppy drive ${drive}`);
    const medium = device && mediumFor(device, type);
    if (device && !medium) throw new RangeError(`a floppy drive for ${type} takes no disk of ${device.size} bytes`);
    await floppy.changeMedium(drive, medium);
  }

  /** What the PC's speaker sounds, in hertz; 0 for silence. */
  get tone(): number {
    return this.board.pit.tone;
  }

  powerButton(): void {
    this.board.power.pressPowerButton();
    this.#wake();
  }

  /** Gives the processor what others have needed once the guest runs: its first instructions do not wait for it. */
  async #takeHandlers(processor: Processor): Promise<void> {
    await this.#host.sleep(HANDLERS_AFTER).done;
    const kept = this.#host.handlers?.("kernel");
    if (kept && this.#end === undefined) processor.takeHandlers(kept);
  }

  /** Runs until the machine ends. */
  async run(): Promise<MachineEnd> {
    try {
      return await this.#run();
    } finally {
      this.input.end();
      for (const nic of this.board.nics) nic.close();
      this.processor.close();
      this.tools?.finish();
    }
  }

  async #run(): Promise<MachineEnd> {
    const icount = this.#definition.clock === "icount";
    let yieldedAt = this.#host.monotonic();
    while (this.#end === undefined) {
      if (this.#resetCause !== undefined) this.#reset();
      if (this.#paused) {
        await this.#standStill();
        continue;
      }
      this.#work.drain();
      this.#time.fireDue();
      this.#serialInput?.pump();
      this.#consoleInput?.pump();
      this.input.pump();
      if (this.#held > 0) {
        await this.#whileHeld(icount);
        yieldedAt = this.#host.monotonic();
        continue;
      }
      const before = this.#host.monotonic();
      const count = this.instructions;
      const result = (this.#check ?? this.processor).run(this.#budget(icount));
      if (this.#end !== undefined) break;
      if (result.kind === "difference") return result;
      // A guest may go on to a triple fault after its request for a reset, before that is looked at.
      if (result.kind === "shutdown" && this.#resetCause === undefined) {
        if (this.onDebugStop) await this.#stopFor({ kind: "shutdown", fault: result.fault });
        if (this.#end !== undefined) break;
        const { crashReport } = await import("./crash-report.ts");
        return { kind: "crash", report: crashReport(this.processor, this.ram, result.fault) };
      }
      const now = this.#host.monotonic();
      const ran = this.instructions - count;
      if (ran > 10_000) this.#rate = 0.7 * this.#rate + 0.3 * (ran / Math.max(now - before, 1));
      if (icount && this.#work.pending > 0) await this.#untilSettled();
      if (result.kind === "debug") {
        await this.#stopFor(result.stop);
        yieldedAt = this.#host.monotonic();
        continue;
      }
      const slept = result.kind === "halted" && this.#resetCause === undefined && (await this.#idle(icount));
      if (slept) yieldedAt = this.#host.monotonic();
      else if (now - yieldedAt > YIELD_EVERY || (!icount && this.#work.pending > 0)) {
        await this.#host.yield();
        yieldedAt = this.#host.monotonic();
      }
    }
    return this.#end;
  }

  /** Pauses for a debugger, until it lets the machine go on. */
  async #stopFor(stop: Parameters<NonNullable<Machine["onDebugStop"]>>[0]): Promise<void> {
    this.#paused = this.onDebugStop !== undefined;
    this.onDebugStop?.(stop);
    await this.#standStill();
  }

  async #standStill(): Promise<void> {
    const since = this.#host.monotonic();
    this.#stillSince = since;
    while (this.#paused && this.#end === undefined) await this.#sleep(PAUSE);
    this.#stillSince = undefined;
    this.#stoodStill += this.#host.monotonic() - since;
  }

  /** Instructions until something is due. */
  #budget(icount: boolean): number {
    const deadline = this.#time.nextDeadline;
    const most = !icount && this.#work.pending > 0 ? SLICE_WHILE_WORKING : SLICE;
    if (deadline === undefined) return most;
    const ns = Math.max(deadline - this.#time.now(), 0);
    const instructions = icount ? Math.ceil(ns / ICOUNT_NS) : ns * this.#rate;
    return Math.min(Math.max(Math.ceil(instructions), 500), most);
  }

  /** Deterministic runs let the host finish before the guest goes on. */
  async #untilSettled(): Promise<void> {
    // Completions may begin operations in turn: one that was left would end before or after the next slice by chance.
    while (this.#work.pending > 0 && this.#end === undefined) {
      while (!this.#work.settled && this.#end === undefined) await this.#sleep(50e6);
      this.#work.drain();
    }
  }

  /** Waits for the operation that the processor is held for, or for the next deadline of guest time, which icount skips to. */
  async #whileHeld(icount: boolean): Promise<void> {
    if (icount && this.#work.pending > 0) return this.#untilSettled();
    const deadline = this.#time.nextDeadline;
    if (icount && deadline !== undefined) {
      this.#skipped += Math.max(deadline - this.#time.now(), 0);
      return;
    }
    const wait = deadline === undefined ? LONGEST_SLEEP : deadline - this.#time.now();
    if (wait > 0 && !this.#work.someSettled) await this.#sleep(wait);
  }

  /** Waits for what ends a halt; whether the host's event loop had its turn meanwhile. */
  async #idle(icount: boolean): Promise<boolean> {
    if (this.processor.wakes) return false;
    const deadline = this.#time.nextDeadline;
    if (icount && deadline !== undefined) {
      this.#skipped += Math.max(deadline - this.#time.now(), 0);
      return false;
    }
    const wait = deadline === undefined ? LONGEST_SLEEP : deadline - this.#time.now();
    if (wait <= 0) return false;
    await this.#sleep(wait);
    return true;
  }

  async #sleep(ns: number): Promise<void> {
    this.tools?.waits(true);
    const { done, wake } = this.#host.sleep(ns);
    this.#wake = wake;
    await done;
    this.#wake = () => {};
    this.tools?.waits(false);
  }
}

function readBytes(bytes: Uint8Array, count: number, wide: Uint32Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, count);
  switch (count) {
    case 1:
      return view.getUint8(0);
    case 2:
      return view.getUint16(0, true);
    case 4:
      return view.getUint32(0, true);
    default:
      wide[0] = view.getUint32(0, true);
      wide[1] = view.getUint32(4, true);
      return wide[0] as number;
  }
}
