/** A processor for tests of system functions: registers, and memory without paging. */

import { Registers } from "../../registers.ts";
import { FIELDS_SIZE, SEGMENTS } from "../../state.ts";
import { GuestFault } from "../guest-fault.ts";
import type { SystemContext } from "../system.ts";

export const RAM_SIZE = 0x10_0000;
/** Where the tests put the descriptor tables. */
export const GDT = 0x1000;
export const IDT = 0x2000;
export const LDT = 0x3000;
export const TSS = 0x4000;

/** A segment descriptor; `type` has the four type bits, `system` clears S. */
export interface DescriptorFields {
  readonly base?: number;
  readonly limit?: number;
  readonly type: number;
  readonly system?: boolean;
  readonly dpl?: number;
  readonly present?: boolean;
  readonly long?: boolean;
  readonly big?: boolean;
  readonly pages?: boolean;
}

/** The eight bytes of a segment descriptor. @spec SDM 3A figure 3-8 */
export function descriptor(fields: DescriptorFields): bigint {
  const { base = 0, limit = 0xffff, type, dpl = 0 } = fields;
  const rights = type | (fields.system ? 0 : 0x10) | (dpl << 5) | (fields.present === false ? 0 : 0x80);
  const sizes = (fields.long ? 2 : 0) | (fields.big ? 4 : 0) | (fields.pages ? 8 : 0);
  const low = ((limit & 0xffff) | (base << 16)) >>> 0;
  const high =
    (((base >>> 16) & 0xff) | (rights << 8) | (limit & 0xf_0000) | (sizes << 20) | (base & 0xff00_0000)) >>> 0;
  return (BigInt(high) << 32n) | BigInt(low);
}

/** The first eight bytes of a gate. @spec SDM 3A figures 5-8 and 6-2 */
export function gate(fields: {
  selector: number;
  offset: number;
  type: number;
  dpl?: number;
  present?: boolean;
  /** Parameter count or interrupt stack. */
  count?: number;
}): bigint {
  const { selector, offset, type, dpl = 0, count = 0 } = fields;
  const rights = type | (dpl << 5) | (fields.present === false ? 0 : 0x80);
  const low = ((offset & 0xffff) | (selector << 16)) >>> 0;
  const high = (count | (rights << 8) | (offset & 0xffff_0000)) >>> 0;
  return (BigInt(high) << 32n) | BigInt(low);
}

export class FlatCpu implements SystemContext {
  readonly registers: Registers;
  readonly ram = new DataView(new ArrayBuffer(RAM_SIZE));
  /** Pages (address / 4096) whose access raises #PF. */
  readonly absent = new Set<number>();
  /** Linear addresses and sizes of accesses made with supervisor rights. */
  readonly supervisorAccesses: number[] = [];
  modeChanges = 0;
  flushes = 0;
  eventRequests = 0;

  constructor() {
    if (FIELDS_SIZE <= SEGMENTS) throw new Error("fields end before the segment registers");
    this.registers = new Registers({ buffer: new ArrayBuffer(FIELDS_SIZE) }, 0);
    // There is no software TLB: it would begin where the state ends.
    this.registers.set32("tlb", FIELDS_SIZE);
  }

  readonly memory = {
    read: (linear: bigint, bytes: number, supervisor: boolean): bigint => {
      const at = this.#place(linear, supervisor);
      if (bytes === 8) return this.ram.getBigUint64(at, true);
      return BigInt(
        bytes === 4 ? this.ram.getUint32(at, true) : bytes === 2 ? this.ram.getUint16(at, true) : this.ram.getUint8(at),
      );
    },
    write: (linear: bigint, bytes: number, value: bigint, supervisor: boolean): void => {
      const at = this.#place(linear, supervisor);
      if (value < 0n || value >> BigInt(bytes * 8)) throw new Error(`${value} does not fit ${bytes} bytes`);
      if (bytes === 8) this.ram.setBigUint64(at, value, true);
      else if (bytes === 4) this.ram.setUint32(at, Number(value), true);
      else if (bytes === 2) this.ram.setUint16(at, Number(value), true);
      else this.ram.setUint8(at, Number(value));
    },
  };

  #place(linear: bigint, supervisor: boolean): number {
    const at = Number(linear);
    if (linear < 0n) throw new Error(`linear address ${linear} is negative`);
    if (supervisor) this.supervisorAccesses.push(at);
    if (at >= RAM_SIZE || this.absent.has(at >> 12)) throw new GuestFault(14);
    return at;
  }

  modeChanged(): void {
    this.modeChanges++;
  }
  flushTlb(): void {
    this.flushes++;
  }
  flushPage(): void {
    this.flushes++;
  }
  readPort(): number {
    return 0;
  }
  writePort(): void {}
  readMachineMsr(): boolean {
    return false;
  }
  writeMachineMsr(): boolean {
    return false;
  }
  readCr8(): number {
    return 0;
  }
  writeCr8(): void {}
  tsc(): number {
    return 0;
  }
  random(): bigint {
    return 0n;
  }
  pending = false;
  interruptPending(): boolean {
    return this.pending;
  }
  requestEvents(): void {
    this.eventRequests++;
  }

  /** Puts eight bytes in the descriptor table at `table`. */
  describe(table: number, selector: number, value: bigint): void {
    this.ram.setBigUint64(table + (selector & 0xfff8), value, true);
  }
  words(at: number, count: number, bytes: 2 | 4): number[] {
    return Array.from({ length: count }, (_, index) =>
      bytes === 2 ? this.ram.getUint16(at + index * 2, true) : this.ram.getUint32(at + index * 4, true),
    );
  }
  quads(at: number, count: number): bigint[] {
    return Array.from({ length: count }, (_, index) => this.ram.getBigUint64(at + index * 8, true));
  }
  /** All of the processor's state, to compare. */
  snapshot(): Uint8Array {
    return this.registers.bytes.slice();
  }
}

