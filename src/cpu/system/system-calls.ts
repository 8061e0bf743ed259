/** SYSCALL, SYSRET, SYSENTER and SYSEXIT: flat segments without a look at descriptors. @spec SDM 3A 5.8.7, 5.8.8 */
import { CS, RCX, RDX, RSP, SS, VECTOR } from "../../isa/semantics.ts";
import { fieldAddress } from "../state.ts";
import { addDebugTraps, DR6, dropSingleStep } from "./debug-registers.ts";
import { afterFlagsLoaded } from "./eflags.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { ATTRIBUTE, FLAG, isCanonical, isLong, isProtected } from "./mode.ts";
import type { SystemContext } from "./system.ts";

const FLAT = ATTRIBUTE.present | ATTRIBUTE.codeOrData | ATTRIBUTE.granularity | ATTRIBUTE.writable | ATTRIBUTE.accessed;
const CODE32 = FLAT | ATTRIBUTE.code | ATTRIBUTE.big;
const CODE64 = FLAT | ATTRIBUTE.code | ATTRIBUTE.long;
const STACK = FLAT | ATTRIBUTE.big;

/** Loads CS and SS with flat segments of privilege level `cpl`. */
function loadFlat(cpu: SystemContext, cs: number, ss: number, codeAttributes: number, cpl: number): void {
  const { registers } = cpu;
  const dpl = cpl << 5;
  registers.setSegment(CS, { selector: cs, base: 0n, limit: 0xffff_ffff, attributes: codeAttributes | dpl });
  registers.setSegment(SS, { selector: ss, base: 0n, limit: 0xffff_ffff, attributes: STACK | dpl });
  registers.set32("cpl", cpl);
  cpu.modeChanged();
}

/** Bits 63:32 of IA32_STAR, read as a word: system calls are too frequent for a detour by BigInt. */
function starSelectors({ registers }: SystemContext): number {
  return registers.i32[(fieldAddress(registers.base, "star") + 4) >> 2] as number;
}

/** The selector in IA32_SYSENTER_CS; null is #GP(0). */
function sysenterSelector(cpu: SystemContext): number {
  const selector = cpu.registers.get32("sysenterCs") & 0xffff;
  if ((selector & 0xfffc) === 0) throw new GuestFault(VECTOR.GP);
  return selector;
}

/** What the system call instructions call; see src/isa/transfer.ts. */
export function systemCallFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
    /** CS, SS, CPL and RFLAGS of SYSCALL; RCX, R11 and RIP are the meaning's. */
    enterSystemCall(): void {
      const selector = starSelectors(cpu) & 0xfffc;
      const before = registers.eflags;
      const after = before & ~(registers.get32("sfmask") | FLAG.RF);
      registers.eflags = after | FLAG.fixed;
      // Unlike with other instructions, the new TF decides about the single-step trap.
      if (before & ~after & FLAG.TF) dropSingleStep(registers);
      loadFlat(cpu, selector, (selector + 8) & 0xffff, CODE64, 0);
    },
    /** CS, SS, CPL and RFLAGS of SYSRET: `flags` is R11, the operand size tells 64-bit from compatibility mode. */
    leaveSystemCall(flags: number, operandSize: number): void {
      const selector = starSelectors(cpu) >>> 16;
      const before = registers.get32("eflagsSystem");
      registers.eflags = (flags & 0x3c_7fd7) | FLAG.fixed;
      if (flags & FLAG.TF) addDebugTraps(registers, DR6.BS);
      else if (before & FLAG.TF) dropSingleStep(registers);
      const wide = operandSize === 64;
      const code = ((selector + (wide ? 16 : 0)) & 0xffff) | 3;
      loadFlat(cpu, code, ((selector + 8) & 0xffff) | 3, wide ? CODE64 : CODE32, 3);
      afterFlagsLoaded(cpu, before);
    },
    sysenter(): bigint {
      if (!isProtected(registers)) throw new GuestFault(VECTOR.GP);
      const selector = sysenterSelector(cpu) & 0xfffc;
      const long = isLong(registers);
      registers.set32("eflagsSystem", registers.get32("eflagsSystem") & ~(FLAG.VM | FLAG.IF | FLAG.RF));
      const stack = registers.get64("sysenterEsp");
      const entry = registers.get64("sysenterEip");
      registers.setGpr(RSP, long ? stack : BigInt.asUintN(32, stack));
      loadFlat(cpu, selector, (selector + 8) & 0xffff, long ? CODE64 : CODE32, 0);
      return long ? entry : BigInt.asUintN(32, entry);
    },
    sysexit(operandSize: number): bigint {
      if (!isProtected(registers)) throw new GuestFault(VECTOR.GP);
      const wide = operandSize === 64;
      const selector = sysenterSelector(cpu) + (wide ? 32 : 16);
      const ip = registers.gpr(RDX);
      const pointer = registers.gpr(RCX);
      if (wide && !(isCanonical(ip) && isCanonical(pointer))) throw new GuestFault(VECTOR.GP);
      registers.setGpr(RSP, wide ? pointer : BigInt.asUintN(32, pointer));
      loadFlat(cpu, (selector & 0xffff) | 3, ((selector + 8) & 0xffff) | 3, wide ? CODE64 : CODE32, 3);
      return wide ? ip : BigInt.asUintN(32, ip);
    },
  };
}
