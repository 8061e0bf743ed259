/**
 * Model-specific registers. @spec SDM 4 chapter 2
 *
 * Those of the machine (local APIC, paravirtual clock) go to `SystemContext.readMachineMsr` and `writeMachineMsr`,
 * as does every number that is not known here: what the machine does not know either raises #GP(0).
 *
 * Not modelled: memory types (MTRRs and PAT are checked and kept, with no effect), machine check banks,
 * performance counters, branch records, microcode updates (ignored).
 */
import { FS, GS, VECTOR } from "../../isa/semantics.ts";
import { PHYSICAL_BITS } from "../mmu/address-translation.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR0, EFER, isCanonical } from "./mode.ts";
import type { CpuFeature, CpuModel } from "./models.ts";
import type { SystemContext } from "./system.ts";
import { TSC_KHZ, timeStampCounter } from "./time.ts";

export const MSR = {
  p5McAddress: 0x0,
  p5McType: 0x1,
  tsc: 0x10,
  platformId: 0x17,
  apicBase: 0x1b,
  eblCrPoweron: 0x2a,
  featureControl: 0x3a,
  tscAdjust: 0x3b,
  biosUpdateTrigger: 0x79,
  biosSignature: 0x8b,
  platformInfo: 0xce,
  mtrrCap: 0xfe,
  archCapabilities: 0x10a,
  bblCrCtl3: 0x11e,
  sysenterCs: 0x174,
  sysenterEsp: 0x175,
  sysenterEip: 0x176,
  mcgCap: 0x179,
  mcgStatus: 0x17a,
  perfStatus: 0x198,
  miscEnable: 0x1a0,
  debugControl: 0x1d9,
  mtrrPhysBase0: 0x200,
  mtrrFix64K: 0x250,
  mtrrFix16K: 0x258,
  mtrrFix4K: 0x268,
  pat: 0x277,
  mtrrDefType: 0x2ff,
  tscDeadline: 0x6e0,
  x2apicFirst: 0x800,
  x2apicLast: 0x8ff,
  efer: 0xc000_0080,
  star: 0xc000_0081,
  lstar: 0xc000_0082,
  cstar: 0xc000_0083,
  sfmask: 0xc000_0084,
  fsBase: 0xc000_0100,
  gsBase: 0xc000_0101,
  kernelGsBase: 0xc000_0102,
  tscAux: 0xc000_0103,
} as const;

/** What a snapshot keeps of model-specific registers beside those in the processor's state memory. */
export interface MsrState {
  /** IA32_MTRR_PHYSBASE0, IA32_MTRR_PHYSMASK0, IA32_MTRR_PHYSBASE1, ... */
  readonly variableMtrrs: BigUint64Array;
  /** One of 64 KiB, two of 16 KiB, eight of 4 KiB pieces. */
  readonly fixedMtrrs: BigUint64Array;
  mtrrDefault: number;
  mcgStatus: number;
}

export function copyMsrState(from: MsrState, to: MsrState): void {
  to.variableMtrrs.set(from.variableMtrrs);
  to.fixedMtrrs.set(from.fixedMtrrs);
  to.mtrrDefault = from.mtrrDefault;
  to.mcgStatus = from.mcgStatus;
}

/** Values after reset of registers in the processor's state memory. */
export const PAT_RESET = 0x0007_0406_0007_0406n;
/** Fast strings are on; branch trace and event sampling are not there. */
export const MISC_ENABLE_RESET = 0x1801n;

const VARIABLE_MTRRS = 8;
/** Eight variable ranges, fixed ranges, write-combining. */
const MTRR_CAP = BigInt(VARIABLE_MTRRS | (1 << 8) | (1 << 10));
const MTRR_DEFAULT_BITS = 0xcffn;
const MICROCODE_REVISION = 1n;

