/**
 * PXE's functions, as programs call them: through the entry that "PXENV+" tells, with a number in BX and a block at ES:DI, or
 * the one of "!PXE", with both on the stack; and the check by INT 1Ah that they are there.
 *
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §3.1, §3.2
 *
 * Not modelled: calls from protected mode, for which there is no entry.
 */

import type { BootRegisters } from "../boot-source.ts";
import type { BiosCall, Outcome } from "../call.ts";
import type { Ports } from "../chips.ts";
import { BIOS_BASE, BIOS_SEGMENT } from "../segment.ts";
import type { Lease } from "./dhcp-client.ts";
import type { NetworkStack } from "./network-stack.ts";
import { BaseCode } from "./pxe-base-code.ts";
import { PXE_STATUS } from "./pxe-blocks.ts";
import type { PxeFunctions } from "./pxe-function.ts";
import { PxeMemory } from "./pxe-memory.ts";
import { pxeStructures } from "./pxe-structures.ts";
import { Undi } from "./pxe-undi.ts";

/** Offsets in the BIOS's segment. */
export interface PxePlaces {
  readonly pxenvAt: number;
  readonly pxeAt: number;
  readonly pxenvEntry: number;
  readonly pxeEntry: number;
  /** Where a program that returns goes on. */
  readonly returned: number;
}

/** "VN", and what INT 1Ah answers to it. */
const PXE_CHECK = 0x5650;
const PXE_IS_THERE = 0x564e;
/** On the stack of a call through "!PXE", above an interrupt's frame and a far return address. */
const NUMBER_AT = 10;
const OFFSET_AT = 12;
const SEGMENT_AT = 14;

export interface PxeState {
  /** Whether the base code is there. */
  isLoaded: boolean;
}

export class PxeService {
  readonly #state: PxeState = { isLoaded: false };
  readonly #stack: NetworkStack;
  readonly #places: PxePlaces;
  readonly #memory = new PxeMemory();
  readonly #baseCode: BaseCode;
  readonly #undi: Undi;
  readonly #functions: PxeFunctions;

  constructor(stack: NetworkStack, ports: Ports, places: PxePlaces) {
    this.#stack = stack;
    this.#places = places;
    const memory = this.#memory;
    this.#baseCode = new BaseCode({ stack, memory, unloaded: () => this.#unload(), registers: () => this.registers() });
    const baseCodeListens = () => this.#state.isLoaded;
    this.#undi = new Undi({ station: stack.station, ports, memory, baseCodeListens });
    this.#functions = { ...this.#baseCode.functions, ...this.#undi.functions };
  }

  get state() {
    return {
      pxe: this.#state,
      memory: this.#memory.state,
      baseCode: this.#baseCode.state,
      undi: this.#undi.state,
    };
  }

  reset(): void {
    this.#state.isLoaded = false;
    for (const part of [this.#memory, this.#baseCode, this.#undi]) part.reset();
  }

  #unload(): void {
    this.#state.isLoaded = false;
    const { state } = this.#stack.station;
    state.listens = state.opened;
  }

  /** Puts the structures and messages where programs find them. */
  load(call: BiosCall, lease: Lease): void {
    this.#state.isLoaded = true;
    const cached = [lease.discover, lease.acknowledgment, lease.reply];
    this.#baseCode.state.cached = cached;
    this.#memory.take(call);
    for (const [i, message] of cached.entries()) this.#memory.fill(call, i + 1, message);
    const memory = { segment: this.#memory.segment, size: PxeMemory.size };
    for (const { at, bytes } of pxeStructures({ ...this.#places, memory })) {
      call.processor.writePhysical(BIOS_BASE + at, bytes);
    }
  }

  /** Takes everything back: the program has given up. */
  leave(call: BiosCall): void {
    this.#memory.giveBack(call);
    this.reset();
    this.#stack.reset();
  }

  /** What a loaded program is entered with. */
  registers(): BootRegisters {
    const { pxenvAt, pxeAt, returned } = this.#places;
    return { es: BIOS_SEGMENT, ebx: pxenvAt, stack: [returned, BIOS_SEGMENT, pxeAt, BIOS_SEGMENT] };
  }

  /** INT 1Ah AX=5650h: whether PXE is there. Returns false for all else, and where it is not. */
  check(call: BiosCall): boolean {
    if (call.ax !== PXE_CHECK || !this.#state.isLoaded) return false;
    call.ax = PXE_IS_THERE;
    call.es = BIOS_SEGMENT;
    call.bx = this.#places.pxenvAt;
    call.carry = false;
    return true;
  }

  /** A call through "PXENV+". */
  pxenv(call: BiosCall): Outcome {
    return this.#call(call, call.bx, call.inEs(call.di));
  }

  /** A call through "!PXE". */
  pxe(call: BiosCall): Outcome {
    const word = (at: number) => call.u16(call.onStack(at));
    return this.#call(call, word(NUMBER_AT), word(SEGMENT_AT) * 16 + word(OFFSET_AT));
  }

  #call(call: BiosCall, number: number, at: number): Outcome {
    const run = this.#functions[number];
    const end = (status: number) => {
      call.setU16(at, status);
      call.ax = status === PXE_STATUS.success ? 0 : 1;
      call.carry = status !== PXE_STATUS.success;
    };
    if (run === undefined) {
      end(PXE_STATUS.unsupported);
      return undefined;
    }
    const block = call.bytes(at, run.size);
    const result = run.call(block, call);
    const write = (status: number | undefined) => {
      if (status === undefined) return undefined;
      call.setBytes(at, block);
      end(status);
      return undefined;
    };
    return typeof result === "number" ? write(result) : this.#stack.serve(call, result, write);
  }
}
