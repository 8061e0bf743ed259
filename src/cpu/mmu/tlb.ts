/**
 * The software TLB as WebAssembly functions: what fills it and what makes it, and the jump cache with it, forget.
 *
 * Global pages outlive a change of CR3, and so do blocks on them in the jump cache. Process-context identifiers are
 * not told apart: translations of all go where those of one might be wrong. @spec SDM 3A 4.10
 */
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { hostAddressOf, noPageOf, tlbEntry } from "../emit/memory.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import {
  CODE_PAGES,
  CODE_PAGES_BITS,
  CONTEXT,
  CONTEXT_BITS,
  fieldAddress,
  JUMP_CACHE,
  JUMP_ENTRIES,
  JUMP_ENTRY,
  JUMP_VICTIM_ENTRIES,
  JUMP_VICTIMS,
  KEPT,
  KEPT_PAGE,
  KEPT_PAGES_EACH,
  KEPT_READS,
  MMU_MODE,
  PAGE,
  PAGE_FLAGS,
  PAGE_KEY,
  TLB,
  TLB_FILLED,
  TLB_GLOBAL,
  TLB_LARGE,
  TLB_SIZE,
  TLBS,
} from "../state.ts";

/** What a translation allows and what kind of page it is for. */
export const FILL = { read: 1, write: 2, execute: 4, global: 8, large: 16 } as const;

const FILLED_MODES = [MMU_MODE.supervisor, MMU_MODE.user, MMU_MODE.supervisorAc] as const;
const CODE_PAGES_BYTES = CODE_PAGES_BITS / 8;

export interface TlbFunctions {
  /** (linear, physical, FILL, 1 for the supervisor's TLB whatever the mode): enters a translation. */
  readonly fill: Callee;
  /** (linear): what INVLPG makes the processor forget. */
  readonly flushPage: Callee;
}