/** Each weakness that the processor says it does not have, by its bit. @spec SDM 4 table 2-2, IA32_ARCH_CAPABILITIES */
const ARCH_CAPABILITIES = [
  0, // RDCL_NO
  3, // SKIP_L1DFL_VMENTRY
  4, // SSB_NO
  5, // MDS_NO
  6, // IF_PSCHANGE_MC_NO
  8, // TAA_NO
  13, // SBDR_SSDP_NO
  14, // FBSDP_NO
  15, // PSDP_NO
  20, // BHI_NO
  24, // PBRSB_NO
  26, // GDS_NO
  27, // RFDS_NO
  62, // ITS_NO
].reduce((value, bit) => value | (1n << BigInt(bit)), 0n);

/** Base clock in MHz that frequency ratios count. */
const RATIO_MHZ = 100;
const RATIO = BigInt(TSC_KHZ / 1000 / RATIO_MHZ) << 8n;

const PHYSICAL_RESERVED = 0xffff_ffff_ffff_ffffn & ~((1n << BigInt(PHYSICAL_BITS)) - 1n);

const bytesOf = (value: bigint): number[] =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn));
/** Uncacheable, write-combining, write-through, write-protected, write-back. */
const isMemoryType = (type: number): boolean => type === 0 || type === 1 || (type >= 4 && type <= 6);
/** PAT also has the weaker "uncached". */
const isPatType = (type: number): boolean => isMemoryType(type) || type === 7;

interface Register {
  /** Undefined where reading raises #GP. */
  readonly read?: () => bigint;
  /** Undefined where writing raises #GP. */
  readonly write?: (value: bigint) => void;
}

const constant = (value: bigint): Register => ({ read: () => value });
const ignoring = (value: bigint): Register => ({ read: () => value, write: () => {} });

const protection = () => new GuestFault(VECTOR.GP, 0);

function require(condition: boolean): void {
  if (!condition) throw protection();
}

export class ModelSpecificRegisters {
  readonly state: MsrState = {
    variableMtrrs: new BigUint64Array(VARIABLE_MTRRS * 2),
    fixedMtrrs: new BigUint64Array(11),
    mtrrDefault: 0,
    mcgStatus: 0,
  };
  readonly #cpu: SystemContext;
  readonly #model: CpuModel;
  readonly #registers = new Map<number, Register>();
  readonly #words = new Uint32Array(2);

  constructor(cpu: SystemContext, model: CpuModel) {
    this.#cpu = cpu;
    this.#model = model;
    this.#defineTime();
    this.#defineIdentity();
    this.#defineSystemCalls();
    this.#defineMtrrs();
  }

  /** Puts `state` in its power-on state; the registers in state memory are reset with the rest of it. */
  reset(): void {
    const { state } = this;
    state.variableMtrrs.fill(0n);
    state.fixedMtrrs.fill(0n);
    state.mtrrDefault = 0;
    state.mcgStatus = 0;
  }

  read(msr: number): bigint {
    const register = this.#registers.get(msr);
    if (register) {
      if (!register.read) throw protection();
      return register.read();
    }
    require(this.#offersMachine(msr));
    const words = this.#words;
    require(this.#cpu.readMachineMsr(msr, words));
    return BigInt(words[0] as number) | (BigInt(words[1] as number) << 32n);
  }

  write(msr: number, value: bigint): void {
    const register = this.#registers.get(msr);
    if (register) {
      if (!register.write) throw protection();
      register.write(value);
      return;
    }
    require(this.#offersMachine(msr));
    const accepted = this.#cpu.writeMachineMsr(msr, Number(value & 0xffff_ffffn), Number(value >> 32n));
    require(accepted);
  }

  /** Whether the processor model announces what a register of the machine belongs to. */
  #offersMachine(msr: number): boolean {
    const { has } = this.#model;
    if (msr === MSR.apicBase) return has("apic");
    if (msr === MSR.tscDeadline) return has("tsc_deadline_timer");
    if (msr >= MSR.x2apicFirst && msr <= MSR.x2apicLast) return has("x2apic");
    return has("hypervisor");
  }

  #define(feature: CpuFeature, msr: number, register: Register): void {
    if (this.#model.has(feature)) this.#registers.set(msr, register);
  }

  /** A register in state memory; `check` tells which values it takes. */
  #field(name: string, check: (value: bigint) => boolean = () => true): Register {
    const { registers } = this.#cpu;
    return {
      read: () => registers.get64(name),
      write(value) {
        require(check(value));
        registers.set64(name, value);
      },
    };
  }

  #setTscOffset(offset: bigint): void {
    const cpu = this.#cpu;
    cpu.registers.set64("tscOffset", offset);
    // The deadline is a value of the counter: it falls at another time now.
    const words = this.#words;
    if (this.#model.has("tsc_deadline_timer") && cpu.readMachineMsr(MSR.tscDeadline, words)) {
      cpu.writeMachineMsr(MSR.tscDeadline, words[0] as number, words[1] as number);
    }
  }

