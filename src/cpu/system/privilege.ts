/**
 * Changes of privilege that are made all the time, as WebAssembly: system calls, returns to programs and within the
 * kernel, and CLAC and STAC, all in 64-bit mode. Whoever calls makes sure that nothing out of the ordinary is at hand:
 * no breakpoint, single step, alignment check or interrupt that waits.
 */
import { CS, DS, ES, FS, GS, SS } from "../../isa/semantics.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import {
  CONTEXT,
  CONTEXT_BITS,
  fieldAddress,
  MMU_MODE,
  PAGE_KEY,
  SEGMENT,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB,
  TLB_SIZE,
  TLBS,
} from "../state.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { ATTRIBUTE, CR0, FLAG } from "./mode.ts";

const FLAT = ATTRIBUTE.present | ATTRIBUTE.codeOrData | ATTRIBUTE.granularity | ATTRIBUTE.writable | ATTRIBUTE.accessed;
const CODE64 = FLAT | ATTRIBUTE.code | ATTRIBUTE.long;
const STACK = FLAT | ATTRIBUTE.big;
export const USER = 3 << 5;
/** `context` of flat 32-bit code, for supervisors. */
export const FLAT32 = CONTEXT.code32 | CONTEXT.stack32 | CONTEXT.flat;

/** Bits of a descriptor's second doubleword. @spec SDM 3A figure 3-8 */
export const HIGH = {
  accessed: 1 << 8,
  writable: 1 << 9,
  conforming: 1 << 10,
  code: 1 << 11,
  codeOrData: 1 << 12,
  present: 1 << 15,
  long: 1 << 21,
  big: 1 << 22,
  granularity: 1 << 23,
} as const;

/** The registers that privilege, segments and access follow from, for code in WebAssembly. */
export class Privilege {
  readonly #f: FunctionBuilder;
  readonly #vcpu: number;

  constructor(f: FunctionBuilder, vcpu: number) {
    this.#f = f;
    this.#vcpu = vcpu;
  }