/** The vector and error code that `run` raises. */
export function faultOf(run: () => void): { vector: number; errorCode: number } | undefined {
  try {
    run();
  } catch (fault) {
    if (!(fault instanceof GuestFault)) throw fault;
    return { vector: fault.vector, errorCode: fault.errorCode };
  }
  return undefined;
}

/** Selectors of the global descriptor table that `protectedCpu` and `longCpu` set up. */
export const SELECTOR = {
  code0: 0x08,
  data0: 0x10,
  code3: 0x1b,
  data3: 0x23,
  tss: 0x28,
  /** A second TSS: 0x38 in protected mode. */
  otherTss: 0x38,
  ldt: 0x40,
  free: 0x48,
} as const;

function setTables(cpu: FlatCpu): void {
  const { registers } = cpu;
  registers.set64("gdtBase", BigInt(GDT));
  registers.set32("gdtLimit", 0xff);
  registers.set64("idtBase", BigInt(IDT));
  registers.set32("idtLimit", 0xfff);
  registers.eflags = 2;
}

/** Real-address mode with CS 0x100, the other segments 0, SP 0x8000 and the vector table at 0. */
export function realCpu(): FlatCpu {
  const cpu = new FlatCpu();
  const { registers } = cpu;
  registers.eflags = 2;
  registers.set32("idtLimit", 0x3ff);
  for (let index = 0; index < 6; index++) {
    const selector = index === 1 ? 0x100 : 0;
    registers.setSegment(index, { selector, base: BigInt(selector << 4), limit: 0xffff, attributes: 0x93 });
  }
  registers.setGpr(4, 0x8000n);
  return cpu;
}

/** Flat 32-bit protected mode at privilege level `cpl` with a 32-bit TSS whose SS0:ESP0 is data0:0x9000; ESP is 0x8000. */
export function protectedCpu(cpl: 0 | 3 = 0): FlatCpu {
  const cpu = new FlatCpu();
  const { registers } = cpu;
  setTables(cpu);
  registers.set64("cr0", 1n);
  const flat = { limit: 0xf_ffff, big: true, pages: true };
  cpu.describe(GDT, SELECTOR.code0, descriptor({ ...flat, type: 0xb }));
  cpu.describe(GDT, SELECTOR.data0, descriptor({ ...flat, type: 0x3 }));
  cpu.describe(GDT, SELECTOR.code3, descriptor({ ...flat, type: 0xb, dpl: 3 }));
  cpu.describe(GDT, SELECTOR.data3, descriptor({ ...flat, type: 0x3, dpl: 3 }));
  cpu.describe(GDT, SELECTOR.tss, descriptor({ base: TSS, limit: 0x67, type: 0xb, system: true }));
  registers.setSegment(7, { selector: SELECTOR.tss, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
  registers.setSegment(6, { selector: 0, base: 0n, limit: 0, attributes: 0x1_0000 });
  cpu.ram.setUint32(TSS + 4, 0x9000, true);
  cpu.ram.setUint16(TSS + 8, SELECTOR.data0, true);
  enter(cpu, cpl, 0xc09b);
  return cpu;
}

/** 64-bit mode at privilege level `cpl` with a 64-bit TSS whose RSP0 is 0x9000 and IST1 0xa000; RSP is 0x8000. */
export function longCpu(cpl: 0 | 3 = 0): FlatCpu {
  const cpu = new FlatCpu();
  const { registers } = cpu;
  setTables(cpu);
  registers.set64("cr0", 0x8000_0001n);
  registers.set64("cr4", 0x20n);
  registers.set64("efer", 0x501n);
  const code = { limit: 0xf_ffff, long: true, pages: true, type: 0xb };
  const data = { limit: 0xf_ffff, big: true, pages: true, type: 0x3 };
  cpu.describe(GDT, SELECTOR.code0, descriptor(code));
  cpu.describe(GDT, SELECTOR.data0, descriptor(data));
  cpu.describe(GDT, SELECTOR.code3, descriptor({ ...code, dpl: 3 }));
  cpu.describe(GDT, SELECTOR.data3, descriptor({ ...data, dpl: 3 }));
  registers.setSegment(7, { selector: SELECTOR.tss, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
  registers.setSegment(6, { selector: 0, base: 0n, limit: 0, attributes: 0x1_0000 });
  cpu.ram.setBigUint64(TSS + 4, 0x9000n, true);
  cpu.ram.setBigUint64(TSS + 0x24, 0xa000n, true);
  enter(cpu, cpl, 0xa09b);
  return cpu;
}

function enter({ registers }: FlatCpu, cpl: 0 | 3, codeAttributes: number): void {
  const dpl = cpl << 5;
  const code = cpl === 0 ? SELECTOR.code0 : SELECTOR.code3;
  const data = cpl === 0 ? SELECTOR.data0 : SELECTOR.data3;
  registers.set32("cpl", cpl);
  registers.setSegment(1, { selector: code, base: 0n, limit: 0xffff_ffff, attributes: codeAttributes | dpl });
  for (const index of [0, 2, 3, 4, 5]) {
    registers.setSegment(index, { selector: data, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 | dpl });
  }
  registers.setGpr(4, 0x8000n);
}
