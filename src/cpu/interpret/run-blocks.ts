/**
 * Runs code until TypeScript has to look at something, as WebAssembly: blocks and regions go on with each other by
 * themselves, and exceptions of the usual kind are delivered in between.
 */
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { beginBlock, HANDLER, linearOf } from "../emit/enter-block.ts";
import { MOST_EFFORT } from "../instruction-budget.ts";
import type { EmittedObservation } from "../observe/observer.ts";
import { DELIVERY } from "../runtime.ts";
import { CONTEXT, EXIT, fieldAddress, RECORD, SHADOW } from "../state.ts";
import { HAS_ERROR_CODE, maskOf } from "../system/interrupts.ts";
import { FLAG } from "../system/mode.ts";
import { Privilege } from "../system/privilege.ts";

export interface RunBlocksImports {
  readonly findBlock: Callee;
  readonly deliver: Callee;
  readonly observe: EmittedObservation;
}

/**
 * Exports `enter`, (record), which runs from there until something is up that `exit` tells, and `runBlocks`, which goes on
 * after exceptions. Where that is left with no reason in `exit`, an event waits or the budget is used up.
 */
export function runBlocksFunctions(module: ModuleBuilder, vcpu: number, imports: RunBlocksImports): void {
  const enter = module.function(
    signature(["i32"]),
    (f) => f.returnCallIndirect(HANDLER, f.load("i32", f.param(0)), f.param(0)),
    { export: "enter" },
  );
  module.function(signature(["i32"]), (f) => runBlocks(f, vcpu, enter, imports), { export: "runBlocks" });
}

function runBlocks(f: FunctionBuilder, vcpu: number, enter: Callee, { findBlock, deliver, observe }: RunBlocksImports) {
  const at = (name: string) => fieldAddress(vcpu, name);
  const field = (name: string) => f.load("i32", 0, at(name));
  const set = (name: string, value: Value | number) => f.store("i32", 0, value, at(name));
  const record = f.variable("i32", f.param(0));
  f.loop((again: Label) => {
    f.call(enter, record.get());
    f.if(field("exit").ne(EXIT.fault), () => f.return());
    // Watchpoints end instructions where they may have been met.
    f.ifRare(new Privilege(f, vcpu).isWatched(), () => f.return());
    settle(f, vcpu);
    const vector = field("faultVector");
    f.if(vector.eq(14), () => f.store("i64", 0, f.load("i64", 0, at("faultAddress")), at("cr2")));
    const hasCode = f.i32(maskOf(HAS_ERROR_CODE)).shrU(vector).and(DELIVERY.errorCode);
    const budget = field("budget");
    set("budget", budget.sub(1));
    f.ifRare(f.call(deliver, vector, field("faultCode"), hasCode).eqz(), () => {
      set("budget", budget);
      f.return();
    });
    const effort = field("effort").add(1);
    set("effort", effort);
    set("exit", EXIT.none);
    set("shadow", SHADOW.none);
    const interrupts = field("interruptPending").and(field("eflagsSystem").and(FLAG.IF).ne(0));
    const events = field("budgetAside").or(field("debugTraps")).or(interrupts);
    f.ifRare(events.or(effort.gtS(MOST_EFFORT)), () => f.return());
    record.set(f.call(findBlock, linearOf(f, vcpu, f.load("i64", 0, at("ip")))));
    f.if(record.get(), () => {
      beginBlock(f, vcpu, record.get(), observe);
      f.branch(again);
    });
  });
}

/** Moves `ip` to the instruction that raised an exception, and gives back what did not run: as in the run loop. */
function settle(f: FunctionBuilder, vcpu: number): void {
  const at = (name: string) => fieldAddress(vcpu, name);
  const pc = f.load("i32", 0, at("pc"));
  f.if(pc.gtS(0), () => {
    const ip = f.load("i64", 0, at("ip")).add(f.load("i64.16u", pc, RECORD.delta));
    const isLong = f.load("i32", 0, at("context")).and(CONTEXT.long);
    f.store("i64", 0, ip.when(isLong, ip.and(0xffff_ffffn)), at("ip"));
    f.store("i32", 0, f.load("i32", 0, at("budget")).add(f.load("i32.8u", pc, RECORD.left)), at("budget"));
    f.store("i32", 0, 0, at("pc"));
  });
}
