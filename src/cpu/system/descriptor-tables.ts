/**
 * LDTR and TR, and the instructions that ask about segments; see src/isa/descriptor-table.ts.
 * @spec SDM 3A 2.4, 5.10; SDM 2, LGDT, LLDT, LTR, LAR, LSL, VERR
 */
import { LOOK } from "../../isa/descriptor-table.ts";
import { VECTOR } from "../../isa/semantics.ts";
import { LDTR, TR } from "../state.ts";
import {
  attributesOf,
  baseOf,
  type Descriptor,
  dplOf,
  findDescriptor,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isWritableData,
  limitOf,
  readDescriptor,
  SYSTEM_TYPE,
  selectorError,
  setBusy,
  systemTypeOf,
  upperHalf,
} from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4, hasRealSegments, isCanonical, isLong } from "./mode.ts";
import { loadNullSegment } from "./segments.ts";
import type { SystemContext } from "./system.ts";

/** CR4.UMIP keeps programs from reading where tables are. */
function requireStorable({ registers }: SystemContext): void {
  if (registers.get32("cpl") !== 0 && registers.get32("cr4") & CR4.UMIP) throw new GuestFault(VECTOR.GP);
}

function requireProtected({ registers }: SystemContext): void {
  if (hasRealSegments(registers)) throw new GuestFault(VECTOR.UD);
}

/** The descriptor of an LDT or TSS in the GDT, with all of its base address. */
function readSystemSegment(cpu: SystemContext, selector: number, types: readonly number[]): [Descriptor, bigint] {
  const refuse = () => new GuestFault(VECTOR.GP, selectorError(selector));
  if (selector & 4) throw refuse();
  const descriptor = readDescriptor(cpu, selector, VECTOR.GP);
  if (!types.includes(systemTypeOf(descriptor) ?? 0)) throw refuse();
  if (!isPresent(descriptor)) throw new GuestFault(VECTOR.NP, selectorError(selector));
  let base = BigInt(baseOf(descriptor));
  if (isLong(cpu.registers)) {
    base |= upperHalf(cpu, descriptor, selector) << 32n;
    if (!isCanonical(base)) throw refuse();
  }
  return [descriptor, base];
}

function loadLdt(cpu: SystemContext, selector: number): void {
  if (isNull(selector)) {
    loadNullSegment(cpu, LDTR, selector);
    return;
  }
  const [descriptor, base] = readSystemSegment(cpu, selector, [SYSTEM_TYPE.ldt]);
  const attributes = attributesOf(descriptor);
  cpu.registers.setSegment(LDTR, { selector, base, limit: limitOf(descriptor), attributes });
}

function loadTask(cpu: SystemContext, selector: number): void {
  if (isNull(selector)) throw new GuestFault(VECTOR.GP);
  const types = isLong(cpu.registers) ? [SYSTEM_TYPE.tss32] : [SYSTEM_TYPE.tss16, SYSTEM_TYPE.tss32];
  const [descriptor, base] = readSystemSegment(cpu, selector, types);
  setBusy(cpu, descriptor, true);
  const attributes = attributesOf(descriptor) | 2;
  cpu.registers.setSegment(TR, { selector, base, limit: limitOf(descriptor), attributes });
}

/** System descriptors that LAR and LSL know. @spec SDM 2, LAR and LSL, tables of types */
const KNOWN: Record<number, { long: ReadonlySet<number>; legacy: ReadonlySet<number> }> = {
  [LOOK.rights]: { legacy: new Set([1, 2, 3, 4, 5, 9, 11, 12]), long: new Set([2, 9, 11, 12]) },
  [LOOK.limit]: { legacy: new Set([1, 2, 3, 9, 11]), long: new Set([2, 9, 11]) },
};

/** Whether a program may know of a segment: its type is known and its privilege level is not an inner one. */
function isVisible(cpu: SystemContext, selector: number, what: number): boolean {
  requireProtected(cpu);
  if (isNull(selector)) return false;
  const descriptor = findDescriptor(cpu, selector);
  if (!descriptor) return false;
  const type = systemTypeOf(descriptor);
  const known = KNOWN[what]?.[isLong(cpu.registers) ? "long" : "legacy"];
  if (type !== undefined && !known?.has(type)) return false;
  return (isCode(descriptor) && isConforming(descriptor)) || isWithinReach(cpu, selector, descriptor);
}

function isWithinReach({ registers }: SystemContext, selector: number, descriptor: Descriptor): boolean {
  const dpl = dplOf(descriptor);
  return dpl >= registers.get32("cpl") && dpl >= (selector & 3);
}

function verify(cpu: SystemContext, selector: number, write: boolean): boolean {
  requireProtected(cpu);
  if (isNull(selector)) return false;
  const descriptor = findDescriptor(cpu, selector);
  if (!descriptor || systemTypeOf(descriptor) !== undefined) return false;
  if (write) return isWritableData(descriptor) && isWithinReach(cpu, selector, descriptor);
  if (!isCode(descriptor)) return isWithinReach(cpu, selector, descriptor);
  const readable = (descriptor.high & 0x200) !== 0;
  return readable && (isConforming(descriptor) || isWithinReach(cpu, selector, descriptor));
}

export function descriptorTableFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
    loadLdt: (selector: number): void => loadLdt(cpu, selector & 0xffff),
    loadTask: (selector: number): void => loadTask(cpu, selector & 0xffff),
    storeLdt(): number {
      requireProtected(cpu);
      requireStorable(cpu);
      return registers.selector(LDTR);
    },
    storeTask(): number {
      requireProtected(cpu);
      requireStorable(cpu);
      return registers.selector(TR);
    },
    segmentVisible: (selector: number, what: number): number => (isVisible(cpu, selector & 0xffff, what) ? 1 : 0),
    segmentRights(selector: number): number {
      // Bits 23:8 of the descriptor's second doubleword, which are limit bits 19:16 too.
      return (findDescriptor(cpu, selector & 0xffff)?.high ?? 0) & 0xff_ff00;
    },
    segmentLimit(selector: number): number {
      const descriptor = findDescriptor(cpu, selector & 0xffff);
      return descriptor ? limitOf(descriptor) | 0 : 0;
    },
    verifySegment: (selector: number, write: number): number => (verify(cpu, selector & 0xffff, write !== 0) ? 1 : 0),
    requireProtected: (): void => requireProtected(cpu),
  };
}
