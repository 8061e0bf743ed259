/** From a linear address to the code to run there, as WebAssembly: a decoded block, or a region translated from it. */
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { jumpEntry, runBlock } from "../emit/enter-block.ts";
import { physicalAt, tlbAddress, tlbEntry } from "../emit/memory.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import { noteCodePage } from "../mmu/tlb.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import type { EmittedObservation } from "../observe/observer.ts";
import {
  BLOCK_CONTEXT,
  BLOCK_ENTRIES,
  BLOCK_MODE,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_REGION,
  BLOCK_SECOND,
  BLOCK_TABLE,
  CONTEXT,
  fieldAddress,
  JUMP,
  JUMP_CACHE,
  JUMP_ENTRY,
  JUMP_VICTIM_ENTRIES,
  JUMP_VICTIMS,
  REGION,
  REGION_PAGE,
  RETURN,
  TLB,
  TLB_FRAME,
} from "../state.ts";

/** Regions jump so far at the most: all of it must lie on one side of the addresses that are not canonical. */
const REGION_REACH = 2n ** 32n;

/** Linear address of the page after the one that `linear` lies in. */
function nextPage(linear: Value, context: Value): Value {
  const next = linear.and(-4096n).add(4096);
  return next.when(context.and(CONTEXT.long), next.and(0xffff_ffffn));
}

/**
 * (linear) → record of the block there: 0 with `exit` set, or its negative where it must not be cached. `decodeBlock`
 * is a host function (physical i64, linear i64) with the same results.
 */
function blockAt(module: ModuleBuilder, vcpu: number, translate: Callee, decodeBlock: Callee): Callee {
  return module.function(signature(["i64"], ["i32"]), (f) => {
    const linear = f.param(0);
    const physical = f.variable("i64");
    const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), linear);
    f.if(
      f.load("i64", entry, TLB.execute).eq(linear.and(-4096n)),
      () => physical.set(physicalAt(tlbAddress(f, entry, linear)).extendU()),
      () => {
        f.store("i32", 0, 0, fieldAddress(vcpu, "pc"));
        physical.set(f.call(translate, linear, ACCESS.execute));
        f.if(physical.get().ltS(0), () => f.return(f.i32(0)));
      },
    );
    const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
    const address = physical.get().wrap();
    const mode = context.and(BLOCK_CONTEXT);
    const slot = address
      .xor(address.shrU(16))
      .and(BLOCK_ENTRIES - 1)
      .shl(2);
    const record = f.variable("i32", f.load("i32", slot, BLOCK_TABLE));
    f.block((none: Label) => {
      f.loop((next: Label) => {
        const at = record.get();
        f.branchIf(none, at.eqz());
        const same = f.load("i32", at.add(BLOCK_PHYSICAL)).eq(address);
        f.if(same.and(f.load("i32", at.add(BLOCK_MODE)).eq(mode)), () => {
          const expected = f.load("i32", at.add(BLOCK_SECOND));
          const alone = f.i32(0).sub(at);
          f.if(expected.eq(-1), () => f.return(alone.when(mode.and(CONTEXT.step), at)));
          f.store("i32", 0, 0, fieldAddress(vcpu, "pc"));
          const second = f.call(translate, nextPage(linear, context), ACCESS.execute);
          f.if(second.ltS(0), () => f.return(f.i32(0)));
          f.if(second.eq(expected.extendU()), () => f.return(alone));
        });
        record.set(f.load("i32", at.add(BLOCK_NEXT)));
        f.branch(next);
      });
    });
    f.store("i32", 0, 0, fieldAddress(vcpu, "pc"));
    f.return(f.call(decodeBlock, physical.get(), linear));
  });
}

