/**
 * One guest processor: its state in the shared memory, the code that runs it (code-engine.ts), and the loop between blocks
 * where interrupts, exceptions, single steps and halts are looked at.
 */
import type { ProcessorBus, RunResult } from "./bus.ts";
import { CodeEngine, linearMemory } from "./code-engine.ts";
import { Debugger, type DebugOrders } from "./debugger.ts";
import { RESUME } from "./emit/table-entries.ts";
import { EventDelivery, type GuestEvent } from "./event-delivery.ts";
import { followMode } from "./follow-mode.ts";
import { InstructionBudget } from "./instruction-budget.ts";
import type { KeptHandlers } from "./interpret/kept-handlers.ts";
import { emptyTlbs } from "./mmu/empty-tlbs.ts";
import { allOf, type ProcessorObserver } from "./observe/observer.ts";
import { type ProcessorOptions, REPEATED_COST } from "./processor-options.ts";
import { Registers } from "./registers.ts";
import type { RuntimeExports } from "./runtime.ts";
import { BLOCK_COUNT, CONTEXT, EXIT, fieldAddress, NEW_TASK, RECORD, RECORD_SIZE, SHADOW, VCPU_BASE } from "./state.ts";
import {
  addDebugTraps,
  DR6,
  dataBreakpoints,
  hasBreakpoints,
  instructionBreakpoints,
  portBreakpoints,
  reportDebugException,
} from "./system/debug-registers.ts";
import { createSystem, type System } from "./system/functions.ts";
import { HAS_ERROR_CODE } from "./system/interrupts.ts";
import type { LinearMemory, SystemContext } from "./system/system.ts";

/** What the budget may have left where it does not reach through the next block. */
const MOST_LEFT = 64;
/** How often a repeated instruction is started again in a stretch: it may have more to do than anyone waits for. */
const MOST_RESTARTS = 1000;

/** Address lines that reach memory: all, and all but A20. */
const ALL_LINES = -1n;
const WITHOUT_A20 = ~0x10_0000n;
const TRAP_FLAG = 0x100;
const INTERRUPT_FLAG = 0x200;
const RESUME_FLAG = 0x10000;

export class Processor implements SystemContext {
  readonly registers: Registers;
  readonly memory: LinearMemory;
  readonly system: System;
  /** What a debugger outside of the guest asked for. */
  readonly debugger = new Debugger();
  readonly delivering: SystemContext["delivering"];
  readonly #observer: Required<ProcessorObserver> | undefined;
  readonly #bus: ProcessorBus;
  readonly #engine: CodeEngine;
  readonly #runtime: RuntimeExports;
  readonly #events: EventDelivery;
  readonly #budget: InstructionBudget;
  readonly #repeatedCost: number;
  #nmi = false;
  #returnRequested = false;
  /** Whether a breakpoint is enabled: instructions then run one at a time. */
  #breakpoints = false;
  /** Control came back where a debugger's breakpoint may be: the instruction there runs by itself. */
  #atMark = false;
  /** The record whose handler was taken out so that a block ends before it. */
  #cut: { at: number; handler: number } | undefined;

  constructor(options: ProcessorOptions) {
    const { memory, bus, model, observe } = options;
    this.#observer = observe && allOf(observe.observers);
    this.delivering = this.#observer?.delivering;
    this.#bus = bus;
    this.#repeatedCost = options.repeatedCost ?? REPEATED_COST;
    const registers = new Registers(memory, VCPU_BASE);
    this.registers = registers;
    emptyTlbs(registers);
    registers.set64("addressLines", ALL_LINES);
    registers.set32("observed", this.#observer ? 1 : 0);
    const budget = new InstructionBudget(registers, () => this.requestReturn());
    this.#budget = budget;
    this.memory = linearMemory(registers, () => this.#engine.runtime);
    const system = createSystem(this, model);
    this.system = system;
    this.#engine = new CodeEngine(options, {
      ...{ registers, budget, bus, system },
      debugger: this.debugger,
      observer: this.#observer,
      delivering: this.delivering,
      accessed: (linear, bytes, isWrite) => this.#accessed(linear, bytes, isWrite),
    });
    const { runtime } = this.#engine;
    this.#runtime = runtime;
    this.#events = new EventDelivery({ registers, budget, runtime, system });
    this.reset();
  }

