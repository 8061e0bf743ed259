/**
 * Guest memory in translated code: the software TLB looked up in line. Where it has no answer it is filled; what then
 * still cannot be done in place (device memory, page crossings, pages with code, faults) is left to the interpreter,
 * which starts the instruction again.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { LoadKind, StoreKind } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";
import { LOAD, type MemoryUnit, STORE, tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import type { Linkage } from "../emit/semantics.ts";
import { ACCESS } from "../mmu/paging.ts";
import { TLB } from "../state.ts";

export class RegionMemory implements MemoryUnit {
  readonly #f: FunctionBuilder;
  readonly #linkage: Linkage;
  readonly #tlb: () => Value;
  readonly #interpret: () => void;

  constructor(options: {
    f: FunctionBuilder;
    linkage: Linkage;
    /** Address of the TLB of the present mode. */
    tlb: () => Value;
    /** Leaves the instruction at hand to the interpreter. */
    interpret: () => void;
  }) {
    this.#f = options.f;
    this.#linkage = options.linkage;
    this.#tlb = options.tlb;
    this.#interpret = options.interpret;
  }

  /** Where in the shared memory the access can be done in place. */
  #place(linear: Value, width: number, write: boolean): Value {
    const f = this.#f;
    const bytes = width / 8;
    const entry = tlbEntry(this.#tlb(), linear);
    f.ifRare(tlbHit(f, entry, linear, bytes, write ? TLB.write : TLB.read).eqz(), () => {
      const filled = f.call(this.#linkage.callee("fillTlb"), linear, bytes, write ? ACCESS.write : 0);
      f.if(filled.eqz(), () => this.#interpret());
    });
    return tlbAddress(f, entry, linear);
  }

  load(linear: Value, width: number): Value {
    return this.#f.load(LOAD[width] as LoadKind, this.#place(linear, width, false));
  }

  store(linear: Value, width: number, value: Value): void {
    this.#f.store(STORE[width] as StoreKind, this.#place(linear, width, true), value);
  }

  update(linear: Value, width: number, change: (old: Value) => Value): void {
    const place = this.#place(linear, width, true);
    const old = this.#f.load(LOAD[width] as LoadKind, place);
    this.#f.store(STORE[width] as StoreKind, place, change(old));
  }
}
