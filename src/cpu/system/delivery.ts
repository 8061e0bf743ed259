/**
 * Delivery of exceptions and interrupts as WebAssembly, where nothing about it is out of the ordinary: through a present
 * interrupt or trap gate to 64-bit code of privilege level 0, from there or from programs, on a stack that can be written
 * and within one page; in protected mode as protected-gate.ts has it. All else is `deliver` of interrupts.ts, which begins
 * anew then. @spec SDM 3A 6.14
 */
import { CS, RSP, SS, VECTOR } from "../../isa/semantics.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import { DELIVERY } from "../runtime.ts";
import { EXIT, fieldAddress, GPR, SEGMENT, TR } from "../state.ts";
import { DeliveryAccess, GATE } from "./delivery-access.ts";
import { ATTRIBUTE, EFER } from "./mode.ts";
import { attributesOf, dplOf, HIGH } from "./privilege.ts";
import { throughProtectedGate } from "./protected-gate.ts";

const GATE_BYTES = 16;
/** Of the stack table, in a gate's second doubleword. */
const IST = 7;
/** Offsets in a 64-bit TSS. @spec SDM 3A figure 7-11 */
const TSS64 = { rsp0: 4, ist1: 36 } as const;
/** Bytes of a frame with an error code, and where its parts lie. */
const FRAME = { bytes: 48, errorCode: 0, ip: 8, cs: 16, flags: 24, rsp: 32, ss: 40 } as const;

const isCanonical = (address: Value): Value => address.shl(16).shrS(16).eq(address);

/**
 * Builds and exports `deliver`: (vector, error code, DELIVERY) → whether the processor is at the handler's first
 * instruction now; else nothing but marks in page tables has changed. CR2 and `ip` are what the handler is to see.
 * `delivering` is told of it, with the same parameters, while `observed` is set.
 */
export function deliveryFunction(module: ModuleBuilder, vcpu: number, translate: Callee, delivering: Callee): Callee {
  const type = signature(["i32", "i32", "i32"], ["i32"]);
  return module.function(type, (f) => deliver(f, vcpu, translate, delivering), { export: "deliver" });
}

/** Leaves the exception at hand as it was, for TypeScript. */
function giveBack(f: FunctionBuilder, vcpu: number): void {
  const set = (name: string, value: Value | number) => f.store("i32", 0, value, fieldAddress(vcpu, name));
  set("faultVector", f.param(0));
  set("faultCode", f.param(1));
  f.store("i64", 0, f.load("i64", 0, fieldAddress(vcpu, "cr2")), fieldAddress(vcpu, "faultAddress"));
  set("exit", EXIT.fault);
  f.return(f.i32(0));
}

function deliver(f: FunctionBuilder, vcpu: number, translate: Callee, delivering: Callee): void {
  const delivery = new DeliveryAccess(f, vcpu, () => giveBack(f, vcpu), translate);
  const { cpu } = delivery;
  const [vector, errorCode, how] = [f.param(0), f.param(1), f.param(2)];
  const unless = (condition: Value) => delivery.unless(condition);
  const external = how.and(DELIVERY.external);
  const cpl = cpu.field("cpl");
  unless(cpu.isWatched().eqz());
  unless(cpl.eqz().or(cpl.eq(3)));
  // NMIs hold off others.
  unless(external.eqz().or(vector.ne(VECTOR.NMI)));
  const begins = () =>
    f.ifRare(cpu.field("observed"), () => {
      f.call(delivering, vector, errorCode, how);
    });
  f.if(cpu.field("efer").and(EFER.LMA).eqz(), () => {
    const esp = f.load("i32", 0, vcpu + GPR + RSP * 8);
    const ip = cpu.field("ip");
    const flags = delivery.savedFlags(vector, external);
    const hasCode = how.and(DELIVERY.errorCode);
    const to = throughProtectedGate(delivery, { vector, flags, ip, esp, hasCode, errorCode }, begins);
    f.store("i64", 0, to.esp.extendU(), vcpu + GPR + RSP * 8);
    f.store("i64", 0, to.ip.extendU(), fieldAddress(vcpu, "ip"));
    f.return(f.i32(1));
  });

  unless(
    vector
      .shl(4)
      .add(GATE_BYTES - 1)
      .leU(cpu.field("idtLimit")),
  );
  const gate = f.variable("i32", delivery.reach(delivery.wide("idtBase").add(vector.shl(4).extendU()), GATE_BYTES, 0));
  const [low, high] = [f.variable("i32", f.load("i32", gate.get())), f.variable("i32", f.load("i32", gate.get(), 4))];
  unless(high.get().and(GATE.mask).eq(GATE.value));
  const offset = f.variable("i64", f.load("i64.32u", gate.get(), 8).shl(32));
  offset.set(
    offset.get().or(
      high
        .get()
        .and(0xffff_0000 | 0)
        .or(low.get().and(0xffff))
        .extendU(),
    ),
  );

  const selector = low.get().shrU(16);
  const code = f.variable("i32", f.load("i32", delivery.descriptor(selector, -1n), 4));
  const kind = HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.conforming | HIGH.accessed | HIGH.long | HIGH.big;
  unless(
    code
      .get()
      .and(kind)
      .eq(HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.accessed | HIGH.long),
  );
  unless(dplOf(code.get()).eqz());

  const rsp = f.load("i64", 0, vcpu + GPR + RSP * 8);
  const top = f.variable("i64", rsp);
  const ist = high.get().and(IST);
  f.if(ist.or(cpl), () => {
    const at = ist
      .shl(3)
      .add(TSS64.ist1 - 8)
      .when(ist, TSS64.rsp0);
    unless(at.add(7).leU(cpu.segment(TR, SEGMENT.limit)));
    unless(cpu.segment(TR, SEGMENT.attributes).and(ATTRIBUTE.unusable).eqz());
    const base = cpu.base(TR);
    top.set(f.load("i64", delivery.reach(base.add(at.extendU()), 8, 0)));
  });
  unless(isCanonical(top.get()).and(isCanonical(offset.get())));
  const pointer = f.variable("i64", top.get().and(-16n).sub(FRAME.bytes));
  const frame = f.variable("i32", delivery.reach(pointer.get(), FRAME.bytes, ACCESS.write));

  // From here on nothing can come between.
  begins();
  const put = (at: number, value: Value) => f.store("i64", frame.get(), value, at);
  put(FRAME.ss, cpu.segment(SS, SEGMENT.selector).extendU());
  put(FRAME.rsp, rsp);
  put(FRAME.flags, delivery.savedFlags(vector, external).extendU());
  put(FRAME.cs, cpu.segment(CS, SEGMENT.selector).extendU());
  put(FRAME.ip, delivery.wide("ip"));
  const hasCode = how.and(DELIVERY.errorCode);
  f.if(hasCode, () => put(FRAME.errorCode, errorCode.extendU()));
  f.store("i64", 0, pointer.get().add(f.i64(0).when(hasCode, 8)), vcpu + GPR + RSP * 8);
  delivery.clearFlags(high.get().and(GATE.trap));
  f.if(cpl, () => cpu.setNull(SS, f.i32(0)));
  cpu.setSegment(CS, {
    selector: selector.and(0xfffc),
    base: 0,
    limit: -1,
    attributes: attributesOf(code.get()),
    readable: code.get().and(HIGH.writable),
    writable: false,
  });
  f.store("i64", 0, offset.get(), fieldAddress(vcpu, "ip"));
  cpu.setLevel(false);
  f.return(f.i32(1));
}