  /** Takes handlers that others have needed; not where something is traced or observed. */
  takeHandlers(kept: KeptHandlers): void {
    this.#engine.takeHandlers(kept);
  }

  /** Code will run, but not yet: what translates it may get ready meanwhile. */
  prepareTranslation(kept: KeptHandlers | undefined): void {
    this.#engine.prepareTranslation(kept);
  }

  /** Puts the processor in the state after RESET. */
  reset(): void {
    this.#nmi = false;
    this.flushTlb();
    this.system.reset();
    this.modeChanged();
  }

  /** Sends a non-maskable interrupt. */
  nmi(): void {
    this.#nmi = true;
    this.requestEvents();
  }

  /** Takes a debugger's orders, between two runs. */
  obey(orders: DebugOrders): void {
    if (this.debugger.take(orders)) this.#engine.blocks.clear();
    this.modeChanged();
  }

  /** Says whether an external interrupt waits that the controllers let through. */
  setInterrupt(waits: boolean): void {
    this.registers.set32("interruptPending", waits ? 1 : 0);
    if (waits) this.requestEvents();
  }

  /** Makes `run` come back after the present block. */
  requestReturn(): void {
    this.#returnRequested = true;
    this.requestEvents();
  }

  /** Whether `run` was to come back since it was last called. */
  get returnRequested(): boolean {
    return this.#returnRequested;
  }

  /** The machine has ended: nothing is translated any more. */
  close(): void {
    this.#engine.close();
  }

  /** Counts of what was built and decoded, for reports. */
  get statistics(): CodeEngine["statistics"] {
    return this.#engine.statistics;
  }

  /** Instructions executed since power-on, as of the block that runs. */
  get instructions(): number {
    return this.#budget.instructions;
  }
  /** The same, as of when `budget` instructions of what was granted were left. */
  instructionsAt(budget: number): number {
    return this.#budget.instructionsAt(budget);
  }

