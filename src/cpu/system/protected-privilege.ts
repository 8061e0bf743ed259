/**
 * Changes of privilege that 32-bit kernels make all the time, as WebAssembly: INT n, IRETD, SYSENTER and SYSEXIT, in flat
 * 32-bit code. Each function returns that it has done nothing where anything
 * is out of the ordinary; the instruction then calls TypeScript.
 */
import { CS, DS, ES, FS, GS, SS } from "../../isa/semantics.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import { fieldAddress, SEGMENT, TLB } from "../state.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { DeliveryAccess } from "./delivery-access.ts";
import { ATTRIBUTE, CR0, EFER, FLAG } from "./mode.ts";
import { attributesOf, FLAT32, Privilege, USER } from "./privilege.ts";
import { CODE32, DATA32, isFlatOf, throughProtectedGate } from "./protected-gate.ts";

const NOT_RETURNED = -1n;

/** Not zero in flat 32-bit code of protected mode, with nothing to watch. */
function isUsual(cpu: Privilege): Value {
  return cpu.isFlat32().and(cpu.isWatched().or(cpu.field("efer").and(EFER.LMA)).eqz());
}

/** The parameters of `enterGate` in src/isa/interrupt.ts. @spec SDM 2, INT n */
function enterGate(f: FunctionBuilder, vcpu: number): void {
  const [vector, flags, esp, ip] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  const delivery = new DeliveryAccess(f, vcpu, () => f.return(f.i64(0)));
  const { cpu } = delivery;
  delivery.unless(isUsual(cpu).and(cpu.field("observed").eqz()));
  const cpl = cpu.field("cpl");
  delivery.unless(cpl.eqz().or(cpl.eq(3)).and(flags.and(FLAG.TF).eqz()));
  const to = throughProtectedGate(delivery, { vector, flags, esp, ip, isSoftware: true });
  f.return(to.esp.extendU().shl(32).or(to.ip.extendU()));
}

/** The parameters of `returnToProtected` in src/isa/interrupt.ts. @spec SDM 2, IRET */
function returnToProtected(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const [cs, flags, esp, isSpecial] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  const unless = (condition: Value) => f.ifRare(condition.eqz(), () => f.return(f.i64(NOT_RETURNED)));
  unless(isUsual(cpu).and(isSpecial.or(cpu.field("cpl")).eqz()));
  const level = cs.and(3);
  const user = level.eq(3);
  unless(user.or(level.eqz()));
  const code = cpu.descriptor(cs, NOT_RETURNED);
  unless(isFlatOf(CODE32, code.low, code.high, level));

  const top = f.variable("i32", esp);
  f.if(user, () => {
    unless(flags.and(cpu.field("cr0")).and(CR0.AM).eqz());
    const linear = esp.extendU();
    const entry = tlbEntry(cpu.field("tlb"), linear);
    unless(tlbHit(f, entry, linear, 8, TLB.read));
    const saved = tlbAddress(f, entry, linear);
    const selector = f.load("i32.16u", saved, 4);
    unless(selector.and(3).eq(3));
    const stack = cpu.descriptor(selector, NOT_RETURNED);
    unless(isFlatOf(DATA32, stack.low, stack.high, 3));
    // Segments that programs must not see.
    for (const index of [ES, FS, GS, DS]) {
      const attributes = cpu.segment(index, SEGMENT.attributes);
      unless(attributes.and(ATTRIBUTE.unusable).or(attributes.and(ATTRIBUTE.dpl).eq(USER)));
    }
    top.set(f.load("i32", saved));
    const attributes = attributesOf(stack.high);
    cpu.setSegment(SS, { selector, base: 0, limit: -1, attributes, readable: true, writable: true });
  });
  f.store("i32", 0, flags, fieldAddress(vcpu, "eflagsSystem"));
  setCode(cpu, cs, code.high);
  f.if(
    user,
    () => cpu.setLevel(true, FLAT32),
    () => cpu.setLevel(false, FLAT32),
  );
  f.return(top.get().extendU());
}

/** Loads CS with a flat segment. */
function setCode(cpu: Privilege, selector: Value, high: Value): void {
  const attributes = attributesOf(high);
  cpu.setSegment(CS, { selector, base: 0, limit: -1, attributes, readable: true, writable: false });
}

const FLAT = ATTRIBUTE.present | ATTRIBUTE.codeOrData | ATTRIBUTE.granularity | ATTRIBUTE.writable | ATTRIBUTE.accessed;

/** Loads CS and SS with the flat segments of SYSENTER and SYSEXIT; `first` is IA32_SYSENTER_CS plus the first one's distance. */
function loadFlat(cpu: Privilege, first: Value, user: boolean): void {
  const flat = { base: 0, limit: -1, readable: true } as const;
  const level = user ? 3 : 0;
  const dpl = level << 5;
  const attributes = FLAT | ATTRIBUTE.big | dpl;
  const selector = first.and(0xfffc).or(level);
  const ss = first.add(8).and(0xfffc).or(level);
  cpu.setSegment(CS, { ...flat, selector, attributes: attributes | ATTRIBUTE.code, writable: false });
  cpu.setSegment(SS, { ...flat, selector: ss, attributes, writable: true });
  cpu.setLevel(user, FLAT32);
}

/** SYSENTER and SYSEXIT: whether CS, SS and privilege level have been set. @spec SDM 2, SYSENTER, SYSEXIT */
function switchFlat(f: FunctionBuilder, vcpu: number, user: boolean): void {
  const cpu = new Privilege(f, vcpu);
  const selector = cpu.field("sysenterCs");
  const checksAlignment = user ? cpu.field("eflagsSystem").and(cpu.field("cr0")).and(CR0.AM) : f.i32(0);
  const can = isUsual(cpu).and(selector.and(0xfffc).ne(0)).and(checksAlignment.eqz());
  f.ifRare(can.eqz(), () => f.return(f.i32(0)));
  loadFlat(cpu, user ? selector.add(16) : selector, user);
  f.return(f.i32(1));
}

export function protectedPrivilegeFunctions(): WasmFunctions {
  return {
    enterGate: (f, _callee, vcpu) => enterGate(f, vcpu),
    returnToProtected: (f, _callee, vcpu) => returnToProtected(f, vcpu),
    enterSupervisor32: (f, _callee, vcpu) => switchFlat(f, vcpu, false),
    enterUser32: (f, _callee, vcpu) => switchFlat(f, vcpu, true),
  };
}
