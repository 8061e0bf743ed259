/**
 * What a processor runs its guest's code with: the runtime module, the interpreter's handlers and blocks, the translator; and
 * what WebAssembly calls of TypeScript to find code. What happens between blocks is the processor's.
 */
import type { Feature } from "../isa/instruction.ts";
import { CS } from "../isa/semantics.ts";
import type { ProcessorBus } from "./bus.ts";
import type { Debugger } from "./debugger.ts";
import { FIRST_HANDLER } from "./emit/table-entries.ts";
import { deviceMemory, systemFunctions } from "./host-functions.ts";
import { DECODING_EFFORT, type InstructionBudget } from "./instruction-budget.ts";
import { BlockCache } from "./interpret/blocks.ts";
import { createCodeTable } from "./interpret/code-table.ts";
import { Handlers } from "./interpret/handlers.ts";
import { forgetJump, forgetJumps } from "./interpret/jump-cache.ts";
import type { KeptHandlers } from "./interpret/kept-handlers.ts";
import { ACCESS } from "./mmu/address-translation.ts";
import { pagingMode } from "./mmu/code-walk.ts";
import type { ProcessorObserver } from "./observe/observer.ts";
import type { ProcessorOptions } from "./processor-options.ts";
import type { Registers } from "./registers.ts";
import { DELIVERY, type RuntimeExports, type RuntimeHost } from "./runtime.ts";
import { CONTEXT, EXIT, PAGE, PAGE_FLAGS } from "./state.ts";
import type { System } from "./system/functions.ts";
import { GuestFault } from "./system/guest-fault.ts";
import type { LinearMemory, SystemContext } from "./system/system.ts";
import { DEFAULT_HEAT, Translator } from "./translate/translator.ts";

/** What it needs of the processor that it is a part of. */
export interface EngineWiring {
  readonly registers: Registers;
  readonly budget: InstructionBudget;
  readonly bus: ProcessorBus;
  readonly system: System;
  readonly debugger: Debugger;
  readonly observer: Required<ProcessorObserver> | undefined;
  readonly delivering: SystemContext["delivering"];
  /** Told of accesses to data while `watching` is set. */
  accessed(linear: bigint, bytes: number, isWrite: boolean): void;
}

export class CodeEngine {
  readonly #wiring: EngineWiring;
  readonly #handlers: Handlers;
  readonly #translator: Translator | undefined;
  readonly runtime: RuntimeExports;
  readonly blocks: BlockCache;
  /** Instructions that had run when the budget was last used up. */
  #sampledAt = 0;

