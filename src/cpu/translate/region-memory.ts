/**
 * Guest memory in translated code. Accesses whose addresses come from the same register tend to stay within a page: the
 * page last found is kept for them, at an address that the code knows, so that finding it does not wait for the access's
 * own address. Otherwise the software TLB is looked up in line, and filled where it has no answer. What then
 * still cannot be done in place (device memory, page crossings, pages with code, faults) is left to the interpreter,
 * which starts the instruction again. An instruction that reads after it has written could then find what it wrote
 * itself: it is not translated.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { LoadKind, StoreKind } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";
import { LOAD, type MemoryUnit, STORE, tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import type { Linkage } from "../emit/semantics.ts";
import { ACCESS } from "../mmu/paging.ts";
import { KEPT, TLB } from "../state.ts";
import { NotTranslatable } from "./not-translatable.ts";

export interface MemoryOptions {
  readonly f: FunctionBuilder;
  readonly linkage: Linkage;
  /** Address of the TLB of the present mode, the key of pages that are kept for it, and the instructions left. */
  readonly pages: () => { readonly tlb: Value; readonly key: Value; readonly budget: Value };
  /** Address of the page that is kept for the access at hand (state.ts, KEPT), if one is. */
  readonly keptPage: (write: boolean) => number | undefined;
  /** Leaves the instruction at hand to the interpreter. */
  readonly interpret: () => void;
}

export class RegionMemory implements MemoryUnit {
  readonly #f: FunctionBuilder;
  readonly #linkage: Linkage;
  readonly #pages: MemoryOptions["pages"];
  readonly #keptPage: MemoryOptions["keptPage"];
  readonly #interpret: () => void;
  #hasWritten = false;

  constructor(options: MemoryOptions) {
    this.#f = options.f;
    this.#linkage = options.linkage;
    this.#pages = options.pages;
    this.#keptPage = options.keptPage;
    this.#interpret = options.interpret;
  }

  /** Where in the shared memory the access can be done in place. */
  #place(linear: Value, width: number, write: boolean): Value {
    const f = this.#f;
    const bytes = width / 8;
    const kept = this.#keptPage(write);
    if (kept === undefined) return tlbAddress(f, this.#look(linear, bytes, write), linear);
    const tag = linear.and(-4096n).or(this.#pages().key);
    const isOther = tag.ne(f.load("i64", 0, kept + KEPT.tag));
    const isCrossing = linear
      .wrap()
      .and(4095)
      .gtU(4096 - bytes);
    f.ifRare(bytes === 1 ? isOther : isOther.or(isCrossing), () => {
      const access = write ? ACCESS.write : 0;
      const found = f.call(this.#linkage.callee("keepPage"), linear, bytes, access, kept, this.#pages().budget);
      f.if(found.eqz(), () => this.#interpret());
    });
    return linear.wrap().add(f.load("i32", 0, kept + KEPT.addend));
  }

  /** The TLB's entry for the access, filled where need be. */
  #look(linear: Value, bytes: number, write: boolean): Value {
    const f = this.#f;
    const entry = tlbEntry(this.#pages().tlb, linear);
    f.ifRare(tlbHit(f, entry, linear, bytes, write ? TLB.write : TLB.read).eqz(), () => {
      const filled = f.call(this.#linkage.callee("fillTlb"), linear, bytes, write ? ACCESS.write : 0);
      f.if(filled.eqz(), () => this.#interpret());
    });
    return entry;
  }

  load(linear: Value, width: number): Value {
    if (this.#hasWritten) throw new NotTranslatable();
    return this.#f.load(LOAD[width] as LoadKind, this.#place(linear, width, false));
  }

  store(linear: Value, width: number, value: Value): void {
    this.#hasWritten = true;
    this.#f.store(STORE[width] as StoreKind, this.#place(linear, width, true), value);
  }

  update(linear: Value, width: number, change: (old: Value) => Value): void {
    const place = this.#place(linear, width, true);
    const old = this.#f.load(LOAD[width] as LoadKind, place);
    this.#f.store(STORE[width] as StoreKind, place, change(old));
  }
}