  /** Runs about `budget` instructions: whole blocks, so that a few more or less are possible. */
  run(budget: number): RunResult {
    const { registers } = this;
    this.#returnRequested = false;
    this.#budget.rest();
    this.#budget.grant(budget);
    try {
      for (;;) {
        const hit = this.debugger.takeHit();
        if (hit) return { kind: "debug", stop: hit };
        const activity = registers.get32("activity");
        const woken = activity === 1 && this.wakes;
        if (woken) registers.set32("activity", 0);
        else if (activity !== 0) return { kind: "halted" };
        if (this.#returnRequested) return { kind: "budget" };
        const fault = this.#takeEvents(woken || !this.debugger.steps);
        if (fault) return fault;
        if (woken && this.debugger.steps) return { kind: "debug", stop: { kind: "step" } };
        if (this.debugger.breaks && this.debugger.breaksAt(this.linearIp)) {
          return { kind: "debug", stop: { kind: "breakpoint" } };
        }
        if (this.#budget.left <= 0) return { kind: "budget" };
        const before = this.#budget.left;
        const shadow = registers.get32("shadow");
        const asked = this.debugger.steps || this.#atMark;
        const steps = shadow !== 0 || this.#breakpoints || asked || (registers.get32("eflagsSystem") & TRAP_FLAG) !== 0;
        this.#atMark = false;
        const report = steps ? this.#step() : this.#runBlocks();
        if (report) return report;
        if (this.debugger.steps) return { kind: "debug", stop: this.debugger.takeHit() ?? { kind: "step" } };
        if (registers.get32("exit") === EXIT.event && !this.#budget.isAside && !steps) {
          // The budget does not reach through the next block: hand back what is left of it.
          if (this.#budget.left === before || this.#budget.left < MOST_LEFT) return { kind: "budget" };
        }
        this.#budget.recall();
      }
    } finally {
      this.#account();
    }
  }

  /** Data breakpoints of the guest and watchpoints of a debugger may cover an access. */
  #accessed(linear: bigint, bytes: number, isWrite: boolean): void {
    if (this.#breakpoints) addDebugTraps(this.registers, dataBreakpoints(this.registers, linear, bytes, isWrite));
    if (this.debugger.accessed(linear, bytes, isWrite)) this.#stopAfterAccess();
  }

  /** Ends the block that runs after the instruction whose access a watchpoint covers. */
  #stopAfterAccess(): void {
    const { registers } = this;
    this.requestEvents();
    const record = registers.get32("pc");
    if (this.#cut !== undefined || record <= 0) return;
    // The last instruction of a block looks at the budget by itself, and what follows its record is not the block's.
    const left = registers.bytes[record + RECORD.left] as number;
    if (left <= 1) return;
    const at = record + RECORD_SIZE;
    this.#cut = { at, handler: registers.i32[at >> 2] as number };
    registers.i32[at >> 2] = RESUME;
  }

  /** Adds up what ran of the budget that was granted. */
  #account(): void {
    this.#budget.recall();
    this.#observer?.pausing();
    const isSpent = this.#budget.left < MOST_LEFT;
    this.#budget.account();
    this.#engine.runEnded(isSpent);
  }

  /** Whether something waits that ends HLT. */
  get wakes(): boolean {
    const { registers } = this;
    if (registers.get32("debugTraps") !== 0) return true;
    if (this.#nmi && registers.get32("nmiBlocked") === 0) return true;
    return (registers.get32("eflagsSystem") & INTERRUPT_FLAG) !== 0 && this.interruptPending();
  }

  /** Delivers what is due before the next instruction; `external` interrupts too. @spec SDM 3A table 6-2 */
  #takeEvents(external: boolean): RunResult | undefined {
    const { registers } = this;
    this.#engine.clearWhereFull();
    const shadow = registers.get32("shadow");
    const traps = registers.get32("debugTraps");
    if (traps !== 0 && shadow !== SHADOW.debugTraps) return this.#deliverDebug(traps);
    if (shadow !== 0 || !external || this.#isHeldOff()) return undefined;
    if (this.#nmi && registers.get32("nmiBlocked") === 0) {
      this.#nmi = false;
      return this.#deliver({ vector: 2, kind: "external" });
    }
    if ((registers.get32("eflagsSystem") & INTERRUPT_FLAG) !== 0 && this.interruptPending()) {
      const vector = this.#bus.acknowledgeInterrupt();
      if (vector >= 0) return this.#deliver({ vector, kind: "external" });
    }
    return undefined;
  }

  /** Whether an interrupt that waits has arrived right behind an instruction that holds interrupts off; notes that. */
  #isHeldOff(): boolean {
    const { registers } = this;
    if (!this.#nmi && !this.interruptPending()) return false;
    if (registers.get64("heldOffAt") !== registers.get64("ip")) return false;
    // Once: the instruction may be a jump to itself.
    registers.set64("heldOffAt", -1n);
    registers.set32("shadow", SHADOW.interrupts);
    return true;
  }

  /** Runs blocks until something is up, and deals with exceptions. */
  #runBlocks(): RunResult | undefined {
    this.#enterBlocks(this.#runtime.runBlocks);
    // Exceptions that WebAssembly delivered were an effort, too.
    this.#budget.spend(0);
    return this.#afterRun();
  }

  /** Runs blocks until something is up, which `exit` tells. */
  #enterBlocks(run: (record: number) => void): void {
    const { registers } = this;
    registers.set32("exit", EXIT.none);
    const record = this.#runtime.findBlock(this.linearIp);
    if (record === 0) return;
    const count = registers.i32[(record + BLOCK_COUNT) >> 2] as number;
    const left = this.#budget.left - count;
    if (left < 0) {
      registers.set32("exit", EXIT.event);
      return;
    }
    this.#budget.left = left;
    this.#observer?.entering(record, left + count);
    run(record);
    if (this.#cut !== undefined) registers.i32[this.#cut.at >> 2] = this.#cut.handler;
    this.#cut = undefined;
  }

  /**
   * Runs blocks and regions as far as about `budget` instructions reach, and looks at no event. Returns the exception
   * that ended that, which is not delivered; a page fault's address is in `faultAddress`. A repeated instruction that is
   * started again for the MOST_RESTARTS-th time ends it, too. For tests and debuggers.
   */
  stretch(budget: number): { vector: number; errorCode: number } | undefined {
    const { registers } = this;
    this.#budget.grant(budget);
    let exit: number;
    let goesOn: boolean;
    let restarts = 0;
    do {
      this.#budget.rest();
      this.#engine.clearWhereFull();
      this.#enterBlocks(this.#runtime.enter);
      exit = registers.get32("exit");
      // Events that were asked for are left alone.
      if (exit === EXIT.restart) goesOn = ++restarts < MOST_RESTARTS;
      else goesOn = exit === EXIT.resume || this.#budget.isAside;
      if (exit !== EXIT.event) this.#settle();
      this.#budget.recall();
    } while (goesOn && exit !== EXIT.fault && this.#budget.left > 0);
    this.#account();
    if (exit !== EXIT.fault) return undefined;
    return { vector: registers.get32("faultVector"), errorCode: registers.get32("faultCode") };
  }

  /**
   * Runs the instruction at hand with all its repetitions, and looks at no event. Returns the exception that it
   * raised, which is not delivered; a page fault's address is in `faultAddress`. With `element` only one repetition is
   * done. For tests and debuggers.
   */
  step(element = false): { vector: number; errorCode: number } | undefined {
    const { registers } = this;
    this.#budget.grant(0);
    registers.set32("stepping", element ? 1 : 0);
    let exit: number;
    do {
      this.#engine.clearWhereFull();
      if (!this.#single()) this.#settle();
      this.#budget.recall();
      exit = registers.get32("exit");
    } while (exit === EXIT.restart && !element);
    registers.set32("stepping", 0);
    this.#account();
    if (exit !== EXIT.fault) return undefined;
    return { vector: registers.get32("faultVector"), errorCode: registers.get32("faultCode") };
  }

  /**
   * Runs one instruction where each is looked at: instruction breakpoints come before it, single-step and data
   * breakpoint traps wait in `debugTraps` after it. @spec SDM 3B 18.3.1
   */
  #step(): RunResult | undefined {
    const { registers } = this;
    const flags = registers.get32("eflagsSystem");
    if (this.#breakpoints && !(flags & RESUME_FLAG) && registers.get32("shadow") !== SHADOW.debugTraps) {
      const hits = instructionBreakpoints(registers, this.linearIp);
      if (hits !== 0) return this.#deliverDebug(hits);
    }
    registers.set32("eflagsSystem", flags & ~RESUME_FLAG);
    if (flags & TRAP_FLAG) addDebugTraps(registers, DR6.BS);
    registers.set32("stepping", 1);
    const done = this.#single();
    registers.set32("stepping", 0);
    if (done) return undefined;
    if (registers.get32("exit") === EXIT.restart) {
      this.#settle();
      this.#budget.left -= 1;
      // The breakpoint on a repeated instruction that was interrupted is not met again.
      if (this.#breakpoints) registers.set32("eflagsSystem", registers.get32("eflagsSystem") | RESUME_FLAG);
      return undefined;
    }
    if (registers.get32("exit") === EXIT.fault) registers.set32("debugTraps", 0);
    return this.#afterRun();
  }

  #deliverDebug(causes: number): RunResult | undefined {
    this.registers.set32("debugTraps", 0);
    reportDebugException(this.registers, causes);
    return this.#deliver({ vector: 1, kind: "exception" });
  }

  /** Runs one instruction; whether it is done. `exit` says otherwise why not. */
  #single(): boolean {
    const { registers } = this;
    registers.set32("shadow", SHADOW.none);
    registers.set32("exit", EXIT.none);
    registers.set32("pc", 0);
    registers.set32("context", registers.get32("context") | CONTEXT.step);
    const record = this.#runtime.findBlock(this.linearIp);
    registers.set32("context", registers.get32("context") & ~CONTEXT.step);
    if (record === 0) return false;
    // The budget ends with this instruction, so that the next block is not entered.
    const budget = this.#budget.left;
    this.#observer?.entering(record, budget);
    this.#budget.left = 0;
    this.#runtime.enter(record);
    this.#budget.left += budget - 1;
    const exit = registers.get32("exit");
    if (exit === EXIT.resume) this.#settle();
    const fetchOfNext = exit === EXIT.fault && registers.get32("pc") === 0;
    if (fetchOfNext) registers.set32("exit", EXIT.event);
    return exit === EXIT.event || exit === EXIT.resume || fetchOfNext;
  }

  /** Linear address of the next instruction. */
  get linearIp(): bigint {
    return this.#engine.linearIp;
  }

  /** Moves `ip` from the block's start to the instruction at `pc`, and gives back what did not run. */
  #settle(): void {
    const { registers } = this;
    const pc = registers.get32("pc");
    if (pc === 0 || pc === NEW_TASK) return;
    const { bytes } = registers;
    const delta = (bytes[pc + RECORD.delta] as number) | ((bytes[pc + RECORD.delta + 1] as number) << 8);
    const left = bytes[pc + RECORD.left] as number;
    let ip = registers.get64("ip") + BigInt(delta);
    if (!(registers.get32("context") & CONTEXT.long)) ip &= 0xffff_ffffn;
    registers.set64("ip", ip);
    this.#budget.left += left;
    registers.set32("pc", 0);
  }

  #afterRun(): RunResult | undefined {
    const { registers } = this;
    this.#observer?.returned(registers.get32("exit"));
    switch (registers.get32("exit")) {
      case EXIT.fault: {
        // The instruction raised the exception in place of its accesses; where `pc` is 0 the next one did.
        if (registers.get32("pc") !== 0) this.debugger.takeHit();
        this.#settle();
        const vector = registers.get32("faultVector");
        const errorCode = registers.get32("faultCode");
        if (vector === 14) registers.set64("cr2", registers.get64("faultAddress"));
        const event = { vector, kind: "exception" } as const;
        return this.#deliver(HAS_ERROR_CODE.includes(vector) ? { ...event, errorCode } : event);
      }
      case EXIT.restart:
        this.#settle();
        this.#budget.left -= this.#repeatedCost;
        return undefined;
      case EXIT.resume:
        this.#settle();
        return undefined;
      case EXIT.breakpoint:
        this.#settle();
        this.#atMark = true;
        return undefined;
      default:
        return undefined;
    }
  }

