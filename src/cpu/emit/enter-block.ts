/** How code goes on with the block at another address: the jump cache looked up in line, and a tail call. */
import type { FunctionBuilder, Signature, Variable } from "../../wasm/function.ts";
import { signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import type { EmittedObservation } from "../observe/observer.ts";
import { noteEntry } from "../observe/path-ring.ts";
import {
  BLOCK_COUNT,
  BLOCK_RUNS,
  CONTEXT,
  CS_BASE,
  EXIT,
  fieldAddress,
  JUMP,
  JUMP_CACHE,
  JUMP_ENTRIES,
  JUMP_ENTRY,
} from "../state.ts";
import type { Linkage } from "./semantics.ts";

/** The type of all code that runs guest instructions: (address of a record). */
export const HANDLER: Signature = signature(["i32"]);

/** Index of the jump cache's entry for a block at `linear` (i64), in bytes. */
export function jumpEntry(linear: Value): Value {
  const low = linear.wrap();
  return low
    .xor(low.shrU(13))
    .and(JUMP_ENTRIES - 1)
    .mul(JUMP_ENTRY);
}

/** The linear address (i64) of the offset `ip` in the code segment, in whatever mode the processor is. */
export function linearOf(f: FunctionBuilder, vcpu: number, ip: Value): Value {
  const long = f.load("i32", 0, fieldAddress(vcpu, "context")).and(CONTEXT.long);
  return ip.when(long, ip.add(f.load("i64", 0, vcpu + CS_BASE)).and(0xffff_ffffn));
}

/** Goes on with the block at linear address `linear`; `ip` is set. Comes back where the budget does not reach. */
export function enterBlock(f: FunctionBuilder, vcpu: number, linear: Value, linkage: Linkage): void {
  const index = jumpEntry(linear);
  const known = f.load("i64", index, vcpu + JUMP_CACHE + JUMP.linear).eq(linear);
  const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
  const valid = f.load("i32", index, vcpu + JUMP_CACHE + JUMP.context).eq(context);
  const record: Variable = f.variable("i32");
  f.if(
    known.and(valid),
    () => record.set(f.load("i32", index, vcpu + JUMP_CACHE + JUMP.record)),
    () => {
      record.set(f.call(linkage.callee("findBlock"), linear));
      f.if(record.get().eqz(), () => f.return());
    },
    "likely",
  );
  runBlock(f, vcpu, record.get(), linkage.observe);
}

/** Takes a block's instructions out of the budget, and runs it by a tail call; notes that, where someone watches. */
export function runBlock(
  f: FunctionBuilder,
  vcpu: number,
  block: Value,
  observe: EmittedObservation | undefined,
): void {
  beginBlock(f, vcpu, block, observe);
  f.returnCallIndirect(HANDLER, f.load("i32", block), block);
}

/** What comes before a block runs. Leaves the function where the budget does not reach. */
export function beginBlock(
  f: FunctionBuilder,
  vcpu: number,
  block: Value,
  observe: EmittedObservation | undefined,
): void {
  const budget = fieldAddress(vcpu, "budget");
  const before = f.load("i32", 0, budget);
  const left = before.sub(f.load("i32", block.add(BLOCK_COUNT)));
  f.ifRare(left.ltS(0), () => {
    f.store("i32", 0, EXIT.event, fieldAddress(vcpu, "exit"));
    f.return();
  });
  f.store("i32", 0, left, budget);
  if (observe?.path) noteEntry(f, observe.path, f.load("i64", 0, fieldAddress(vcpu, "ip")), block, before);
  if (observe?.counts) {
    const runs = block.add(BLOCK_RUNS);
    f.store("i32", runs, f.load("i32", runs).add(1));
  }
}
