/** Has V8 compile functions on the translator's thread, before the machine's thread runs them. */
import { setImmediate as turn } from "node:timers/promises";
import { FIRST_READY } from "../../cpu/interpret/code-table.ts";
import type { RegionSettings } from "../../cpu/processor-options.ts";
import {
  compileAhead,
  type EmptyMachine,
  emptyMachine,
  functionsAt,
  type TableModule,
} from "../../cpu/translate/compile-ahead.ts";
import { GROUP } from "../../cpu/translate/kept-regions.ts";
import type { ReadyModule } from "../../cpu/translate/ready-regions.ts";
import type { CompiledRegions } from "../../cpu/translate/region-compiler.ts";
import { compileBest } from "./best-code.ts";

/** How many functions get V8's first code at once. */
const AT_ONCE = 16;
/** A group that came for one of its regions is compiled when so many of it are in use: of most no more ever are. */
const MANY_USED = 8;

/** A group of kept regions that came when one of them was needed, and how many are in use. */
interface Group {
  readonly functions: TableModule;
  used: number;
}

export class AheadCompiler {
  readonly #settings: RegionSettings;
  /** Modules of which all functions are to be compiled. */
  readonly #modules: TableModule[] = [];
  readonly #groups = new Map<number, Group>();
  #isBusy = false;
  #machine: EmptyMachine | undefined;

  constructor(settings: RegionSettings) {
    this.#settings = settings;
  }

  /** All functions of a module. */
  module(functions: TableModule): void {
    this.#modules.push(functions);
  }

  /** Kept regions that the machine is given: `isNeeded`, all of them are likely to be used. */
  given({ module, first, count }: ReadyModule, isNeeded: boolean): void {
    const functions = { module, at: FIRST_READY + first, count };
    if (isNeeded) this.#modules.push(functions);
    else this.#groups.set(first / GROUP, { functions, used: 0 });
  }

  /** Kept regions that are in use now, by their numbers. */
  use(regions: readonly number[]): void {
    for (const region of regions) {
      const number = Math.floor(region / GROUP);
      const group = this.#groups.get(number);
      if (!group || ++group.used < MANY_USED) continue;
      this.#groups.delete(number);
      this.#modules.push(group.functions);
    }
  }

  /**
   * V8's best code of regions that were made, before they are used: what they replace goes on running meanwhile. V8's first
   * code would be made on the machine's thread, and be run until there is better.
   */
  best({ regions, module }: CompiledRegions): void {
    const machine = compileBest && regions.some(({ instructions }) => instructions > 0) && this.#emptyMachine();
    if (!machine) return;
    const entries = regions.map(({ job }) => job.handler);
    for (const each of functionsAt(module, entries, machine)) compileBest?.(each);
  }

  #emptyMachine(): EmptyMachine | undefined {
    this.#machine ??= emptyMachine(this.#settings);
    return this.#machine;
  }

  /** Makes V8's first code of all that was given, with pauses. */
  async run(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#modules.shift(); next; next = this.#modules.shift()) {
      const machine = this.#emptyMachine();
      if (!machine) break;
      let compiled = 0;
      for (const _ of compileAhead(next, machine)) if (++compiled % AT_ONCE === 0) await turn();
    }
    this.#isBusy = false;
  }
}