  /** The counter's offset is what software has added to it since reset, which is what IA32_TSC_ADJUST tells. */
  #defineTime(): void {
    const cpu = this.#cpu;
    this.#define("tsc", MSR.tsc, {
      read: () => timeStampCounter(cpu),
      write: (value) => this.#setTscOffset(value - BigInt(cpu.tsc())),
    });
    this.#define("tsc_adjust", MSR.tscAdjust, {
      read: () => cpu.registers.get64("tscOffset"),
      write: (value) => this.#setTscOffset(value),
    });
    const is32Bit = (value: bigint) => value >> 32n === 0n;
    if (this.#model.has("rdtscp") || this.#model.has("rdpid")) {
      this.#registers.set(MSR.tscAux, this.#field("tscAux", is32Bit));
    }
  }

  /** Much of this is only ever read, by systems that take it to be there on every processor of the family. */
  #defineIdentity(): void {
    const { state } = this;
    this.#define("mce", MSR.p5McAddress, ignoring(0n));
    this.#define("mce", MSR.p5McType, ignoring(0n));
    // No banks.
    this.#define("mca", MSR.mcgCap, constant(0n));
    this.#define("mca", MSR.mcgStatus, {
      read: () => BigInt(state.mcgStatus),
      write: (value) => {
        state.mcgStatus = Number(value & 7n);
      },
    });
    this.#define("arch_capabilities", MSR.archCapabilities, constant(ARCH_CAPABILITIES));
    if (this.#model.family !== 6) return;
    const add = (msr: number, register: Register) => this.#registers.set(msr, register);
    add(MSR.platformId, constant(0n));
    add(MSR.eblCrPoweron, ignoring(0n));
    // Locked, with virtualisation off.
    add(MSR.featureControl, constant(1n));
    add(MSR.biosUpdateTrigger, { write: () => {} });
    add(MSR.biosSignature, ignoring(MICROCODE_REVISION << 32n));
    add(MSR.platformInfo, constant(RATIO));
    add(MSR.perfStatus, constant(RATIO));
    // Second-level cache: configured and enabled, 256 KiB, 64 GiB cacheable.
    add(MSR.bblCrCtl3, ignoring(0xbe70_2111n));
    // Only the fast-string bit can be changed.
    add(MSR.miscEnable, {
      read: () => this.#cpu.registers.get64("miscEnable"),
      write: (value) => this.#cpu.registers.set64("miscEnable", (MISC_ENABLE_RESET & ~1n) | (value & 1n)),
    });
    add(MSR.debugControl, ignoring(0n));
    for (const lastBranch of [0x1db, 0x1dc, 0x1dd, 0x1de]) add(lastBranch, constant(0n));
    // Performance counters of the P6, which stay off.
    for (const counter of [0xc1, 0xc2, 0x186, 0x187]) {
      add(counter, { read: () => 0n, write: (value) => require(value === 0n) });
    }
  }

  #defineSystemCalls(): void {
    const { registers } = this.#cpu;
    const address = this.#model.has("lm") ? isCanonical : () => true;
    this.#define("sep", MSR.sysenterCs, this.#field("sysenterCs"));
    this.#define("sep", MSR.sysenterEsp, this.#field("sysenterEsp", address));
    this.#define("sep", MSR.sysenterEip, this.#field("sysenterEip", address));
    this.#define("nx", MSR.efer, { read: () => registers.get64("efer"), write: (value) => this.#writeEfer(value) });
    this.#define("syscall", MSR.star, this.#field("star"));
    this.#define("syscall", MSR.lstar, this.#field("lstar", isCanonical));
    this.#define("syscall", MSR.cstar, this.#field("cstar", isCanonical));
    this.#define("syscall", MSR.sfmask, {
      read: () => registers.get64("sfmask"),
      write: (value) => registers.set64("sfmask", value & 0xffff_ffffn),
    });
    this.#define("lm", MSR.kernelGsBase, this.#field("kernelGsBase", isCanonical));
    const base = (segment: number): Register => ({
      read: () => registers.segmentBase(segment),
      write(value) {
        require(isCanonical(value));
        registers.setSegmentBase(segment, value);
      },
    });
    this.#define("lm", MSR.fsBase, base(FS));
    this.#define("lm", MSR.gsBase, base(GS));
  }

  /** LMA follows from LME and paging and is not written. */
  #writeEfer(value: bigint): void {
    const { registers } = this.#cpu;
    const { has } = this.#model;
    const writable = (has("syscall") ? EFER.SCE : 0) | (has("lm") ? EFER.LME : 0) | (has("nx") ? EFER.NXE : 0);
    require((value & ~BigInt(writable | EFER.LMA)) === 0n);
    const old = registers.get32("efer");
    const next = (Number(value) & writable) | (old & EFER.LMA);
    const changed = next ^ old;
    require(!(changed & EFER.LME && registers.get32("cr0") & CR0.PG));
    registers.set64("efer", BigInt(next));
    if (changed & EFER.NXE) this.#cpu.flushTlb();
    this.#cpu.modeChanged();
  }

  #defineMtrrs(): void {
    const { state } = this;
    this.#define(
      "pat",
      MSR.pat,
      this.#field("pat", (value) => bytesOf(value).every(isPatType)),
    );
    if (!this.#model.has("mtrr")) return;
    const add = (msr: number, register: Register) => this.#registers.set(msr, register);
    add(MSR.mtrrCap, constant(MTRR_CAP));
    add(MSR.mtrrDefType, {
      read: () => BigInt(state.mtrrDefault),
      write(value) {
        require((value & ~MTRR_DEFAULT_BITS) === 0n && isMemoryType(Number(value & 0xffn)));
        state.mtrrDefault = Number(value);
      },
    });
    const kept = (place: BigUint64Array, index: number, check: (value: bigint) => boolean): Register => ({
      read: () => place[index] as bigint,
      write(value) {
        require(check(value));
        place[index] = value;
      },
    });
    const isBase = (value: bigint) => !(value & (PHYSICAL_RESERVED | 0xf00n)) && isMemoryType(Number(value & 0xffn));
    const isMask = (value: bigint) => !(value & (PHYSICAL_RESERVED | 0x7ffn));
    for (let i = 0; i < VARIABLE_MTRRS * 2; i++) {
      add(MSR.mtrrPhysBase0 + i, kept(state.variableMtrrs, i, i % 2 ? isMask : isBase));
    }
    const { mtrrFix64K, mtrrFix16K, mtrrFix4K } = MSR;
    const fixed = [mtrrFix64K, mtrrFix16K, mtrrFix16K + 1, ...Array.from({ length: 8 }, (_, i) => mtrrFix4K + i)];
    const areTypes = (value: bigint) => bytesOf(value).every(isMemoryType);
    fixed.forEach((msr, i) => {
      add(msr, kept(state.fixedMtrrs, i, areTypes));
    });
  }
}

export function msrFunctions(msrs: ModelSpecificRegisters): HostFunctions {
  return {
    readMsr: (msr) => BigInt.asIntN(64, msrs.read(msr >>> 0)),
    writeMsr: (msr, value) => msrs.write(msr >>> 0, BigInt.asUintN(64, value)),
  };
}