  constructor(options: ProcessorOptions, wiring: EngineWiring) {
    const { memory, memoryPages, model, regions, heat = DEFAULT_HEAT } = options;
    const { mostHandlers, mostRegions, blockLimit, trace, observe, kept } = options;
    const { registers, observer, system, debugger: marks } = wiring;
    this.#wiring = wiring;
    const vcpu = registers.base;
    const table = createCodeTable(4096);
    const host = observer?.hostFunctions(this.#hostFunctions()) ?? this.#hostFunctions();
    const { observers, ...emitted } = observe ?? { observers: [] };
    const instance = new WebAssembly.Instance(options.runtime, { env: { memory, table }, host });
    this.runtime = instance.exports as unknown as RuntimeExports;
    const runtime = instance.exports as Record<string, WebAssembly.ImportValue>;
    const environment = { memory, memoryPages, table, runtime, host, trace, observe: emitted };
    this.#handlers = new Handlers(environment, vcpu, mostHandlers, trace || observe ? undefined : kept);
    const has = (feature: Feature) => system.has(feature);
    const start = options.start?.name;
    const settings = { memory, memoryPages, vcpu, model, heat, start, ...(observe ? { observe: emitted } : {}) };
    const maker = regions?.(settings);
    this.blocks = new BlockCache({
      buffer: memory.buffer,
      vcpu,
      handlers: this.#handlers,
      has,
      translateCode: (linear) => this.#translateCode(linear),
      isMarked: (address) => marks.isMarked(address),
      forgetJumps: () => forgetJumps(registers),
      forgetJump: (linear) => forgetJump(registers, linear),
      forgetKeptPages: () => this.runtime.forgetKeptPages(),
      heat: (code) => this.#translator?.heat(code) ?? 0,
      blockLimit,
      mostRegions,
      regionDropped: (handler) => this.#translator?.dropped(handler),
      observer,
    });
    if (options.start && !trace && !observe) maker?.keepHandlers?.(options.start.kind, this.#handlers);
    this.#translator =
      maker &&
      new Translator({
        settings,
        has,
        handlers: this.#handlers,
        blocks: this.blocks,
        maker,
        observer,
        paging: () => pagingMode(registers),
        marks: () => marks.marks,
        instructions: () => wiring.budget.instructions,
      });
  }

  /** Takes handlers that others have needed; not where something is traced or observed. */
  takeHandlers(kept: KeptHandlers): void {
    this.#handlers.take(kept);
  }

  /** Code will run, but not yet: what translates it may get ready meanwhile. */
  prepareTranslation(kept: KeptHandlers | undefined): void {
    this.#translator?.prepare(kept && { module: kept.module, at: FIRST_HANDLER, count: kept.keys.length });
  }

  /** Nothing is translated any more. */
  close(): void {
    this.#translator?.close();
  }

  /** Counts of what was built and decoded, for reports. */
  get statistics(): { handlers: number; recordBytes: number; translated: Translator["statistics"] } {
    const translated = this.#translator?.statistics ?? { asked: 0, regions: 0, instructions: 0, bytes: 0 };
    return { handlers: this.#handlers.count, recordBytes: this.blocks.used, translated };
  }

  /** Drops all blocks where a clear is due; not while one runs. */
  clearWhereFull(): void {
    if (this.blocks.full) this.blocks.clear();
  }

  /**
   * A run has ended, where the budget was used up if `isSpent`: what was run last stands for all since the last such end. So
   * regions need not count what they run.
   */
  runEnded(isSpent: boolean): void {
    const { registers, budget } = this.#wiring;
    const region = registers.get32("lastRegion");
    registers.set32("lastRegion", 0);
    if (!isSpent) return;
    const ran = budget.instructions - this.#sampledAt;
    this.#sampledAt = budget.instructions;
    if (region !== 0) this.#translator?.regionRan(region, ran);
  }

  /** Linear address of the next instruction. */
  get linearIp(): bigint {
    const { registers } = this.#wiring;
    const ip = registers.get64("ip");
    if (registers.get32("context") & CONTEXT.long) return ip;
    return (ip + registers.segmentBase(CS)) & 0xffff_ffffn;
  }

  /** Bytes at a physical address were changed by something other than this processor. */
  physicalWritten(first: number, last: number): void {
    for (let at = first; at <= last; at = (Math.floor(at / 4096) + 1) * 4096) {
      const page = Math.floor(at / 4096);
      if (((this.#wiring.registers.bytes[PAGE_FLAGS + page] as number) & PAGE.code) === 0) continue;
      this.blocks.written(at, Math.min(last, page * 4096 + 4095));
    }
  }

  #isRam(physical: number): boolean {
    return (
      physical < 0x1_0000_0000 &&
      ((this.#wiring.registers.bytes[PAGE_FLAGS + Math.floor(physical / 4096)] as number) & PAGE.io) === 0
    );
  }

  /** Code is fetched from where no memory is: the bus gives ones, which are no instruction. */
  #fetchFault(): void {
    const { registers } = this.#wiring;
    registers.set32("faultVector", 6);
    registers.set32("faultCode", 0);
    registers.set32("pc", 0);
    registers.set32("exit", EXIT.fault);
  }

  /** Bytes of the code segment from a linear address on. */
  #codeRoom(linear: bigint): number {
    const { registers } = this.#wiring;
    if (registers.get32("context") & (CONTEXT.long | CONTEXT.flat)) return Number.POSITIVE_INFINITY;
    const offset = Number(BigInt.asUintN(32, linear - registers.segmentBase(CS)));
    return Math.max(registers.limit(CS) - offset + 1, 0);
  }

  #translateCode(linear: bigint): number {
    this.#wiring.registers.set32("pc", 0);
    const physical = Number(this.runtime.translate(linear, ACCESS.execute));
    if (physical < 0) return -1;
    if (!this.#isRam(physical)) {
      this.#fetchFault();
      return -1;
    }
    return physical;
  }

  #decodeBlock(physical: number, linear: bigint): number {
    const { registers, budget } = this.#wiring;
    budget.spend(DECODING_EFFORT);
    if (!this.#isRam(physical)) {
      this.#fetchFault();
      return 0;
    }
    if (this.blocks.full) {
      // Handlers of the block that ends now still run; the run loop clears the cache and comes back.
      registers.set32("exit", EXIT.event);
      return 0;
    }
    return this.blocks.decode(physical, linear, registers.get32("context"), this.#codeRoom(linear));
  }

  #hostFunctions(): Record<string, WebAssembly.ImportValue> {
    const { registers, budget, bus, system, delivering, accessed } = this.#wiring;
    const host: RuntimeHost = {
      ...deviceMemory(bus, budget),
      delivering: (vector, errorCode, how) => {
        const kind = how & DELIVERY.external ? "external" : "exception";
        delivering?.(how & DELIVERY.errorCode ? { vector, errorCode, kind } : { vector, kind });
      },
      codeWritten: (physical, bytes) => {
        budget.spend(1);
        this.blocks.written(physical >>> 0, (physical >>> 0) + bytes - 1);
      },
      watched: (linear, bytes, write) => accessed(linear, bytes, write !== 0),
      decodeBlock: (physical, linear) => this.#decodeBlock(Number(physical), linear),
      forgetLinks: () => this.blocks.forgetLinks(),
      remakeRegion: (handler) => this.#translator?.remake(handler),
      hot: (record) =>
        this.#translator?.translate(record, this.linearIp, Number(registers.get64("ip") & 0xffff_ffffn) | 0),
    };
    const functions = systemFunctions(system, registers, budget);
    return { ...functions, ...(host as unknown as Record<string, WebAssembly.ImportValue>) };
  }
}

/** Guest memory by linear address, as system functions reach it: exceptions are thrown. */
export function linearMemory(registers: Registers, runtime: () => RuntimeExports): LinearMemory {
  const check = () => {
    if (registers.get32("exit") !== EXIT.fault) return;
    registers.set32("exit", EXIT.none);
    throw new GuestFault(registers.get32("faultVector"), registers.get32("faultCode"));
  };
  return {
    read: (linear, bytes, supervisor) => {
      const value = runtime().readLinear(linear, bytes, supervisor ? ACCESS.supervisor : 0);
      check();
      return BigInt.asUintN(64, value);
    },
    write: (linear, bytes, value, supervisor) => {
      runtime().writeLinear(linear, bytes, value, supervisor ? ACCESS.supervisor : 0);
      check();
    },
  };
}
