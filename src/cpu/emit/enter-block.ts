/** How code goes on with the block at another address: the jump cache looked up in line, and a tail call. */
import type { FunctionBuilder, Label, Signature } from "../../wasm/function.ts";
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
  RECORD,
  RETURN_ENTRIES,
  RETURN_ENTRY,
  RETURNS,
} from "../state.ts";
import type { Linkage } from "./semantics.ts";
import { FIND } from "./table-entries.ts";

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

/** A region that goes on with other code: its record, and what is left of the budget. */
export interface Leaving {
  readonly region: Value;
  readonly budget: Value;
}

/**
 * Goes on with the block at linear address `linear`; `ip` is set. Whatever is rare is a matter of `enterAt`, as this is a part
 * of every region.
 */
export function enterBlock(f: FunctionBuilder, vcpu: number, linear: Value, linkage: Linkage, leaving?: Leaving): void {
  const index = jumpEntry(linear);
  const entry = (field: number) => f.load("i32", index, vcpu + JUMP_CACHE + field);
  const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
  f.block((rare: Label) => {
    f.ifRare(f.load("i64", index, vcpu + JUMP_CACHE + JUMP.linear).ne(linear), () => f.branch(rare));
    f.ifRare(entry(JUMP.context).ne(context), () => f.branch(rare));
    const record = entry(JUMP.record);
    const before = leaving?.budget ?? loadBudget(f, vcpu);
    const left = before.sub(f.load("i32.8u", record, RECORD.left));
    f.ifRare(left.ltS(0), () => f.branch(rare));
    takeBudget(f, vcpu, record, { before, left }, linkage.observe);
    f.returnCallIndirect(HANDLER, f.load("i32", record), record);
  });
  if (leaving) noteLeaving(f, vcpu, leaving);
  f.returnCall(linkage.callee("enterAt"), linear);
}

/** For what looks further, and may find the budget used up. */
function noteLeaving(f: FunctionBuilder, vcpu: number, { region, budget }: Leaving): void {
  storeBudget(f, vcpu, budget);
  f.store("i32", 0, region, fieldAddress(vcpu, "lastRegion"));
}

/**
 * Goes on at linear address `linear` by a region's link at `link` (its address; state.ts, REGION); `ip` is set. What it
 * leads to need not be looked for among all that the jump cache has. Where it leads elsewhere, or nowhere any more, that
 * is a matter of `otherwise`.
 */
export function enterByLink(
  f: FunctionBuilder,
  vcpu: number,
  { link, linear, leaving }: { readonly link: Value; readonly linear: Value; readonly leaving: Leaving },
  linkage: Linkage,
  otherwise: () => void,
): void {
  const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
  const { budget } = leaving;
  f.block((rare: Label) => {
    f.ifRare(f.load("i64", link, JUMP.linear).ne(linear), () => f.branch(rare));
    f.ifRare(f.load("i32", link, JUMP.context).ne(context), () => f.branch(rare));
    const record = f.load("i32", link, JUMP.record);
    const handler = f.load("i32", record);
    f.ifRare(handler.eq(FIND), () => f.branch(rare));
    const left = budget.sub(f.load("i32.8u", record, RECORD.left));
    f.ifRare(left.ltS(0), () => f.branch(rare));
    takeBudget(f, vcpu, record, { before: budget, left }, linkage.observe);
    f.returnCallIndirect(HANDLER, handler, record);
  });
  noteLeaving(f, vcpu, leaving);
  otherwise();
}

/** Address of what a call expects to go back to whose return address lies at `stack` (state.ts, RETURNS). */
export function returnEntry(vcpu: number, stack: Value, long: boolean): Value {
  return stack
    .wrap()
    .shrU(long ? 3 : 2)
    .and(RETURN_ENTRIES - 1)
    .mul(RETURN_ENTRY)
    .add(vcpu + RETURNS);
}

/**
 * Goes on with the block at `linear`, in the same page, that the link at `link` (its address) leads to. Where there is none,
 * that is a matter of `enterUnlinked`.
 */
export function enterLinked(f: FunctionBuilder, vcpu: number, link: Value, linear: Value, linkage: Linkage): void {
  const record = f.load("i32", link);
  const handler = f.load("i32", record);
  f.ifRare(handler.eq(FIND), () => f.returnCall(linkage.callee("enterUnlinked"), link, linear));
  const before = loadBudget(f, vcpu);
  const left = before.sub(f.load("i32.8u", record, RECORD.left));
  f.ifRare(left.ltS(0), () => f.returnCall(linkage.callee("enterAt"), linear));
  takeBudget(f, vcpu, record, { before, left }, linkage.observe);
  f.returnCallIndirect(HANDLER, handler, record);
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

/** What comes before a block runs that was looked for. Leaves the function where the budget does not reach. */
export function beginBlock(
  f: FunctionBuilder,
  vcpu: number,
  block: Value,
  observe: EmittedObservation | undefined,
): void {
  const before = loadBudget(f, vcpu);
  const left = before.sub(f.load("i32", block.add(BLOCK_COUNT)));
  f.ifRare(left.ltS(0), () => {
    f.store("i32", 0, EXIT.event, fieldAddress(vcpu, "exit"));
    f.return();
  });
  f.store("i32", 0, 0, fieldAddress(vcpu, "lastRegion"));
  takeBudget(f, vcpu, block, { before, left }, observe);
}

/** The budget before and after a block's instructions are taken from it. */
interface Budget {
  readonly before: Value;
  readonly left: Value;
}

const loadBudget = (f: FunctionBuilder, vcpu: number): Value => f.load("i32", 0, fieldAddress(vcpu, "budget"));

function storeBudget(f: FunctionBuilder, vcpu: number, budget: Value): void {
  f.store("i32", 0, budget, fieldAddress(vcpu, "budget"));
}

function takeBudget(
  f: FunctionBuilder,
  vcpu: number,
  block: Value,
  { before, left }: Budget,
  observe: EmittedObservation | undefined,
): void {
  storeBudget(f, vcpu, left);
  if (observe?.path) noteEntry(f, observe.path, f.load("i64", 0, fieldAddress(vcpu, "ip")), block, before);
  if (observe?.counts) {
    const runs = block.add(BLOCK_RUNS);
    f.store("i32", runs, f.load("i32", runs).add(1));
  }
}
