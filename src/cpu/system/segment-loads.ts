/**
 * Changes of segments and of protection that boot loaders and kernels make all the time, as WebAssembly, in all modes but
 * 64-bit mode. Each function returns 0, and has done nothing, where anything is out of the ordinary; the instruction then calls TypeScript.
 */
import { CS, DS, ES, SS } from "../../isa/semantics.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { tlbAddress, tlbEntry, tlbHit } from "../emit/memory.ts";
import { CONTEXT, fieldAddress, SEGMENT, TLB } from "../state.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { ATTRIBUTE, CR0, EFER, FLAG } from "./mode.ts";
import { attributesOf, baseOf, dplOf, HIGH, isFlat, limitOf, Privilege } from "./privilege.ts";

const DATA = ATTRIBUTE.present | ATTRIBUTE.codeOrData | ATTRIBUTE.writable | ATTRIBUTE.accessed;
const SIZES = ATTRIBUTE.big | ATTRIBUTE.granularity;
/** What code is built for: it depends on these segments being flat. */
const SHAPING = [ES, CS, SS, DS] as const;

type Unless = (condition: Value) => void;
const refusing =
  (f: FunctionBuilder): Unless =>
  (condition) =>
    f.ifRare(condition.eqz(), () => f.return(f.i32(0)));

const isReal = (cpu: Privilege): Value => cpu.field("cr0").and(CR0.PE).eqz();

/** Loads a segment register of real-address mode, which keeps limit and sizes; what code is built for stays as it is. @spec SDM 3A 20.1.1 */
function loadReal(cpu: Privilege, index: number | Value, selector: Value, unless: Unless): void {
  const rights = cpu.segment(index, SEGMENT.attributes);
  unless(rights.and(ATTRIBUTE.unusable).eqz());
  cpu.setSegment(index, {
    selector,
    base: selector.shl(4),
    limit: cpu.segment(index, SEGMENT.limit),
    attributes: rights.and(SIZES).or(DATA),
    readable: true,
    writable: true,
  });
}

/** What `contextBits` of ../follow-mode.ts says, outside of IA-32e mode. */
function followSegments(f: FunctionBuilder, vcpu: number, cpu: Privilege): void {
  const isWhole = (index: number, [min, max]: readonly [number, number]) =>
    cpu.segment(index, min).eqz().and(cpu.segment(index, max).eq(-1));
  const all = SHAPING.map((index) => {
    const readable = cpu
      .base(index)
      .eqz()
      .and(isWhole(index, [SEGMENT.readMin, SEGMENT.readMax]));
    return index === CS ? readable : readable.and(isWhole(index, [SEGMENT.writeMin, SEGMENT.writeMax]));
  });
  const isProtected = cpu.field("cr0").and(CR0.PE).and(cpu.field("eflagsSystem").and(FLAG.VM).eqz());
  const flat = all.reduce((both, each) => both.and(each), isProtected);
  const isBig = (index: number) => cpu.segment(index, SEGMENT.attributes).and(ATTRIBUTE.big);
  const bits = f
    .i32(CONTEXT.code32)
    .when(isBig(CS), 0)
    .or(f.i32(CONTEXT.stack32).when(isBig(SS), 0))
    .or(f.i32(CONTEXT.flat).when(flat, 0));
  const shape = CONTEXT.code32 | CONTEXT.stack32 | CONTEXT.flat;
  f.store("i32", 0, cpu.field("context").and(~shape).or(bits), fieldAddress(vcpu, "context"));
}

/** Outside of IA-32e mode, where `followSegments` would not do. */
const isLegacy = (cpu: Privilege): Value => cpu.field("efer").and(EFER.LMA).eqz();

/** What tells a data segment's descriptor that has been used before from all others. */
const DATA_KIND = HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.conforming | HIGH.accessed;
const USUAL_DATA = HIGH.present | HIGH.codeOrData | HIGH.accessed;

/**
 * The parameters of `loadUsualSegment` and, where the segment may change what code is built for, of `loadShapingSegment` in
 * src/isa/segment.ts. @spec SDM 2, MOV
 */
function loadDataSegment(f: FunctionBuilder, vcpu: number, mayShape: boolean): void {
  const cpu = new Privilege(f, vcpu);
  const [index, selector] = [f.param(0), f.param(1).and(0xffff)];
  const unless = refusing(f);
  f.if(isReal(cpu), () => {
    loadReal(cpu, index, selector, unless);
    f.return(f.i32(1));
  });
  unless(cpu.field("eflagsSystem").and(FLAG.VM).eqz());
  const shapes = index.eq(ES).or(index.eq(DS));
  const isFlatCode = mayShape ? f.i32(0) : cpu.field("context").and(CONTEXT.flat);
  // Flat code goes on after this and stays flat.
  const mustBeFlat = shapes.and(isFlatCode.ne(0));
  const follow = () => f.if(shapes.and(isFlatCode.eqz()), () => followSegments(f, vcpu, cpu));
  unless(isLegacy(cpu).or(shapes.eqz()).or(isFlatCode.ne(0)));
  f.if(selector.leU(3), () => {
    unless(mustBeFlat.eqz());
    cpu.setNull(index, selector);
    follow();
    f.return(f.i32(1));
  });
  const { low, high } = cpu.descriptor(selector);
  unless(high.and(DATA_KIND).eq(USUAL_DATA));
  const dpl = dplOf(high);
  unless(selector.and(3).leU(dpl).and(cpu.field("cpl").leU(dpl)));
  const writable = high.and(HIGH.writable);
  unless(mustBeFlat.eqz().or(isFlat(low, high).and(writable.ne(0))));
  setData(cpu, index, selector, { low, high });
  follow();
  f.return(f.i32(1));
}