/** (region, linear) → whether the region's code is what is mapped from `linear` on. */
function regionFits(module: ModuleBuilder, vcpu: number, translate: Callee): Callee {
  return module.function(signature(["i32", "i64"], ["i32"]), (f) => {
    const [region, linear] = [f.param(0), f.param(1)];
    const canonical = (address: Value) => address.shl(16).shrS(16).eq(address);
    f.if(f.load("i32", 0, fieldAddress(vcpu, "context")).and(CONTEXT.long), () => {
      const whole = canonical(linear.add(REGION_REACH)).and(canonical(linear.sub(REGION_REACH)));
      f.if(whole.eqz(), () => f.return(f.i32(0)));
    });
    const i = f.variable("i32");
    const count = f.load("i32", region, REGION.pages);
    f.block((done: Label) => {
      f.loop((next: Label) => {
        f.branchIf(done, i.get().geU(count));
        const item = region.add(i.get().shl(3)).add(REGION.list);
        const distance = f.load("i64.32s", item, REGION_PAGE.distance);
        f.if(distance.ne(0), () => {
          const page = linear.and(-4096n).add(distance.shl(12));
          const expected = f.load("i32", item, REGION_PAGE.page);
          const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), page);
          f.if(
            f.load("i64", entry, TLB.execute).eq(page),
            () => f.if(f.load("i32", entry, TLB.frame).and(TLB_FRAME).ne(expected), () => f.return(f.i32(0))),
            () => {
              const physical = f.call(translate, page, ACCESS.execute | ACCESS.probe);
              f.if(physical.ne(expected.extendU().shl(12)), () => f.return(f.i32(0)));
              // Marks the page as accessed.
              f.call(translate, page, ACCESS.execute);
            },
          );
          noteCodePage(f, vcpu, page);
        });
        i.set(i.get().add(1));
        f.branch(next);
      });
    });
    f.return(f.i32(1));
  });
}

/** Address of the second cache's entry for what has an entry at `entry` of the jump cache (its index in bytes). */
function victimOf(vcpu: number, entry: Value): Value {
  return entry.and((JUMP_VICTIM_ENTRIES - 1) * JUMP_ENTRY).add(vcpu + JUMP_VICTIMS);
}

/** Leaves the function with the block at `linear`, if the second cache has it; the two change places. */
function lookAmongVictims(f: FunctionBuilder, vcpu: number, linear: Value): void {
  const index = jumpEntry(linear);
  const [entry, victim] = [index.add(vcpu + JUMP_CACHE), victimOf(vcpu, index)];
  const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
  const known = f
    .load("i64", victim, JUMP.linear)
    .eq(linear)
    .and(f.load("i32", victim, JUMP.context).eq(context));
  f.if(known, () => {
    const [first, second] = [f.load("v128", entry), f.load("v128", victim)];
    f.store("v128", victim, first);
    f.store("v128", entry, second);
    f.return(f.load("i32", entry, JUMP.record));
  });
}

/**
 * Puts what was found into the jump cache: of the generation that decoding it may have started. What was there goes to
 * the second cache.
 */
function remember(f: FunctionBuilder, vcpu: number, linear: Value, record: Value): void {
  const index = jumpEntry(linear);
  const entry = index.add(vcpu + JUMP_CACHE);
  f.if(f.load("i64", entry, JUMP.linear).ne(linear), () =>
    f.store("v128", victimOf(vcpu, index), f.load("v128", entry)),
  );
  f.store("i64", entry, linear, JUMP.linear);
  f.store("i32", entry, record, JUMP.record);
  f.store("i32", entry, f.load("i32", 0, fieldAddress(vcpu, "context")), JUMP.context);
}

export interface FindBlockImports {
  readonly translate: Callee;
  readonly decodeBlock: Callee;
  readonly counts: CountBuilder;
  readonly observe: EmittedObservation;
}

/**
 * Goes on with what is at `linear`. What the jump cache has is noted first: `note` gets its entry's address, and what it leads
 * to. Leaves the function.
 */
function enterNoted(
  f: FunctionBuilder,
  vcpu: number,
  linear: Value,
  { findBlock, observe }: { findBlock: Callee; observe: EmittedObservation },
  note: (entry: Value, record: Value) => void,
): void {
  const entry = jumpEntry(linear).add(vcpu + JUMP_CACHE);
  const isKnown = () =>
    f
      .load("i64", entry, JUMP.linear)
      .eq(linear)
      .and(f.load("i32", entry, JUMP.context).eq(f.load("i32", 0, fieldAddress(vcpu, "context"))));
  f.if(isKnown().eqz(), () => {
    const found = f.call(findBlock, linear);
    f.if(found.eqz(), () => f.return());
    f.if(isKnown().eqz(), () => runBlock(f, vcpu, found, observe));
  });
  const record = f.load("i32", entry, JUMP.record);
  note(entry, record);
  runBlock(f, vcpu, record, observe);
}

