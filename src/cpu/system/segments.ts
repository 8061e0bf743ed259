/** Loading segment registers. @spec SDM 3A 3.4, 5.2–5.6; SDM 2, MOV, POP, LDS */
import { CS, DS, ES, SS, VECTOR } from "../../isa/semantics.ts";
import { SHADOW } from "../state.ts";
import { dropSingleStep } from "./debug-registers.ts";
import {
  attributesOf,
  baseOf,
  type Descriptor,
  dplOf,
  is64BitCode,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isWritableData,
  limitOf,
  markAccessed,
  readDescriptor,
  selectorError,
  systemTypeOf,
} from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { ATTRIBUTE, hasRealSegments, is64Bit, isLong, isVirtual8086 } from "./mode.ts";
import type { SystemContext } from "./system.ts";

const DATA = ATTRIBUTE.present | ATTRIBUTE.codeOrData | ATTRIBUTE.writable | ATTRIBUTE.accessed;

/**
 * Loads a segment register (CS too) in real-address or virtual-8086 mode. Real-address mode keeps limit and
 * sizes as they are, so that a segment with a large limit from protected mode stays usable.
 */
export function loadRealSegment(cpu: SystemContext, index: number, selector: number): void {
  const { registers } = cpu;
  const base = BigInt((selector & 0xffff) << 4);
  if (isVirtual8086(registers)) {
    registers.setSegment(index, { selector, base, limit: 0xffff, attributes: DATA | ATTRIBUTE.dpl });
  } else {
    const rights = registers.attributes(index);
    const sizes = rights & (ATTRIBUTE.big | ATTRIBUTE.granularity);
    // A null selector loaded in protected mode leaves no limit that real-address mode could go on with.
    const limit = rights & ATTRIBUTE.unusable ? 0xffff : registers.limit(index);
    registers.setSegment(index, { selector, base, limit, attributes: DATA | sizes });
  }
}

/** Puts a null selector in a segment register: unusable, of the given privilege level. */
export function loadNullSegment(cpu: SystemContext, index: number, selector: number, dpl = 0): void {
  const attributes = ATTRIBUTE.unusable | (dpl << 5);
  cpu.registers.setSegment(index, { selector, base: 0n, limit: 0, attributes });
}

function wideBase(descriptor: Descriptor): bigint {
  const base = baseOf(descriptor);
  return base === 0 ? 0n : BigInt(base);
}

/** Writes a checked data or stack segment's descriptor to a segment register. */
export function writeSegment(cpu: SystemContext, index: number, selector: number, descriptor: Descriptor): void {
  cpu.registers.setSegment(index, {
    selector,
    base: wideBase(descriptor),
    limit: limitOf(descriptor),
    attributes: attributesOf(descriptor) | ATTRIBUTE.accessed,
  });
}

/** Enters a checked code segment at privilege level `cpl`. A 64-bit segment gets base 0 and limit 4 GiB, as it behaves. */
export function writeCodeSegment(cpu: SystemContext, selector: number, descriptor: Descriptor, cpl: number): void {
  const { registers } = cpu;
  const flat = isLong(registers) && is64BitCode(descriptor);
  registers.setSegment(CS, {
    selector: (selector & 0xfffc) | cpl,
    base: flat ? 0n : wideBase(descriptor),
    limit: flat ? 0xffff_ffff : limitOf(descriptor),
    attributes: attributesOf(descriptor) | ATTRIBUTE.accessed,
  });
  registers.set32("cpl", cpl);
}

/**
 * The descriptor of a stack segment for code of privilege level `cpl`; the selector is not null. Faults are
 * `vector` for what the segment is and #SS where it is not present, both with the selector.
 */
export function readStackSegment(
  cpu: SystemContext,
  selector: number,
  cpl: number,
  vector: number,
  ext = 0,
): Descriptor {
  const descriptor = readDescriptor(cpu, selector, vector, ext);
  if ((selector & 3) !== cpl || !isWritableData(descriptor) || dplOf(descriptor) !== cpl) {
    throw new GuestFault(vector, selectorError(selector, ext));
  }
  if (!isPresent(descriptor)) throw new GuestFault(VECTOR.SS, selectorError(selector, ext));
  return descriptor;
}

/** The descriptor of a data segment as MOV to DS checks it; the selector is not null. */
export function readDataSegment(cpu: SystemContext, selector: number, cpl: number, vector: number): Descriptor {
  const descriptor = readDescriptor(cpu, selector, vector);
  const code = isCode(descriptor);
  const readable = systemTypeOf(descriptor) === undefined && (!code || (descriptor.high & 0x200) !== 0);
  const dpl = dplOf(descriptor);
  const open = code && isConforming(descriptor);
  if (!readable || (!open && ((selector & 3) > dpl || cpl > dpl))) {
    throw new GuestFault(vector, selectorError(selector));
  }
  if (!isPresent(descriptor)) throw new GuestFault(VECTOR.NP, selectorError(selector));
  return descriptor;
}

/** Loads ES, SS, DS, FS or GS as MOV and POP do. Faults leave everything as it was. */
export function loadSegment(cpu: SystemContext, index: number, selector: number): void {
  const { registers } = cpu;
  if (index === CS || index > 5) throw new GuestFault(VECTOR.UD);
  if (hasRealSegments(registers)) {
    loadRealSegment(cpu, index, selector);
  } else {
    const cpl = registers.get32("cpl");
    if (!isNull(selector)) {
      const descriptor =
        index === SS ? readStackSegment(cpu, selector, cpl, VECTOR.GP) : readDataSegment(cpu, selector, cpl, VECTOR.GP);
      markAccessed(cpu, descriptor);
      writeSegment(cpu, index, selector, descriptor);
    } else if (index === SS) {
      // 64-bit mode has a use for a null SS, except at privilege level 3.
      if (!is64Bit(registers) || cpl === 3 || selector !== cpl) throw new GuestFault(VECTOR.GP);
      loadNullSegment(cpu, SS, selector, cpl);
    } else {
      loadNullSegment(cpu, index, selector);
    }
  }
  if (index === SS || ((index === DS || index === ES) && !is64Bit(registers))) cpu.modeChanged();
}

/** What MOV, POP and the far pointer loads call; see src/isa/segment.ts. */
export function segmentFunctions(cpu: SystemContext): HostFunctions {
  return {
    loadSegment(index: number, selector: number): void {
      loadSegment(cpu, index, selector & 0xffff);
    },
    /** MOV and POP to SS also hold off interrupts and debug traps until after the next instruction. */
    loadStackSegment(selector: number): void {
      loadSegment(cpu, SS, selector & 0xffff);
      cpu.registers.set32("shadow", SHADOW.debugTraps);
      dropSingleStep(cpu.registers);
      cpu.requestEvents();
    },
  };
}