function setData(
  cpu: Privilege,
  index: number | Value,
  selector: Value,
  { low, high }: { low: Value; high: Value },
): void {
  cpu.setSegment(index, {
    selector,
    base: baseOf(low, high),
    limit: limitOf(low, high),
    attributes: attributesOf(high),
    readable: true,
    writable: high.and(HIGH.writable),
  });
}

/** The parameters of `loadUsualStack` in src/isa/segment.ts. @spec SDM 2, MOV */
function loadUsualStack(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const selector = f.param(0).and(0xffff);
  const unless = refusing(f);
  // What waits is held off by TypeScript.
  const waits = cpu.field("interruptPending").or(cpu.field("debugTraps")).or(cpu.isWatched());
  unless(
    waits
      .or(cpu.field("eflagsSystem").and(FLAG.TF | FLAG.VM))
      .eqz()
      .and(isLegacy(cpu)),
  );
  f.if(isReal(cpu), () => {
    loadReal(cpu, SS, selector, unless);
    f.return(f.i32(1));
  });
  const { low, high } = cpu.descriptor(selector);
  unless(high.and(DATA_KIND | HIGH.writable).eq(USUAL_DATA | HIGH.writable));
  const cpl = cpu.field("cpl");
  unless(selector.and(3).eq(cpl).and(dplOf(high).eq(cpl)));
  setData(cpu, SS, selector, { low, high });
  followSegments(f, vcpu, cpu);
  f.return(f.i32(1));
}

/** The parameters of `enterUsualSegment` in src/isa/transfer.ts. @spec SDM 2, JMP */
function enterUsualSegment(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const [selector, offset] = [f.param(0), f.param(1)];
  const unless = refusing(f);
  unless(isLegacy(cpu).and(cpu.field("eflagsSystem").and(FLAG.VM).eqz()));
  f.if(isReal(cpu), () => {
    unless(offset.leU(cpu.segment(CS, SEGMENT.limit)));
    loadReal(cpu, CS, selector, unless);
    f.return(f.i32(1));
  });
  const { low, high } = cpu.descriptor(selector);
  const kind = HIGH.present | HIGH.codeOrData | HIGH.code | HIGH.accessed;
  unless(high.and(kind).eq(kind));
  const [cpl, dpl] = [cpu.field("cpl"), dplOf(high)];
  const isOpen = high.and(HIGH.conforming).ne(0).and(dpl.leU(cpl));
  unless(isOpen.or(selector.and(3).leU(cpl).and(dpl.eq(cpl))));
  const limit = limitOf(low, high);
  unless(offset.leU(limit));
  cpu.setSegment(CS, {
    selector: selector.and(0xfffc).or(cpl),
    base: baseOf(low, high),
    limit,
    attributes: attributesOf(high),
    readable: high.and(HIGH.writable),
    writable: false,
  });
  followSegments(f, vcpu, cpu);
  f.return(f.i32(1));
}

/** The parameters of `switchProtection` in src/isa/control.ts. @spec SDM 3A 9.9 */
function switchProtection(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const [number, value] = [f.param(0), f.param(1)];
  const unless = refusing(f);
  const old = cpu.field("cr0");
  const isPlain = old.xor(value).eq(CR0.PE).and(old.and(CR0.PG).eqz());
  unless(number.eqz().and(isPlain).and(isLegacy(cpu)));
  f.store("i64", 0, value.extendU(), fieldAddress(vcpu, "cr0"));
  followSegments(f, vcpu, cpu);
  f.return(f.i32(1));
}

/** The parameters of `enterRealSegment` in src/isa/real-mode.ts. @spec SDM 2, JMP, IRET */
function enterRealSegment(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const [selector, offset, attention] = [f.param(0), f.param(1), f.param(2)];
  const unless = refusing(f);
  unless(isReal(cpu).and(attention.eqz()));
  unless(offset.leU(cpu.segment(CS, SEGMENT.limit)));
  loadReal(cpu, CS, selector, unless);
  f.return(f.i32(1));
}

/** The parameters of `realVector` in src/isa/real-mode.ts. @spec SDM 3A 20.1.4 */
function realVector(f: FunctionBuilder, vcpu: number): void {
  const cpu = new Privilege(f, vcpu);
  const vector = f.param(0);
  const unless = refusing(f);
  const special = cpu
    .isWatched()
    .or(cpu.field("observed"))
    .or(cpu.segment(CS, SEGMENT.attributes).and(ATTRIBUTE.unusable));
  unless(isReal(cpu).and(special.or(cpu.field("eflagsSystem").and(FLAG.TF | FLAG.AC | FLAG.RF)).eqz()));
  const at = vector.shl(2);
  unless(at.add(3).leU(cpu.field("idtLimit")));
  const linear = f.load("i64", 0, fieldAddress(vcpu, "idtBase")).add(at.extendU());
  const entry = tlbEntry(cpu.field("tlb"), linear);
  unless(tlbHit(f, entry, linear, 4, TLB.read));
  f.return(f.load("i32", tlbAddress(f, entry, linear)));
}

export function segmentLoadFunctions(): WasmFunctions {
  return {
    loadUsualSegment: (f, _callee, vcpu) => loadDataSegment(f, vcpu, false),
    loadShapingSegment: (f, _callee, vcpu) => loadDataSegment(f, vcpu, true),
    loadUsualStack: (f, _callee, vcpu) => loadUsualStack(f, vcpu),
    enterUsualSegment: (f, _callee, vcpu) => enterUsualSegment(f, vcpu),
    switchProtection: (f, _callee, vcpu) => switchProtection(f, vcpu),
    enterRealSegment: (f, _callee, vcpu) => enterRealSegment(f, vcpu),
    realVector: (f, _callee, vcpu) => realVector(f, vcpu),
  };
}
