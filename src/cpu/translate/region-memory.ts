/**
 * Guest memory in translated code. Accesses at fixed distances from each other are done with one look for their page
 * (access-groups.ts). Accesses whose addresses come from the same register tend to stay within a page: the
 * page last found is kept for them, at an address that the code knows, so that finding it does not wait for the access's
 * own address; where pages change, but addresses are loaded one from the other, its addend is, or those of several pages, and the
 * TLB only confirms it. Otherwise the software TLB is looked up in line. What cannot be done in place (device memory, page crossings, pages
 * with code, faults) is left to the interpreter, which starts the instruction again; so is what the TLB has no answer
 * for, unless that was found to happen often. An instruction that reads after it has written could then find what it wrote
 * itself: it is not translated.
 */
import type { FunctionBuilder, Variable } from "../../wasm/function.ts";
import { LOADS, type LoadKind } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";
import { LOAD, lockedUpdate, plainUpdate, storeKind } from "../emit/host-access.ts";
import { type MemoryUnit, type OnStack, tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import type { Linkage } from "../emit/semantics.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import { KEPT, KEPT_ADDENDS, type KEPT_KINDS, TLB } from "../state.ts";
import type { Access, AccessGroups, Extent } from "./access-groups.ts";
import { NotTranslatable } from "./not-translatable.ts";

/** What is looked up to find a page, as it is when it is asked for. */
export interface PageLookup {
  /** i32: address of the TLB of the present mode. */
  tlb(): Value;
  /** i64: key of pages that are kept for the present mode. */
  key(): Value;
  /** i32: a count of the region's instructions, downwards. */
  clock(): Value;
}

export interface MemoryOptions {
  readonly f: FunctionBuilder;
  readonly linkage: Linkage;
  readonly pages: PageLookup;
  /** For the access at hand: the address of the page that is kept for it (state.ts, KEPT), if one is. */
  readonly keptPage: () => (write: boolean) => KeptPlace | undefined;
  /** For the state at hand: leaves the instruction to the interpreter, and may count that a page was not found. */
  readonly interpret: () => (misses: boolean) => void;
  /** Groups that the access at hand may join; undefined where it stands alone. */
  readonly groups: () => AccessGroups | undefined;
  /** Whether what is looked for is nearly always found, as far as is known. */
  readonly isSure: boolean;
  /** Whether the interpreter does what the TLB has no answer for. */
  readonly leavesMisses: boolean;
}

/** What is kept for an access (state.ts, KEPT), and where. */
export interface KeptPlace {
  /**
   * The page found last; or only its addend: the TLB tells whether it serves another page, too; or an addend for each of some
   * neighbouring pages.
   */
  readonly what: (typeof KEPT_KINDS)[number];
  readonly at: number;
}

/** A way to find bytes in the shared memory. */
interface Look {
  /** i32: whether they are not where it looks first. */
  readonly isElsewhere: readonly (() => Value)[];
  /** Code that looks further: i32, whether they are there now. */
  refill(): Value;
  /** Where they are in the shared memory. */
  host(): Value;
  /** Whether it fails so rarely that the interpreter may look further: there is less code for V8 to compile then. */
  readonly isLight: boolean;
}

export class RegionMemory implements MemoryUnit {
  readonly #f: FunctionBuilder;
  readonly #options: MemoryOptions;
  #hasWritten = false;

  constructor(options: MemoryOptions) {
    this.#f = options.f;
    this.#options = options;
  }

  /** An access, of which the code is made when all of its group are known, or here where it has none. */
  #access(linear: Value, width: number, write: boolean, perform: Access["perform"]): void {
    const f = this.#f;
    const { keptPage, interpret, groups, linkage, isSure, leavesMisses } = this.#options;
    const [kept, leave] = [keptPage(), interpret()];
    const bytes = width / 8;
    const access: Access = {
      linear,
      bytes,
      write,
      isSure,
      look: (extent, isShared) => {
        const { isElsewhere, refill, host, isLight } = this.#look(extent, kept(extent.writes));
        const miss = () => leave(isShared || isLight);
        if (leavesMisses && isLight) this.#where(isElsewhere, miss);
        else this.#where(isElsewhere, () => f.if(refill().eqz(), miss));
        return host();
      },
      tryLook: (extent) => {
        const { isElsewhere, refill, host } = this.#look(extent, kept(extent.writes));
        const where = f.variable("i32");
        f.block((found) => {
          this.#where(isElsewhere, () => {
            f.if(refill().eqz(), () => {
              where.set(f.i32(0));
              f.branch(found);
            });
          });
          where.set(host());
        });
        return where.get();
      },
      lookRarely: () => {
        const found = f.call(linkage.callee("reachPage"), linear, bytes, write ? ACCESS.write : 0);
        f.if(found.eqz(), () => leave(false));
        return found;
      },
      perform,
    };
    const group = groups();
    if (group) group.add(access);
    else perform(access.look({ linear, bytes, isSame: true, writes: write, onlyReady: false }, false), 0);
  }

  /** Runs `then` where one of `conditions` holds, which is rare. */
  #where(conditions: Look["isElsewhere"], then: () => void): void {
    const f = this.#f;
    const [first, ...others] = conditions;
    if (first && others.length === 0) {
      f.ifRare(first(), then);
      return;
    }
    f.block((never) => {
      f.block((holds) => {
        for (const condition of conditions) f.ifRare(condition(), () => f.branch(holds));
        f.branch(never);
      });
      then();
    });
  }

  #look(extent: Extent, kept: KeptPlace | undefined): Look {
    if (kept === undefined) return this.#lookIntoTlb(extent);
    if (kept.what === "page") return this.#lookIntoKept(extent, kept.at);
    return kept.what === "addend" ? this.#lookWithAddend(extent, kept.at) : this.#lookWithAddends(extent, kept.at);
  }

  #lookIntoKept({ linear, bytes, isSame, writes, onlyReady }: Extent, kept: number): Look {
    const f = this.#f;
    const { pages } = this.#options;
    // An access that is not aligned, and may reach into the next page, differs in the low bits.
    const differs = linear
      .and(BigInt(isSame ? -4096 | (bytes - 1) : -4096))
      .or(pages.key())
      .ne(f.load("i64", 0, kept + KEPT.tag));
    const last = 4096 - bytes;
    const access = (writes ? ACCESS.write : 0) | (onlyReady ? ACCESS.probe : 0);
    return {
      isElsewhere: isSame ? [() => differs] : [() => differs, () => linear.wrap().and(4095).gtU(last)],
      refill: () => f.call(this.#options.linkage.callee("keepPage"), linear, bytes, access, kept, pages.clock()),
      host: () => linear.wrap().add(f.load("i32", 0, kept + KEPT.addend)),
      isLight: false,
    };
  }

  /** The addend comes from an address that the code knows; the TLB says whether it is the right one. */
  #lookWithAddend(extent: Extent, kept: number): Look {
    const addend = this.#f.variable("i32", this.#f.load("i32", 0, kept + KEPT.addends));
    return this.#lookToConfirm(extent, addend, () => addend.get(), "keepAddend", kept);
  }

  /**
   * The same with an addend for each of some pages. Branches find the right one: the host foretells them, so that nothing waits
   * for the address, as it would with a place that follows from the address.
   */
  #lookWithAddends(extent: Extent, kept: number): Look {
    const f = this.#f;
    const addend = f.variable("i32");
    const choose = (from: number, count: number): void => {
      if (count === 1) {
        addend.set(f.load("i32", 0, kept + KEPT.addends + from * 4));
        return;
      }
      const half = count / 2;
      f.if(
        extent.linear.wrap().and(half * 4096),
        () => choose(from + half, half),
        () => choose(from, half),
      );
    };
    const chosen = () => {
      choose(0, KEPT_ADDENDS);
      return addend.get();
    };
    return this.#lookToConfirm(extent, addend, chosen, "keepAddends", kept);
  }

  /** A look with `choose()` as the addend, which the TLB has to have, too; in the end it is in `addend`. */
  #lookToConfirm(
    { linear, bytes, writes, onlyReady }: Extent,
    addend: Variable,
    choose: () => Value,
    keep: "keepAddend" | "keepAddends",
    kept: number,
  ): Look {
    const f = this.#f;
    const { pages, linkage } = this.#options;
    const entry = tlbEntry(pages.tlb(), linear);
    const access = (writes ? ACCESS.write : 0) | (onlyReady ? ACCESS.probe : 0);
    return {
      isElsewhere: [
        () => tlbHit(f, entry, linear, bytes, writes ? TLB.write : TLB.read).eqz(),
        () => choose().ne(f.load("i32", entry, TLB.addend)),
      ],
      refill: () => {
        const found = f.call(linkage.callee(keep), linear, bytes, access, kept, pages.clock());
        addend.set(f.load("i32", entry, TLB.addend));
        return found;
      },
      host: () => linear.wrap().add(addend.get()),
      isLight: false,
    };
  }

  #lookIntoTlb({ linear, bytes, writes, onlyReady }: Extent): Look {
    const f = this.#f;
    const entry = tlbEntry(this.#options.pages.tlb(), linear);
    const access = writes ? ACCESS.write : 0;
    return {
      isElsewhere: [() => tlbHit(f, entry, linear, bytes, writes ? TLB.write : TLB.read).eqz()],
      refill: () => (onlyReady ? f.i32(0) : f.call(this.#options.linkage.callee("fillTlb"), linear, bytes, access)),
      host: () => tlbAddress(f, entry, linear),
      isLight: true,
    };
  }

  load(linear: Value, width: number, _onStack?: OnStack, kind = LOAD[width] as LoadKind): Value {
    if (this.#hasWritten) throw new NotTranslatable();
    const f = this.#f;
    const result = f.variable(LOADS[kind].type);
    this.#access(linear, width, false, (host, offset) => result.set(f.load(kind, host, offset)));
    return result.get();
  }

  store(linear: Value, width: number, value: Value): void {
    this.#hasWritten = true;
    this.#access(linear, width, true, (host, offset) => this.#f.store(storeKind(value, width), host, value, offset));
  }

  update(linear: Value, width: number, change: (old: Value) => Value, isLocked: boolean): void {
    const f = this.#f;
    const place = f.variable("i32");
    this.#access(linear, width, true, (host, offset) => place.set(host.add(offset)));
    if (isLocked) lockedUpdate(f, place.get(), width, change);
    else plainUpdate(f, place.get(), width, change);
  }
}
