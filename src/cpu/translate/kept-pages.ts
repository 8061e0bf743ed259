/**
 * What runs where translated code asks for another page than the one it has kept (state.ts, KEPT): looks the page up in
 * the TLB and keeps it instead. Where that happens again and again within few instructions, some of the following accesses are
 * looked at. What they show to be better is noted, and the region is made again.
 *
 * - Page: finding it does not wait for the address. What else may be kept is for addresses that were loaded.
 * - Addend: serves all pages that lie beside each other in the host's memory. It is kept where it seldom was another one.
 * - Addends: one for each of eight pages that are neighbours. Which one is right the host's processor foretells. They are kept
 *   where pages can be foretold by those before them.
 * - Nothing: a look into the TLB, which waits for the address, costs less than what was foretold wrongly.
 */
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { tlbEntry } from "../emit/memory.ts";
import { TLB_ANSWER } from "../mmu/accesses.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import { FORETOLD, FORETOLD_SIZE, fieldAddress, KEPT, KEPT_ADDENDS, KEPT_KINDS, TLB } from "../state.ts";

/** A miss within so many of the region's instructions of the last is soon: about what a wrong guess costs. */
const SOON = 100;
/** So many of them are too many. */
const TOO_MANY = 200;
/** After so many instructions without a miss those before are of something else: another process, most often. */
const LONG_AGO = 10_000;
/** So many accesses tell whether their pages can be foretold, */
const TRIALS = 512;
/** if so many are: a look into the TLB costs a quarter of what a wrong guess does. */
const ENOUGH = TRIALS * 0.75;
/** One addend is enough where it changes less often. */
const FEW_CHANGES = TRIALS / 16;
/** By so many accesses before them, */
const HISTORY = 8;
/** spread over the table by 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e3779b1 | 0;
/** No addend, as those of pages are multiples of 4096: all accesses are misses. */
const NO_ADDEND = 1;

const KIND = {
  page: KEPT_KINDS.indexOf("page"),
  addend: KEPT_KINDS.indexOf("addend"),
  addends: KEPT_KINDS.indexOf("addends"),
  nothing: KEPT_KINDS.length,
};

/** Parameters of the functions: see keepPageFunctions. */
interface Miss {
  readonly linear: Value;
  readonly bytes: Value;
  readonly access: Value;
  readonly kept: Value;
  readonly clock: Value;
}

/**
 * Exports `keepPage`, `keepAddend` and `keepAddends`, (linear, bytes, access, address of what is kept, the region's clock) →
 * whether the access can be done in the page that the TLB has now; with ACCESS.probe, the page must be in the TLB. `fillTlb`
 * has the first three as its parameters; `remakeRegion` takes a region's table entry.
 */