  #deliver(event: GuestEvent): RunResult | undefined {
    const fault = this.#events.deliver(event);
    return fault && { kind: "shutdown", fault };
  }

  // SystemContext: what instructions' system functions call.

  modeChanged(): void {
    const { registers } = this;
    followMode(registers, this.debugger.watches);
    this.#breakpoints = hasBreakpoints(registers);
    // RF says something about the next instruction only, and only to breakpoints.
    const flags = registers.get32("eflagsSystem");
    if (flags & RESUME_FLAG && !this.#breakpoints) registers.set32("eflagsSystem", flags & ~RESUME_FLAG);
    this.system.setUnitTraps();
  }

  flushTlb(keepGlobal = false): void {
    this.#runtime.flushTlb(keepGlobal ? 1 : 0);
  }

  flushPage(linear: bigint): void {
    this.#runtime.flushPage(linear);
  }

  readPort(port: number, bytes: number): number {
    if (this.#breakpoints) addDebugTraps(this.registers, portBreakpoints(this.registers, port, bytes));
    return this.#bus.readPort(port, bytes);
  }
  writePort(port: number, bytes: number, value: number): void {
    if (this.#breakpoints) addDebugTraps(this.registers, portBreakpoints(this.registers, port, bytes));
    this.#bus.writePort(port, bytes, value);
  }
  readMachineMsr(msr: number, value: Uint32Array): boolean {
    return this.#bus.readMsr(msr, value);
  }
  writeMachineMsr(msr: number, low: number, high: number): boolean {
    return this.#bus.writeMsr(msr, low, high);
  }
  readCr8(): number {
    return this.#bus.readCr8();
  }
  writeCr8(value: number): void {
    this.#bus.writeCr8(value);
  }
  tsc(): number {
    return this.#bus.tsc();
  }
  random(bytes: number): bigint {
    const target = new Uint8Array(bytes);
    this.#bus.random(target);
    return target.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
  interruptPending(): boolean {
    return this.registers.get32("interruptPending") !== 0;
  }
  requestEvents(): void {
    this.#budget.setAside();
  }

  /** Bytes at a physical address were changed by something other than this processor. */
  physicalWritten(first: number, last: number): void {
    this.#engine.physicalWritten(first, last);
  }

  /** Other memory lies at some physical addresses now (PAGE_FLAGS): no translation that was found holds. */
  memoryChanged(): void {
    this.flushTlb();
  }

  /** Holds address line 20 low, as a PC does for programs of the 8086, or lets it through. */
  setA20(through: boolean): void {
    const lines = BigInt.asUintN(64, through ? ALL_LINES : WITHOUT_A20);
    if (this.registers.get64("addressLines") === lines) return;
    this.registers.set64("addressLines", lines);
    this.flushTlb();
  }

  /** Address of a state field in the shared memory. */
  address(name: string): number {
    return fieldAddress(this.registers.base, name);
  }
}
