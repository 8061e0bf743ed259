/**
 * What runs where translated code asks for another page than the one it has kept (state.ts, KEPT): looks the page up in
 * the TLB and keeps it instead. Where that happens again and again within few instructions, a look into the TLB would
 * have been cheaper: that is noted, and the region is made again.
 */
import type { Callee } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import { tlbEntry } from "../emit/memory.ts";
import { TLB_ANSWER } from "../mmu/accesses.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import type { CountBuilder } from "../observe/count-area.ts";
import { fieldAddress, KEPT, TLB } from "../state.ts";

/** A miss within so many of the region's instructions of the last is soon: about what a wrong guess costs. */
const SOON = 100;
/** So many of them are too many. */
const TOO_MANY = 200;

/**
 * Exports `keepPage`, (linear, bytes, access, address of the kept page, the region's clock) → whether the access can be
 * done in the page that is kept now; with ACCESS.probe, the page must be in the TLB. `fillTlb` has the first
 * three as its parameters; `remakeRegion` takes a region's table entry.
 */
export function keepPageFunction(
  module: ModuleBuilder,
  vcpu: number,
  fillTlb: Callee,
  remakeRegion: Callee,
  counts: CountBuilder,
): void {
  module.function(
    signature(["i64", "i32", "i32", "i32", "i32"], ["i32"]),
    (f) => {
      const [linear, bytes, access, kept, clock] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4)];
      counts.single(f, "keepPage");
      const page = linear.and(-4096n);
      const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), linear);
      const tag = f.load("i64", entry.add(access.and(ACCESS.write).mul(TLB.write)), TLB.read);
      const inPage = linear.add(bytes.extendU()).sub(1).and(-4096n).eq(page);
      f.if(inPage.and(page.eq(tag)).eqz(), () => {
        counts.refusal(f, "group not ready");
        f.if(access.and(ACCESS.probe), () => f.return(f.i32(0)));
        const answer = f.call(fillTlb, linear, bytes, access);
        f.if(answer.eqz(), () => f.return(f.i32(0)));
        f.if(answer.eq(TLB_ANSWER.once), () => {
          // Only the addend is good.
          f.store("i64", kept, 0, KEPT.tag);
          f.store("i32", kept, f.load("i32", entry, TLB.addend), KEPT.addend);
          f.return(f.i32(1));
        });
      });
      f.store("i64", kept, page.or(f.load("i64", 0, fieldAddress(vcpu, "pageKey"))), KEPT.tag);
      f.store("i32", kept, f.load("i32", entry, TLB.addend), KEPT.addend);
      const since = f.load("i32", kept, KEPT.clock).sub(clock);
      f.store("i32", kept, clock, KEPT.clock);
      f.if(since.ltU(SOON), () => {
        const misses = f.load("i32", kept, KEPT.misses).add(1);
        f.store("i32", kept, misses, KEPT.misses);
        f.if(misses.eq(TOO_MANY), () => {
          f.store("i32.8", f.load("i32", kept, KEPT.scattered), 1);
          f.call(remakeRegion, f.load("i32", kept, KEPT.handler));
        });
      });
      f.return(f.i32(1));
    },
    { export: "keepPage" },
  );
}
