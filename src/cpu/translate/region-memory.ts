/**
 * Guest memory in translated code. Accesses at fixed distances from each other are done with one look for their page
 * (access-groups.ts). Accesses whose addresses come from the same register tend to stay within a page: the
 * page last found is kept for them, at an address that the code knows, so that finding it does not wait for the access's
 * own address. Otherwise the software TLB is looked up in line, and filled where it has no answer. What then
 * still cannot be done in place (device memory, page crossings, pages with code, faults) is left to the interpreter,
 * which starts the instruction again. An instruction that reads after it has written could then find what it wrote
 * itself: it is not translated.
 */
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { LoadKind } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";
import { LOAD, type MemoryUnit, type OnStack, storeKind, tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import type { Linkage } from "../emit/semantics.ts";
import { ACCESS } from "../mmu/paging.ts";
import { KEPT, TLB } from "../state.ts";
import type { AccessGroups, GroupAccess, SharedPlace } from "./access-groups.ts";
import { NotTranslatable } from "./not-translatable.ts";

export interface MemoryOptions {
  readonly f: FunctionBuilder;
  readonly linkage: Linkage;
  /** Address of the TLB of the present mode, the key of pages that are kept for it, and the instructions left. */
  readonly pages: () => { readonly tlb: Value; readonly key: Value; readonly budget: Value };
  /** For the access at hand: the address of the page that is kept for it (state.ts, KEPT), if one is. */
  readonly keptPage: () => (write: boolean) => number | undefined;
  /** For the state at hand: leaves the instruction to the interpreter. */
  readonly interpret: () => () => void;
  /** Groups that the access at hand may join; undefined where it stands alone. */
  readonly groups: () => AccessGroups | undefined;
}

export class RegionMemory implements MemoryUnit {
  readonly #f: FunctionBuilder;
  readonly #options: MemoryOptions;
  #hasWritten = false;

  constructor(options: MemoryOptions) {
    this.#f = options.f;
    this.#options = options;
  }

  /** Where in the shared memory the access can be done in place. */
  #place(linear: Value, width: number, write: boolean): SharedPlace {
    const { keptPage, interpret, groups } = this.#options;
    const [kept, leave] = [keptPage(), interpret()];
    const look = (access: GroupAccess) => {
      const page = kept(access.writes);
      return page === undefined ? this.#lookUp(access, leave) : this.#keep(access, page, leave);
    };
    const bytes = width / 8;
    const joined = groups()?.access(linear, bytes, write, look);
    if (joined) return joined;
    const access = { linear, first: 0, end: bytes, isSame: true, writes: write, writesFirst: write };
    return { address: look(access), offset: 0 };
  }

  /** Looks into a page that is kept. */
  #keep(access: GroupAccess, kept: number, leave: () => void): Value {
    const f = this.#f;
    const { key, budget } = this.#options.pages();
    const { low, bytes } = extent(access);
    const tag = f.load("i64", 0, kept + KEPT.tag);
    // An access that is not aligned, and may reach into the next page, differs in the low bits.
    const differs = low
      .and(BigInt(access.isSame ? -4096 | (bytes - 1) : -4096))
      .or(key)
      .ne(tag);
    const last = 4096 - bytes;
    f.ifRare(access.isSame ? differs : differs.or(low.wrap().and(4095).gtU(last)), () => {
      const kind = access.writes ? ACCESS.write : 0;
      const found = f.call(
        this.#options.linkage.callee("keepPage"),
        low,
        bytes,
        isEarly(access) ? kind | ACCESS.probe : kind,
        kept,
        budget,
      );
      f.if(found.eqz(), leave);
    });
    return low.wrap().add(f.load("i32", 0, kept + KEPT.addend));
  }

  /** Looks into the TLB, which is filled where need be. */
  #lookUp(access: GroupAccess, leave: () => void): Value {
    const f = this.#f;
    const { low, bytes } = extent(access);
    const entry = tlbEntry(this.#options.pages().tlb, low);
    f.ifRare(tlbHit(f, entry, low, bytes, access.writes ? TLB.write : TLB.read).eqz(), () => {
      if (isEarly(access)) {
        leave();
        return;
      }
      const callee = this.#options.linkage.callee("fillTlb");
      const filled = f.call(callee, low, bytes, access.writes ? ACCESS.write : 0);
      f.if(filled.eqz(), leave);
    });
    return tlbAddress(f, entry, low);
  }

  load(linear: Value, width: number, _onStack?: OnStack, kind = LOAD[width] as LoadKind): Value {
    if (this.#hasWritten) throw new NotTranslatable();
    const { address, offset } = this.#place(linear, width, false);
    return this.#f.load(kind, address, offset);
  }

  store(linear: Value, width: number, value: Value): void {
    this.#hasWritten = true;
    const { address, offset } = this.#place(linear, width, true);
    this.#f.store(storeKind(value, width), address, value, offset);
  }

  update(linear: Value, width: number, change: (old: Value) => Value): void {
    const { address, offset } = this.#place(linear, width, true);
    const old = this.#f.load(LOAD[width] as LoadKind, address, offset);
    const changed = change(old);
    this.#f.store(storeKind(changed, width), address, changed, offset);
  }
}

/** Where the bytes of a group begin, and how many they are. */
function extent({ linear, first, end }: GroupAccess): { low: Value; bytes: number } {
  return { low: linear.add(first), bytes: end - first };
}

/** Whether a page would be asked for to be written at a moment when it is only read: it is not dirty yet. */
function isEarly({ writes, writesFirst }: GroupAccess): boolean {
  return writes && !writesFirst;
}