export function tlbFunctions(
  module: ModuleBuilder,
  vcpu: number,
  forgetLinks: Callee,
  counts: CountBuilder,
): TlbFunctions {
  const at = (name: string) => fieldAddress(vcpu, name);

  /** A bit of `largePages` for the GiB that an address lies in. */
  const gibibyte = (f: FunctionBuilder, linear: Value) =>
    f.i64(1).shl(linear.shrU(30).and(31).or(linear.shrU(63).shl(5)));

  const fill = module.function(signature(["i64", "i64", "i32", "i32"]), (f) => {
    const [linear, physical, implicit] = [f.param(0), f.param(1), f.param(3)];
    const asked = f.variable("i32", f.param(2));
    const kind = asked.get();
    f.if(physical.shrU(32).ne(0), () => f.return());
    const page = physical.wrap().shrU(12);
    const flags = f.load("i32.8u", page, PAGE_FLAGS);
    const video = f.variable("i32", 0);
    f.if(flags.and(PAGE.io), () => {
      f.if(flags.and(PAGE.video).eqz(), () => f.return());
      video.set(f.load("i32", 0, at("videoOffset")));
      // Nothing runs in video memory, so that where code lies tells its physical address.
      asked.set(kind.and(~FILL.execute));
    });
    const present = f.load("i32", 0, at("mmuMode"));
    f.if(present.eq(MMU_MODE.checked), () => f.return());
    const mode = f.i32(MMU_MODE.supervisor).when(implicit, present);
    counts.fill(f, mode);
    const entry = tlbEntry(mode.mul(TLB_SIZE).add(vcpu + TLBS), linear);
    f.if(f.load("i32", entry, TLB.frame).eq(-1), () => {
      const filled = f.load("i32", 0, at("tlbFilled"));
      f.store("i32", filled.shl(2), entry, vcpu + TLB_FILLED);
      f.store("i32", 0, filled.add(1), at("tlbFilled"));
    });
    const tag = linear.and(-4096n);
    const isWritable = flags
      .and(PAGE.code | PAGE.readOnly)
      .eqz()
      .shl(1);
    const none = noPageOf(entry);
    f.store("i64", entry, tag.when(kind.and(FILL.read), none), TLB.read);
    f.store("i64", entry, tag.when(kind.and(FILL.write).and(isWritable), none), TLB.write);
    f.store("i64", entry, tag.when(kind.and(FILL.execute), none), TLB.execute);
    const host = hostAddressOf(physical.wrap().and(-4096)).add(video.get());
    f.store("i32", entry, host.sub(linear.wrap().and(-4096)), TLB.addend);
    const global = f.i32(TLB_GLOBAL).when(kind.and(FILL.global), 0);
    f.store("i32", entry, page.or(global).or(f.i32(TLB_LARGE).when(kind.and(FILL.large), 0)), TLB.frame);
    f.if(kind.and(FILL.large), () => {
      const field = f.i32(at("largeGlobalPages")).when(global, at("largePages"));
      f.store("i64", field, f.load("i64", field).or(gibibyte(f, linear)));
    });
  });

  /** Has the jump cache and links forget the code of supervisors, or of users: by a number that entries must have. */
  const renew = (f: FunctionBuilder, user: boolean) => {
    const field = at(user ? "userGeneration" : "supervisorGeneration");
    const generation = f
      .load("i32", 0, field)
      .add(1)
      .and(0xffff_ffff >>> CONTEXT_BITS);
    f.store("i32", 0, generation, field);
    f.if(generation.eqz(), () => {
      f.memoryFill(vcpu + JUMP_CACHE, 0xff, JUMP_ENTRIES * JUMP_ENTRY);
      f.memoryFill(vcpu + JUMP_VICTIMS, 0xff, JUMP_VICTIM_ENTRIES * JUMP_ENTRY);
      f.call(forgetLinks);
    });
    f.memoryFill(vcpu + CODE_PAGES + (user ? CODE_PAGES_BYTES : 0), 0, CODE_PAGES_BYTES);
    const context = f.load("i32", 0, at("context"));
    f.if(
      context
        .and(CONTEXT.user)
        .ne(0)
        .eq(user ? 1 : 0),
      () => {
        const bits = context.and((1 << CONTEXT_BITS) - 1);
        f.store("i32", 0, generation.shl(CONTEXT_BITS).or(bits), at("context"));
      },
    );
  };
  const renewUser = module.function(signature([]), (f) => renew(f, true));
  const renewSupervisor = module.function(signature([]), (f) => {
    f.store("i32", 0, 0, at("localCode"));
    renew(f, false);
  });

  /** Changes the number that kept pages must have (state.ts, KEPT). */
  const forgetKeptPages = module.function(
    signature([]),
    (f) => {
      const key = f.load("i32", 0, at("pageKey"));
      const next = f.variable("i32", key.add(1 << PAGE_KEY.number).and((1 << PAGE_KEY.end) - 1));
      f.if(next.get().shrU(PAGE_KEY.number).eqz(), () => {
        const kept = f.variable("i32", 0);
        f.loop((again: Label) => {
          f.store("i64", kept.get(), 0, vcpu + KEPT_READS + KEPT.tag);
          kept.set(kept.get().add(KEPT_PAGE));
          f.branchIf(again, kept.get().ltU(2 * KEPT_PAGES_EACH * KEPT_PAGE));
        });
        next.set(next.get().or(1 << PAGE_KEY.number));
      });
      f.store("i32", 0, next.get(), at("pageKey"));
    },
    { export: "forgetKeptPages" },
  );

  const forgetEntry = (f: FunctionBuilder, entry: Value) => {
    for (const tag of [TLB.read, TLB.write, TLB.execute]) f.store("i64", entry, noPageOf(entry), tag);
  };

  const eachFilled = (f: FunctionBuilder, visit: (entry: Value) => void) => {
    const count = f.load("i32", 0, at("tlbFilled"));
    const i = f.variable("i32", 0);
    f.block((done: Label) => {
      f.loop((next: Label) => {
        f.branchIf(done, i.get().geU(count));
        visit(f.load("i32", i.get().shl(2), vcpu + TLB_FILLED));
        i.set(i.get().add(1));
        f.branch(next);
      });
    });
  };

  /** (not zero to keep global pages) */
  module.function(
    signature(["i32"]),
    (f) => {
      if (counts.isOn) {
        f.if(
          f.param(0),
          () => counts.single(f, "flushLocal"),
          () => counts.single(f, "flushAll"),
        );
      }
      const keep = f.i32(TLB_GLOBAL).when(f.param(0), 0);
      const kept = f.variable("i32", 0);
      eachFilled(f, (entry) => {
        f.if(
          f.load("i32", entry, TLB.frame).and(keep),
          () => {
            f.store("i32", kept.get().shl(2), entry, vcpu + TLB_FILLED);
            kept.set(kept.get().add(1));
          },
          () => {
            forgetEntry(f, entry);
            f.store("i32", entry, -1, TLB.frame);
          },
        );
      });
      f.store("i32", 0, kept.get(), at("tlbFilled"));
      f.store("i64", 0, 0, at("largePages"));
      f.call(forgetKeptPages);
      f.call(renewUser);
      f.if(keep.eqz(), () => f.store("i64", 0, 0, at("largeGlobalPages")));
      f.if(keep.eqz().or(f.load("i32", 0, at("localCode"))), () => {
        f.call(renewSupervisor);
      });
    },
    { export: "flushTlb" },
  );

  const flushPage = module.function(
    signature(["i64"]),
    (f) => {
      const linear = f.param(0);
      counts.single(f, "flushPage");
      f.call(forgetKeptPages);
      const large = f.load("i64", 0, at("largePages")).or(f.load("i64", 0, at("largeGlobalPages")));
      f.if(large.and(gibibyte(f, linear)).ne(0), () => {
        // The page may be a large one, which is cached as small ones.
        eachFilled(f, (entry) => f.if(f.load("i32", entry, TLB.frame).and(TLB_LARGE), () => forgetEntry(f, entry)));
        f.call(renewUser);
        f.call(renewSupervisor);
      });
      const page = linear.and(-4096n);
      for (const mode of FILLED_MODES) {
        const entry = tlbEntry(f.i32(vcpu + TLBS + mode * TLB_SIZE), linear);
        const isHere = (tag: number) => f.load("i64", entry, tag).eq(page);
        f.if(isHere(TLB.read).or(isHere(TLB.write)).or(isHere(TLB.execute)), () => forgetEntry(f, entry));
      }
      const { byte, bit } = codePage(linear);
      f.if(f.load("i32.8u", byte, vcpu + CODE_PAGES).and(bit), () => {
        f.call(renewSupervisor);
      });
      f.if(f.load("i32.8u", byte, vcpu + CODE_PAGES + CODE_PAGES_BYTES).and(bit), () => {
        f.call(renewUser);
      });
    },
    { export: "flushPage" },
  );

  return { fill, flushPage };
}

