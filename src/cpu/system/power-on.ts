/** The processor's state after RESET. @spec SDM 3A 10.1.1, table 10-1 */
import { CS } from "../../isa/semantics.ts";
import { FPU, LDTR, TR, XMM } from "../state.ts";
import { MISC_ENABLE_RESET, PAT_RESET } from "./msrs.ts";
import type { SystemContext } from "./system.ts";

/** Present, writable, accessed data: also CS, until the first far jump. */
const PRESENT_DATA = 0x93;

/** `signature` is CPUID leaf 1's EAX, which DX holds after a reset. */
export function powerOn({ registers }: SystemContext, signature: number): void {
  for (let i = 0; i < 16; i++) registers.setGpr(i, 0n);
  registers.setGpr(2, BigInt(signature >>> 0));
  for (let i = 0; i < 6; i++) {
    const code = i === CS;
    registers.setSegment(i, {
      selector: code ? 0xf000 : 0,
      base: code ? 0xffff_0000n : 0n,
      limit: 0xffff,
      attributes: PRESENT_DATA,
    });
  }
  registers.setSegment(LDTR, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x82 });
  registers.setSegment(TR, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x8b });
  registers.eflags = 2;
  const words: Record<string, bigint> = {
    ip: 0xfff0n,
    cr0: 0x6000_0010n,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    xcr0: 1n,
    efer: 0n,
    star: 0n,
    lstar: 0n,
    cstar: 0n,
    sfmask: 0n,
    kernelGsBase: 0n,
    tscAux: 0n,
    tscOffset: 0n,
    sysenterCs: 0n,
    sysenterEsp: 0n,
    sysenterEip: 0n,
    pat: PAT_RESET,
    miscEnable: MISC_ENABLE_RESET,
    dr0: 0n,
    dr1: 0n,
    dr2: 0n,
    dr3: 0n,
    dr6: 0xffff_0ff0n,
    dr7: 0x400n,
    gdtBase: 0n,
    idtBase: 0n,
    fpuIp: 0n,
    fpuDp: 0n,
    heldOffAt: -1n,
  };
  for (const [name, value] of Object.entries(words)) registers.set64(name, value);
  const fields: Record<string, number> = {
    cpl: 0,
    mxcsr: 0x1f80,
    fpuControl: 0x40,
    fpuStatus: 0,
    fpuTag: 0,
    fpuTop: 0,
    fpuOpcode: 0,
    fpuCs: 0,
    fpuDs: 0,
    gdtLimit: 0xffff,
    idtLimit: 0xffff,
    shadow: 0,
    debugTraps: 0,
    stepping: 0,
    nmiBlocked: 0,
    activity: 0,
    exit: 0,
    pc: 0,
  };
  for (const [name, value] of Object.entries(fields)) registers.set32(name, value);
  registers.bytes.fill(0, registers.base + FPU, registers.base + FPU + 8 * 16);
  registers.bytes.fill(0, registers.base + XMM, registers.base + XMM + 16 * 32);
}
