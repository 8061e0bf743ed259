/**
 * Delivery of exceptions and interrupts as WebAssembly, where nothing about it is out of the ordinary: through a present
 * interrupt or trap gate to 64-bit code of privilege level 0, from there or from programs, on a stack that can be written
 * and within one page. All else is `deliver` of interrupts.ts, which begins anew then. @spec SDM 3A 6.14
 */
import { CS, RSP, SS, VECTOR } from "../../isa/semantics.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import { Flags } from "../emit/flags.ts";
import { tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import { flagMemory } from "../interpret/handler.ts";
import { ACCESS } from "../mmu/paging.ts";
import { DELIVERY } from "../runtime.ts";
import { EXIT, fieldAddress, GPR, MMU_MODE, SEGMENT, TLB, TLB_SIZE, TLBS, TR } from "../state.ts";
import { LEAVES_RF, maskOf } from "./interrupts.ts";
import { ATTRIBUTE, EFER, FLAG } from "./mode.ts";
import { attributesOf, dplOf, HIGH, Privilege } from "./privilege.ts";

/** A gate's bits in its second doubleword: present, of a system type that is an interrupt or a trap gate. */
const GATE = { mask: 0x9e00, value: 0x8e00, trap: 0x100, ist: 7 } as const;
const GATE_BYTES = 16;
/** Offsets in a 64-bit TSS. @spec SDM 3A figure 7-11 */
const TSS64 = { rsp0: 4, ist1: 36 } as const;
/** Bytes of a frame with an error code, and where its parts lie. */
const FRAME = { bytes: 48, errorCode: 0, ip: 8, cs: 16, flags: 24, rsp: 32, ss: 40 } as const;

class Delivery {
  readonly #f: FunctionBuilder;
  readonly #vcpu: number;
  readonly #translate: Callee;
  readonly cpu: Privilege;

  constructor(f: FunctionBuilder, vcpu: number, translate: Callee) {
    this.#f = f;
    this.#vcpu = vcpu;
    this.#translate = translate;
    this.cpu = new Privilege(f, vcpu);
  }

  /** Leaves the function where `condition` is zero: the exception at hand is as it was. */
  unless(condition: Value): void {
    const f = this.#f;
    f.ifRare(condition.eqz(), () => {
      const set = (name: string, value: Value | number) => f.store("i32", 0, value, fieldAddress(this.#vcpu, name));
      set("faultVector", f.param(0));
      set("faultCode", f.param(1));
      f.store("i64", 0, this.wide("cr2"), fieldAddress(this.#vcpu, "faultAddress"));
      set("exit", EXIT.fault);
      f.return(f.i32(0));
    });
  }

  wide(name: string): Value {
    return this.#f.load("i64", 0, fieldAddress(this.#vcpu, name));
  }

  /** Where the processor's own access to so many bytes lies in the shared memory; leaves the function where it cannot be made in place. */
  reach(linear: Value, bytes: number, access: 0 | typeof ACCESS.write): Value {
    const f = this.#f;
    const mode = this.cpu.field("mmuMode");
    const tlb = f.i32(MMU_MODE.supervisor).when(mode.eq(MMU_MODE.user), mode);
    const entry = tlbEntry(tlb.mul(TLB_SIZE).add(this.#vcpu + TLBS), linear);
    const isHit = () => tlbHit(f, entry, linear, bytes, access === 0 ? TLB.read : TLB.write);
    f.ifRare(isHit().eqz(), () => {
      const inPage = linear
        .wrap()
        .and(4095)
        .leU(4096 - bytes);
      this.unless(inPage);
      this.unless(f.call(this.#translate, linear, access | ACCESS.supervisor).geS(0));
      this.unless(isHit());
    });
    return tlbAddress(f, entry, linear);
  }

  /** RFLAGS as they are pushed: `savedFlags` of interrupts.ts. */
  savedFlags(vector: Value, external: Value): Value {
    const f = this.#f;
    const direction = this.cpu.field("direction").shrU(31).shl(10);
    const flags = new Flags(f, flagMemory(f, this.#vcpu)).packed().or(direction).or(this.cpu.field("eflagsSystem"));
    const leavesRf = f.i32(maskOf(LEAVES_RF)).shrU(vector).and(1).and(vector.ltU(32));
    return flags.or(f.i32(0).when(leavesRf.or(external), FLAG.RF));
  }
}

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

function deliver(f: FunctionBuilder, vcpu: number, translate: Callee, delivering: Callee): void {
  const delivery = new Delivery(f, vcpu, translate);
  const { cpu } = delivery;
  const [vector, errorCode, how] = [f.param(0), f.param(1), f.param(2)];
  const unless = (condition: Value) => delivery.unless(condition);
  const external = how.and(DELIVERY.external);
  const cpl = cpu.field("cpl");
  unless(cpu.field("efer").and(EFER.LMA));
  unless(cpu.isWatched().eqz());
  unless(cpl.eqz().or(cpl.eq(3)));
  // NMIs hold off others.
  unless(external.eqz().or(vector.ne(VECTOR.NMI)));

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
  const inTable = selector.and(0xfff8);
  unless(
    selector
      .and(4)
      .eqz()
      .and(inTable.ne(0))
      .and(inTable.add(7).leU(cpu.field("gdtLimit"))),
  );
  const code = f.variable(
    "i32",
    f.load("i32", delivery.reach(delivery.wide("gdtBase").add(inTable.extendU()), 8, 0), 4),
  );
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
  const ist = high.get().and(GATE.ist);
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
  f.ifRare(cpu.field("observed"), () => {
    f.call(delivering, vector, errorCode, how);
  });
  const put = (at: number, value: Value) => f.store("i64", frame.get(), value, at);
  put(FRAME.ss, cpu.segment(SS, SEGMENT.selector).extendU());
  put(FRAME.rsp, rsp);
  put(FRAME.flags, delivery.savedFlags(vector, external).extendU());
  put(FRAME.cs, cpu.segment(CS, SEGMENT.selector).extendU());
  put(FRAME.ip, delivery.wide("ip"));
  const hasCode = how.and(DELIVERY.errorCode);
  f.if(hasCode, () => put(FRAME.errorCode, errorCode.extendU()));
  f.store("i64", 0, pointer.get().add(f.i64(0).when(hasCode, 8)), vcpu + GPR + RSP * 8);
  const cleared = f.i32(FLAG.TF | FLAG.NT | FLAG.RF | FLAG.VM).or(f.i32(0).when(high.get().and(GATE.trap), FLAG.IF));
  f.store("i32", 0, cpu.field("eflagsSystem").and(cleared.not()), fieldAddress(vcpu, "eflagsSystem"));
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