export function keepPageFunctions(
  module: ModuleBuilder,
  vcpu: number,
  fillTlb: Callee,
  remakeRegion: Callee,
  counts: CountBuilder,
): void {
  const keep = (name: string, build: (f: FunctionBuilder, miss: Miss) => void) => {
    module.function(
      signature(["i64", "i32", "i32", "i32", "i32"], ["i32"]),
      (f) => {
        counts.single(f, "keepPage");
        build(f, { linear: f.param(0), bytes: f.param(1), access: f.param(2), kept: f.param(3), clock: f.param(4) });
        f.return(f.i32(1));
      },
      { export: name },
    );
  };

  /** Leaves with 0 where the access cannot be done in one page; `once` where no later one can. The entry of the TLB. */
  const find = (f: FunctionBuilder, { linear, bytes, access }: Miss, once: (entry: Value) => void) => {
    const page = linear.and(-4096n);
    const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), linear);
    const tag = f.load("i64", entry.add(access.and(ACCESS.write).mul(TLB.write)), TLB.read);
    const inPage = linear.add(bytes.extendU()).sub(1).and(-4096n).eq(page);
    f.if(inPage.and(page.eq(tag)).eqz(), () => {
      counts.refusal(f, "group not ready");
      f.if(access.and(ACCESS.probe), () => f.return(f.i32(0)));
      const answer = f.call(fillTlb, linear, bytes, access);
      f.if(answer.eqz(), () => f.return(f.i32(0)));
      f.if(answer.eq(TLB_ANSWER.once), () => once(entry));
    });
    return entry;
  };

  /** The region's instructions since the last miss. */
  const sinceLast = (f: FunctionBuilder, { kept, clock }: Miss) => {
    const since = f.load("i32", kept, KEPT.clock).sub(clock);
    f.store("i32", kept, clock, KEPT.clock);
    return since;
  };

  /** Counts a miss; `tooMany` where that were too many. */
  const count = (f: FunctionBuilder, { kept }: Miss, tooMany: () => void) => {
    const misses = f.load("i32.16u", kept, KEPT.misses).add(1);
    f.store("i32.16", kept, misses, KEPT.misses);
    f.if(misses.eq(TOO_MANY), tooMany);
  };

  /** Has the region made again, with `kind` kept, or with what was noted for it meanwhile. */
  const change = (f: FunctionBuilder, { kept }: Miss, kind: number | Value) => {
    const noted = f.load("i32", kept, KEPT.scattered);
    const next = f.variable("i32", kind);
    f.if(next.get().gtU(f.load("i32.8u", noted)), () => f.store("i32.8", noted, next.get()));
    f.call(remakeRegion, f.load("i32", kept, KEPT.handler));
  };

  /** Which of the neighbouring pages it is. */
  const neighbour = ({ linear }: Miss) =>
    linear
      .wrap()
      .shrU(12)
      .and(KEPT_ADDENDS - 1);

  /**
   * Whether the page is the one that came after the eight before it when they came last, since it is tried out what is to be
   * kept in place of `kind`: another trial begins by knowing nothing, as this one did.
   */
  const isForetold = (f: FunctionBuilder, miss: Miss, kind: number) => {
    const page = neighbour(miss);
    const history = f.load("i32", miss.kept, KEPT.history);
    const place = history
      .mul(GOLDEN)
      .shrU(32 - Math.log2(FORETOLD_SIZE))
      .xor(kind);
    const guess = f.load("i32.8u", place, vcpu + FORETOLD);
    f.store("i32.8", place, page, vcpu + FORETOLD);
    f.store(
      "i32",
      miss.kept,
      history
        .mul(KEPT_ADDENDS)
        .or(page)
        .and(KEPT_ADDENDS ** HISTORY - 1),
      KEPT.history,
    );
    return guess.eq(page);
  };

  /** Begins to look at accesses, each of which has to be a miss from now on. */
  const beginTrial = (f: FunctionBuilder, { kept }: Miss) => {
    f.store("i32", kept, 0, KEPT.history);
    f.store("i32", kept, 0, KEPT.changes);
    f.store("i32.16", kept, 0, KEPT.foretold);
  };

  /** Where accesses are looked at: looks at this one, and leaves with 1. `decide` gets what all have shown. */
  const tryOut = (
    f: FunctionBuilder,
    miss: Miss,
    entry: Value,
    kind: number,
    decide: (foretold: Value, changes: Value) => void,
  ) => {
    const { kept } = miss;
    const misses = f.load("i32.16u", kept, KEPT.misses);
    f.if(misses.sub(TOO_MANY).ltU(TRIALS), () => {
      const addend = f.load("i32", entry, TLB.addend);
      const changes = f.load("i32", kept, KEPT.changes).add(addend.ne(f.load("i32", kept, KEPT.lastAddend)));
      const foretold = f.load("i32.16u", kept, KEPT.foretold).add(isForetold(f, miss, kind));
      f.store("i32", kept, addend, KEPT.lastAddend);
      f.store("i32", kept, changes, KEPT.changes);
      f.store("i32.16", kept, foretold, KEPT.foretold);
      f.store("i32.16", kept, misses.add(1), KEPT.misses);
      f.if(misses.eq(TOO_MANY + TRIALS - 1), () => decide(foretold, changes));
      f.return(f.i32(1));
    });
  };

  const addendsIf = (f: FunctionBuilder, foretold: Value) =>
    f.i32(KIND.addends).when(foretold.geU(ENOUGH), KIND.nothing);

  keep("keepPage", (f, miss) => {
    const { linear, kept } = miss;
    /** With 0 as the tag, this access is done and the next one a miss. */
    const note = (entry: Value, tag: Value | number) => {
      f.store("i64", kept, tag, KEPT.tag);
      f.store("i32", kept, f.load("i32", entry, TLB.addend), KEPT.addend);
    };
    const entry = find(f, miss, (entry) => {
      note(entry, 0);
      f.return(f.i32(1));
    });
    f.if(f.load("i32.16u", kept, KEPT.misses).geU(TOO_MANY), () => {
      note(entry, 0);
      tryOut(f, miss, entry, KIND.page, (foretold, changes) =>
        change(f, miss, f.i32(KIND.addend).when(changes.ltU(FEW_CHANGES), addendsIf(f, foretold))),
      );
    });
    note(entry, linear.and(-4096n).or(f.load("i64", 0, fieldAddress(vcpu, "pageKey"))));
    f.if(sinceLast(f, miss).ltU(SOON), () => {
      count(f, miss, () => {
        f.store("i64", kept, 0, KEPT.tag);
        beginTrial(f, miss);
      });
    });
  });

  keep("keepAddend", (f, miss) => {
    const { kept } = miss;
    const entry = find(f, miss, () => {});
    tryOut(f, miss, entry, KIND.addend, (foretold) => change(f, miss, addendsIf(f, foretold)));
    f.store("i32", kept, f.load("i32", entry, TLB.addend), KEPT.addends);
    f.if(sinceLast(f, miss).ltU(SOON), () => {
      count(f, miss, () => {
        f.store("i32", kept, NO_ADDEND, KEPT.addends);
        beginTrial(f, miss);
      });
    });
  });

  keep("keepAddends", (f, miss) => {
    const { kept } = miss;
    const entry = find(f, miss, () => {});
    f.store("i32", kept.add(neighbour(miss).shl(2)), f.load("i32", entry, TLB.addend), KEPT.addends);
    const since = f.variable("i32", sinceLast(f, miss));
    f.if(
      since.get().ltU(SOON),
      () => count(f, miss, () => change(f, miss, KIND.nothing)),
      () => f.if(since.get().gtU(LONG_AGO), () => f.store("i32.16", kept, 0, KEPT.misses)),
    );
  });
}