  field(name: string): Value {
    return this.#f.load("i32", 0, fieldAddress(this.#vcpu, name));
  }
  #setField(name: string, value: Value | number): void {
    this.#f.store("i32", 0, value, fieldAddress(this.#vcpu, name));
  }

  segment(index: number | Value, field: number): Value {
    if (typeof index === "number") return this.#f.load("i32", 0, this.#segmentAt(index) + field);
    return this.#f.load("i32", index.mul(SEGMENT_SIZE), this.#segmentAt(0) + field);
  }
  #segmentAt(index: number): number {
    return this.#vcpu + SEGMENTS + index * SEGMENT_SIZE;
  }

  base(index: number): Value {
    return this.#f.load("i64", 0, this.#segmentAt(index) + SEGMENT.base);
  }

  /** Not zero in 32-bit code on a 32-bit stack, with ES, CS, SS and DS of base 0 and 4 GiB. */
  isFlat32(): Value {
    return this.field("context")
      .and(CONTEXT.long | FLAT32)
      .eq(FLAT32);
  }

  /** Puts a null selector in a segment register, as of privilege level 0. */
  setNull(index: number | Value, selector: Value): void {
    const attributes = ATTRIBUTE.unusable;
    this.setSegment(index, { selector, base: 0, limit: 0, attributes, readable: false, writable: false });
  }

  setSegment(
    index: number | Value,
    fields: {
      readonly selector: Value;
      readonly base: Value | number;
      readonly limit: Value | number;
      readonly attributes: Value | number;
      readonly readable: boolean | Value;
      readonly writable: boolean | Value;
    },
  ): void {
    const f = this.#f;
    const { selector, base, limit, attributes, readable, writable } = fields;
    const [address, at] =
      typeof index === "number" ? [0, this.#segmentAt(index)] : [index.mul(SEGMENT_SIZE), this.#segmentAt(0)];
    const set = (field: number, value: Value | number) => f.store("i32", address, value, at + field);
    const all = typeof limit === "number" ? f.i32(limit) : limit;
    f.store("i64", address, typeof base === "number" ? base : base.extendU(), at + SEGMENT.base);
    set(SEGMENT.selector, selector);
    set(SEGMENT.limit, all);
    set(SEGMENT.attributes, attributes);
    const valid = (is: boolean | Value, min: number, max: number) => {
      const condition = typeof is === "boolean" ? f.i32(is ? 1 : 0) : is;
      set(min, f.i32(0).when(condition, 1));
      set(max, all.when(condition, 0));
    };
    valid(readable, SEGMENT.readMin, SEGMENT.readMax);
    valid(writable, SEGMENT.writeMin, SEGMENT.writeMax);
  }

  /** What `Processor.modeChanged` does, in 64-bit mode or (FLAT32) in flat 32-bit code. */
  setLevel(user: boolean, mode: number = CONTEXT.long): void {
    const generation = this.field(user ? "userGeneration" : "supervisorGeneration");
    const bits = mode | (user ? CONTEXT.user : 0);
    this.#setField("cpl", user ? 3 : 0);
    this.#setField("context", generation.shl(CONTEXT_BITS).or(bits));
    if (user) this.#setMmuMode(this.#f.i32(MMU_MODE.user));
    else this.setSupervisorAccess();
  }

  /** Which pages supervisors may access follows from EFLAGS.AC. */
  setSupervisorAccess(): void {
    const isOpen = this.field("eflagsSystem").and(FLAG.AC);
    this.#setMmuMode(this.#f.i32(MMU_MODE.supervisorAc).when(isOpen, MMU_MODE.supervisor));
  }

  #setMmuMode(mode: Value): void {
    this.#setField("mmuMode", mode);
    this.#setField("tlb", mode.mul(TLB_SIZE).add(this.#vcpu + TLBS));
    this.#setField(
      "pageKey",
      this.field("pageKey")
        .and(-1 << PAGE_KEY.number)
        .or(mode.shl(PAGE_KEY.mode)),
    );
  }

  /** Not zero where breakpoints or alignment checks have a say in memory accesses. */
  isWatched(): Value {
    return this.field("dr7").and(0xff).or(this.field("mmuMode").eq(MMU_MODE.checked));
  }

  /** The descriptor of a selector in the global table, as the TLB has it; returns `other` from the function where it cannot say. */
  descriptor(selector: Value, other: number | bigint = 0): { low: Value; high: Value } {
    const f = this.#f;
    const refuse = () => f.return(typeof other === "bigint" ? f.i64(other) : f.i32(other));
    const offset = selector.and(0xfff8);
    const isElsewhere = selector
      .and(4)
      .or(offset.eqz())
      .or(offset.add(7).gtU(this.field("gdtLimit")));
    f.ifRare(isElsewhere, refuse);
    const linear = f.load("i64", 0, fieldAddress(this.#vcpu, "gdtBase")).add(offset.extendU());
    const entry = tlbEntry(this.field("tlb"), linear);
    f.ifRare(tlbHit(f, entry, linear, 8, TLB.read).eqz(), refuse);
    const both = f.load("i64", tlbAddress(f, entry, linear));
    return { low: both.wrap(), high: both.shrU(32).wrap() };
  }
}

/** Not zero where a data or code segment begins at 0 and has 4 GiB. */
export const isFlat = (low: Value, high: Value): Value =>
  low.eq(0xffff).and(high.and(FLAT_DESCRIPTOR.mask).eq(FLAT_DESCRIPTOR.value));
/** Base 31:16, G and limit 19:16 in the second doubleword. */
const FLAT_DESCRIPTOR = { mask: 0xff8f_00ff | 0, value: 0x008f_0000 } as const;
export const baseOf = (low: Value, high: Value): Value =>
  low
    .shrU(16)
    .or(high.and(0xff).shl(16))
    .or(high.and(0xff00_0000 | 0));
export function limitOf(low: Value, high: Value): Value {
  const limit = low.and(0xffff).or(high.and(0xf_0000));
  return limit.shl(12).or(0xfff).when(high.and(HIGH.granularity), limit);
}
export const attributesOf = (high: Value): Value => high.shrU(8).and(0xf0ff);
export const dplOf = (high: Value): Value => high.shrU(13).and(3);

/** Loads CS and SS with flat segments of privilege level 0 or 3. */
function loadFlat(cpu: Privilege, cs: Value, ss: Value, dpl: number): void {
  const flat = { base: 0, limit: -1, readable: true } as const;
  cpu.setSegment(CS, { ...flat, selector: cs, attributes: CODE64 | dpl, writable: false });
  cpu.setSegment(SS, { ...flat, selector: ss, attributes: STACK | dpl, writable: true });
}

/** The parameters of `returnTo` in src/isa/interrupt.ts. @spec SDM 2, IRET */
function returnTo(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const [ip, cs, ss, flags, isSpecial] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4)];
  const unless = (condition: Value) => f.ifRare(condition.eqz(), () => f.return(f.i32(0)));
  unless(isSpecial.or(cpu.isWatched()).or(cpu.field("cpl")).eqz());
  unless(ip.shl(16).shrS(16).eq(ip));
  const level = cs.and(3);
  const user = level.eq(3);
  unless(user.or(level.eqz()));

  const code = cpu.descriptor(cs).high;
  const codeKind = HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.conforming | HIGH.accessed | HIGH.long | HIGH.big;
  unless(code.and(codeKind).eq(HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.accessed | HIGH.long));
  unless(dplOf(code).eq(level));

  const [stackLow, stackHigh] = [f.variable("i32"), f.variable("i32")];
  f.if(
    ss.and(0xfffc),
    () => {
      const { low, high } = cpu.descriptor(ss);
      stackLow.set(low);
      stackHigh.set(high);
      const kind = HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.conforming | HIGH.writable | HIGH.accessed;
      unless(high.and(kind).eq(HIGH.present | HIGH.codeOrData | HIGH.writable | HIGH.accessed));
      unless(dplOf(high).eq(level).and(ss.and(3).eq(level)));
    },
    // Supervisors may have none in 64-bit mode.
    () => unless(ss.or(level).eqz()),
  );
  f.if(user, () => {
    unless(flags.and(cpu.field("cr0")).and(CR0.AM).eqz());
    // Segments that programs must not see.
    for (const index of [ES, FS, GS, DS]) {
      const attributes = cpu.segment(index, SEGMENT.attributes);
      unless(attributes.and(ATTRIBUTE.unusable).or(attributes.and(ATTRIBUTE.dpl).eq(USER)));
    }
  });

  f.store("i32", 0, flags, fieldAddress(vcpu, "eflagsSystem"));
  cpu.setSegment(CS, {
    selector: cs,
    base: 0,
    limit: -1,
    attributes: attributesOf(code),
    readable: code.and(HIGH.writable),
    writable: false,
  });
  const high = stackHigh.get();
  f.if(
    high,
    () => {
      const low = stackLow.get();
      cpu.setSegment(SS, {
        selector: ss,
        base: baseOf(low, high),
        limit: limitOf(low, high),
        attributes: attributesOf(high),
        readable: true,
        writable: true,
      });
    },
    () => cpu.setNull(SS, ss),
  );
  f.if(
    user,
    () => cpu.setLevel(true),
    () => cpu.setLevel(false),
  );
  f.return(f.i32(1));
}

export function privilegeFunctions(): WasmFunctions {
  return {
    supervisorAccessChanged(f, _callee, vcpu) {
      const cpu = new Privilege(f, vcpu);
      // Where breakpoints watch data, all accesses stay checked.
      f.if(cpu.field("mmuMode").ne(MMU_MODE.checked), () => cpu.setSupervisorAccess());
    },
    enterSupervisor(f, _callee, vcpu) {
      const cpu = new Privilege(f, vcpu);
      const selector = f.param(0).and(0xfffc);
      loadFlat(cpu, selector, selector.add(8).and(0xffff), 0);
      cpu.setLevel(false);
    },
    enterUser(f, _callee, vcpu) {
      const cpu = new Privilege(f, vcpu);
      const selector = f.param(0);
      loadFlat(cpu, selector.add(16).and(0xffff).or(3), selector.add(8).and(0xffff).or(3), USER);
      cpu.setLevel(true);
    },
    returnTo: (f, _callee, vcpu) => returnTo(f, vcpu),
  };
}
