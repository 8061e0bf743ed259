/**
 * Interrupts and exceptions of protected mode in WebAssembly, where all is as 32-bit kernels have it: from flat 32-bit code
 * through a present interrupt or trap gate of 32 bits to flat code of privilege level 0, on a flat stack within one page.
 * All else is `deliverProtected` of interrupts.ts. @spec SDM 3A 6.12
 */
import { CS, SS } from "../../isa/semantics.ts";
import type { Value } from "../../wasm/value.ts";
import { ACCESS } from "../mmu/address-translation.ts";
import { SEGMENT, TR } from "../state.ts";
import { type DeliveryAccess, GATE } from "./delivery-access.ts";
import { ATTRIBUTE } from "./mode.ts";
import { attributesOf, dplOf, FLAT32, HIGH, isFlat } from "./privilege.ts";

const GATE_BYTES = 8;
/** Of a 32-bit TSS: where ESP0 and SS0 lie, its last byte that is looked at, and what its type has. @spec SDM 3A 7.2.1 */
const TSS32 = { esp0: 4, end: 11, type: 8 } as const;
/** Bytes of the longest frame. */
const FRAME_BYTES = 24;

/** Bits of a descriptor that tell of what kind it is, less its privilege level. */
const KIND =
  HIGH.present |
  HIGH.codeOrData |
  HIGH.code |
  HIGH.conforming |
  HIGH.writable |
  HIGH.accessed |
  HIGH.big |
  HIGH.granularity |
  HIGH.long;
/** A data segment that can be written, has been used, and does not expand downwards. */
export const DATA32 = HIGH.present | HIGH.codeOrData | HIGH.writable | HIGH.accessed | HIGH.big | HIGH.granularity;
/** A code segment of 32 bits that can be read, has been used, and is not conforming. */
export const CODE32 = DATA32 | HIGH.code;

/** Not zero where a descriptor is that of a flat segment of this kind and privilege level. */
export function isFlatOf(kind: number, low: Value, high: Value, dpl: Value | number): Value {
  return isFlat(low, high).and(high.and(KIND).eq(kind)).and(dplOf(high).eq(dpl));
}

export interface ProtectedEvent {
  readonly vector: Value;
  /** What is pushed. */
  readonly flags: Value;
  readonly ip: Value;
  readonly hasCode?: Value;
  readonly errorCode?: Value;
  /** ESP as it is. */
  readonly esp: Value;
  /** Whether the gate's privilege level counts: for INT n. */
  readonly isSoftware?: boolean;
}

/**
 * Pushes the frame and sets segments, flags and privilege; gives EIP and ESP (i32) of the handler, which the caller sets.
 * `begins` is called when nothing can come between any more.
 */
export function throughProtectedGate(
  delivery: DeliveryAccess,
  event: ProtectedEvent,
  begins: () => void = () => {},
): { readonly ip: Value; readonly esp: Value } {
  const { f, cpu } = delivery;
  const { vector, esp } = event;
  const unless = (condition: Value) => delivery.unless(condition);
  const reach = (linear: Value, bytes: number, access: 0 | typeof ACCESS.write = 0) =>
    delivery.reach(linear.extendU(), bytes, access);
  const cpl = cpu.field("cpl");
  unless(cpu.isFlat32());

  const at = vector.shl(3);
  unless(at.add(GATE_BYTES - 1).leU(cpu.field("idtLimit")));
  const gate = reach(cpu.field("idtBase").add(at), GATE_BYTES);
  const [gateLow, gateHigh] = [f.load("i32", gate), f.load("i32", gate, 4)];
  unless(gateHigh.and(GATE.mask).eq(GATE.value));
  if (event.isSoftware) unless(cpl.leU(dplOf(gateHigh)));

  const descriptor = (selector: Value, kind: number) => {
    const place = delivery.descriptor(selector, 0xffff_ffffn);
    const high = f.load("i32", place, 4);
    unless(isFlatOf(kind, f.load("i32", place), high, 0));
    return high;
  };
  const selector = gateLow.shrU(16);
  const code = descriptor(selector, CODE32);

  const top = f.variable("i32", esp);
  const [stackSelector, stack] = [f.variable("i32"), f.variable("i32")];
  f.if(cpl, () => {
    unless(cpu.segment(TR, SEGMENT.limit).geU(TSS32.end));
    unless(
      cpu
        .segment(TR, SEGMENT.attributes)
        .and(ATTRIBUTE.unusable | TSS32.type)
        .eq(TSS32.type),
    );
    const inner = reach(cpu.base(TR).wrap().add(TSS32.esp0), 8);
    top.set(f.load("i32", inner));
    stackSelector.set(f.load("i32.16u", inner, 4));
    unless(stackSelector.get().and(3).eqz());
    stack.set(descriptor(stackSelector.get(), DATA32));
  });
  const frame = reach(top.get().sub(FRAME_BYTES), FRAME_BYTES, ACCESS.write);

  begins();
  const pointer = f.variable("i32", frame.add(FRAME_BYTES));
  const push = (value: Value) => {
    pointer.set(pointer.get().sub(4));
    f.store("i32", pointer.get(), value);
  };
  f.if(cpl, () => {
    push(cpu.segment(SS, SEGMENT.selector));
    push(esp);
  });
  push(event.flags);
  push(cpu.segment(CS, SEGMENT.selector));
  push(event.ip);
  const { hasCode, errorCode } = event;
  if (hasCode && errorCode) f.if(hasCode, () => push(errorCode));

  delivery.clearFlags(gateHigh.and(GATE.trap));
  const flat = { base: 0, limit: -1, readable: true } as const;
  f.if(cpl, () => {
    const attributes = attributesOf(stack.get());
    cpu.setSegment(SS, { ...flat, selector: stackSelector.get(), attributes, writable: true });
  });
  cpu.setSegment(CS, {
    ...flat,
    selector: selector.and(0xfffc),
    attributes: attributesOf(code),
    writable: false,
  });
  cpu.setLevel(false, FLAT32);
  return {
    ip: gateHigh.and(0xffff_0000 | 0).or(gateLow.and(0xffff)),
    esp: top.get().add(pointer.get().sub(frame.add(FRAME_BYTES))),
  };
}