/** Where the bit of a linear page is among CODE_PAGES' bits of one mode. */
function codePage(linear: Value): { byte: Value; bit: Value } {
  const page = linear.shrU(12).wrap();
  // Pages of programs, which INVLPG is about most of the time, share no bit with those of a kernel.
  const half = linear
    .shrU(63)
    .wrap()
    .mul(CODE_PAGES_BITS / 2);
  const index = page
    .xor(page.shrU(12))
    .and(CODE_PAGES_BITS / 2 - 1)
    .add(half);
  return { byte: index.shrU(3), bit: index.literal(1).shl(index.and(7)) };
}

/** Notes that the jump cache has code of the page that `linear` lies in. */
export function noteCodePage(f: FunctionBuilder, vcpu: number, linear: Value): void {
  const user = f.load("i32", 0, fieldAddress(vcpu, "context")).and(CONTEXT.user);
  const { byte, bit } = codePage(linear);
  const at = byte.add(f.i32(CODE_PAGES_BYTES).when(user, 0));
  f.store("i32.8", at, f.load("i32.8u", at, vcpu + CODE_PAGES).or(bit), vcpu + CODE_PAGES);
  const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), linear);
  const isKnown = f.load("i64", entry, TLB.execute).eq(linear.and(-4096n));
  const isGlobal = f.load("i32", entry, TLB.frame).and(TLB_GLOBAL);
  f.if(isKnown.and(isGlobal.ne(0)).or(user).eqz(), () => f.store("i32", 0, 1, fieldAddress(vcpu, "localCode")));
}