/**
 * Exports `enterUnlinked`, (address of a jump's link, linear): goes on with what is there, and has the link lead to it where
 * that holds wherever its page is mapped: a block, or a region of this page alone. Exports `enterByLink`, (address of a
 * region's link, linear), which has that be as the jump cache's entry, and `enterByReturn`, (address among RETURNS, linear),
 * which does the same with the link there where the call went back to where it was expected to.
 */
function linkFunctions(module: ModuleBuilder, vcpu: number, findBlock: Callee, observe: EmittedObservation): void {
  const functions = { findBlock, observe };
  module.function(
    signature(["i32", "i64"]),
    (f) => {
      const link = f.param(0);
      enterNoted(f, vcpu, f.param(1), functions, (_, record) =>
        f.if(f.load("i32", link).ne(fieldAddress(vcpu, "neverLinked")), () => {
          const isBlock = f.load("i32", record.add(BLOCK_MODE)).ne(-1);
          f.if(isBlock.or(f.load("i32", record, REGION.pages).eq(1)), () => f.store("i32", link, record));
        }),
      );
    },
    { export: "enterUnlinked" },
  );
  module.function(
    signature(["i32", "i64"]),
    (f) => enterNoted(f, vcpu, f.param(1), functions, (entry) => f.store("v128", f.param(0), f.load("v128", entry))),
    { export: "enterByLink" },
  );
  module.function(
    signature(["i32", "i64"]),
    (f) => {
      const [at, linear] = [f.param(0), f.param(1)];
      enterNoted(f, vcpu, linear, functions, (entry) => {
        const isExpected = f.load("i64", at, RETURN.linear).eq(linear);
        f.if(isExpected, () => f.store("v128", f.load("i32", at, RETURN.link), f.load("v128", entry)));
      });
    },
    { export: "enterByReturn" },
  );
}

export interface FindBlockFunctions {
  readonly findBlock: Callee;
  readonly enterAt: Callee;
  readonly interpretAt: Callee;
}

/**
 * Exports `findBlock`, (linear) → record of the region or block to run there, or 0 with `exit` set; `enterAt`, (linear),
 * which runs that; `enterUnlinked`, `enterByLink` and `enterByReturn`, which note that as well; and `interpretAt`, (linear),
 * which runs the block there in the interpreter: what translated code leaves to it.
 */
export function findBlockFunctions(
  module: ModuleBuilder,
  vcpu: number,
  { translate, decodeBlock, counts, observe }: FindBlockImports,
): FindBlockFunctions {
  const block = blockAt(module, vcpu, translate, decodeBlock);
  const fits = regionFits(module, vcpu, translate);
  const findBlock = module.function(
    signature(["i64"], ["i32"]),
    (f) => {
      const linear = f.param(0);
      counts.single(f, "findBlock");
      lookAmongVictims(f, vcpu, linear);
      const record = f.variable("i32", f.call(block, linear));
      f.if(record.get().leS(0), () => f.return(f.i32(0).sub(record.get())));
      // While the TLB still has the page.
      noteCodePage(f, vcpu, linear);
      const region = f.load("i32", record.get().add(BLOCK_REGION));
      f.if(region, () => {
        f.if(f.call(fits, region, linear), () => {
          f.store("i64", region, linear, REGION.linear);
          record.set(region);
        });
      });
      remember(f, vcpu, linear, record.get());
      f.return(record.get());
    },
    { export: "findBlock" },
  );
  const enterAt = module.function(
    signature(["i64"]),
    (f) => {
      const found = f.call(findBlock, f.param(0));
      f.if(found.eqz(), () => f.return());
      runBlock(f, vcpu, found, observe);
    },
    { export: "enterAt" },
  );
  linkFunctions(module, vcpu, findBlock, observe);
  const interpretAt = module.function(
    signature(["i64"]),
    (f) => {
      counts.single(f, "interpretAt");
      const found = f.call(block, f.param(0));
      f.if(found.eqz(), () => f.return());
      runBlock(f, vcpu, found.when(found.gtS(0), f.i32(0).sub(found)), observe);
    },
    { export: "interpretAt" },
  );
  return { findBlock, enterAt, interpretAt };
}
