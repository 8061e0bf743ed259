/** What runs where a region is left for what is rare: the region itself has no more than a jump to it. */

import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { linearOf } from "../emit/enter-block.ts";
import type { FindBlockFunctions } from "../interpret/find-block.ts";
import { fieldAddress, GROUP_MISSES, GROUP_MISSES_SIZE, REGION, SCATTERED } from "../state.ts";
import type { FlagSlots } from "./lazy-flags.ts";
import { MISSES_STRIDE } from "./region-job.ts";

/** A page not found within so many instructions of the last is soon: each costs some hundred of the interpreter's. */
const SOON = 3000;
/** So many of them in one region are too many; those that are not soon make up for as many. */
const TOO_MANY = 200;

/** Where operands of flags wait that a way out leaves to be evaluated. */
export const parkedFlags = (vcpu: number): FlagSlots => ({
  a: fieldAddress(vcpu, "parkedA"),
  b: fieldAddress(vcpu, "parkedB"),
  r: fieldAddress(vcpu, "parkedR"),
});

export interface WayOutImports extends Pick<FindBlockFunctions, "interpretAt"> {
  /** `storeFlags` of store-flags.ts. */
  readonly storeFlags: Callee;
  /** The host's: takes a region's table entry. */
  readonly remakeRegion: Callee;
}

/**
 * Exports `interpretFrom`, (offset in the code segment, what is left of the budget, code of the flags that are parked, record
 * of a region that has not found a page, or 0): goes on in the interpreter there.
 */
export function wayOutFunctions(module: ModuleBuilder, vcpu: number, imports: WayOutImports): void {
  const { interpretAt, storeFlags, remakeRegion } = imports;
  const missPage = missPageFunction(module, vcpu, remakeRegion);
  module.function(
    signature(["i64", "i32", "i32", "i32"]),
    (f) => {
      const [ip, budget, flags, missing] = [f.param(0), f.param(1), f.param(2), f.param(3)];
      const linear = f.variable("i64", linearOf(f, vcpu, ip)).get();
      f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
      f.store("i32", 0, budget, fieldAddress(vcpu, "budget"));
      f.if(flags, () => evaluate(f, vcpu, flags, storeFlags));
      f.if(missing, () => void f.call(missPage, missing, budget, linear));
      f.returnCall(interpretAt, linear);
    },
    { export: "interpretFrom" },
  );
}

/** Makes the interpreter's words of what is parked. */
function evaluate(f: FunctionBuilder, vcpu: number, code: Value, storeFlags: Callee): void {
  const { a, b, r } = parkedFlags(vcpu);
  const load = (type: "i32" | "i64") => [a, b, r].map((at) => f.load(type, 0, at));
  f.call(storeFlags, code, ...load("i32"), ...load("i64"));
}

/**
 * (record of a region, budget, linear address of an instruction): notes that a page was not found that accesses of it are to, and
 * has the region made again where that was too often.
 */
function missPageFunction(module: ModuleBuilder, vcpu: number, remakeRegion: Callee): Callee {
  return module.function(signature(["i32", "i32", "i64"]), (f) => {
    const [region, budget, linear] = [f.param(0), f.param(1), f.param(2)];
    const since = f.load("i32", region, REGION.missedAt).sub(budget);
    f.store("i32", region, budget, REGION.missedAt);
    const before = f.load("i32", region, REGION.misses);
    f.if(since.geU(SOON), () => {
      f.if(before, () => f.store("i32", region, before.sub(1), REGION.misses));
      f.return();
    });
    // Another one is on its way.
    f.if(before.geU(TOO_MANY), () => f.return());
    const unsure = f.load("i32", region, REGION.unsure);
    const delta = linear.wrap().sub(f.load("i32", region, REGION.linear));
    const slot = unsure
      .sub(vcpu + SCATTERED)
      .add(delta.mul(MISSES_STRIDE))
      .and(GROUP_MISSES_SIZE - 1);
    const ofGroup = f.load("i32.8u", slot, vcpu + GROUP_MISSES);
    const isFull = ofGroup.eq(255);
    // Where the region has been made again for it in vain (it runs at another address than was noted), that is that.
    f.if(isFull.and(f.load("i32.8u", unsure)), () => f.return());
    f.store("i32.8", slot, ofGroup.add(isFull.eqz()), vcpu + GROUP_MISSES);
    const misses = before.add(1);
    f.store("i32", region, misses, REGION.misses);
    f.if(misses.eq(TOO_MANY), () => {
      f.store("i32.8", unsure, 1);
      f.call(remakeRegion, f.load("i32", region, REGION.handler));
    });
  });
}
