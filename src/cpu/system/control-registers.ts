/**
 * Control registers: which values they take, and what follows from a change. @spec SDM 3A 2.5, 4.1, 9.8.5
 *
 * Not modelled: the page-directory-pointer registers of PAE paging (a MOV to CR3 does not check their entries).
 */
import { CS, VECTOR } from "../../isa/semantics.ts";
import { PHYSICAL_BITS } from "../mmu/address-translation.ts";
import { TR } from "../state.ts";
import { SYSTEM_TYPE } from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { ATTRIBUTE, CR0, CR4, EFER, is64Bit, isLong } from "./mode.ts";
import type { CpuFeature, CpuModel } from "./models.ts";
import type { SystemContext } from "./system.ts";

const CR0_DEFINED = CR0.PE | CR0.MP | CR0.EM | CR0.TS | CR0.NE | CR0.WP | CR0.AM | CR0.NW | CR0.CD | CR0.PG;
/** Bits whose change makes cached translations, or the rights in them, wrong where there is paging. */
const CR0_TRANSLATION = CR0.PE | CR0.WP | CR0.PG;
const CR4_TRANSLATION = CR4.PSE | CR4.PAE | CR4.PGE | CR4.PCIDE | CR4.SMEP | CR4.SMAP;

/** Each bit of CR4 that some model has, and the feature that brings it; all others are reserved. */
const CR4_FEATURES: readonly (readonly [number, CpuFeature])[] = [
  [CR4.TSD, "tsc"],
  [CR4.DE, "de"],
  [CR4.PSE, "pse"],
  [CR4.PAE, "pae"],
  [CR4.MCE, "mce"],
  [CR4.PGE, "pge"],
  [CR4.PCE, "mmx"],
  [CR4.OSFXSR, "fxsr"],
  [CR4.OSXMMEXCPT, "sse"],
  [CR4.UMIP, "umip"],
  [CR4.FSGSBASE, "fsgsbase"],
  [CR4.PCIDE, "pcid"],
  [CR4.OSXSAVE, "xsave"],
  [CR4.SMEP, "smep"],
  [CR4.SMAP, "smap"],
];

const CR3_NO_FLUSH = 1n << 63n;
const CR3_PCID = 0xfffn;
const CR3_RESERVED = ~((1n << BigInt(PHYSICAL_BITS)) - 1n) & 0xffff_ffff_ffff_ffffn;

const protection = () => new GuestFault(VECTOR.GP, 0);

export class ControlRegisters {
  readonly #cpu: SystemContext;
  readonly #cr4Writable: number;

  constructor(cpu: SystemContext, model: CpuModel) {
    this.#cpu = cpu;
    this.#cr4Writable = CR4_FEATURES.reduce((mask, [bit, feature]) => (model.has(feature) ? mask | bit : mask), 0);
  }

  /** Control register `number` for a MOV. */
  read(number: number): bigint {
    const { registers } = this.#cpu;
    switch (number) {
      case 0:
      case 2:
      case 3:
      case 4:
        return registers.get64(`cr${number}`);
      case 8:
        return BigInt(this.#cpu.readCr8());
      default:
        throw new GuestFault(VECTOR.UD);
    }
  }

  /** A MOV to control register `number`; `value` is 32 bits wide outside of 64-bit mode. */
  write(number: number, value: bigint): void {
    switch (number) {
      case 0:
        if (value >> 32n) throw protection();
        this.writeCr0(Number(value) | 0);
        break;
      case 2:
        this.#cpu.registers.set64("cr2", value);
        break;
      case 3:
        this.#writeCr3(value);
        break;
      case 4:
        if (value >> 32n) throw protection();
        this.#writeCr4(Number(value) | 0);
        break;
      case 8:
        if (value > 15n) throw protection();
        this.#cpu.writeCr8(Number(value));
        // A lower priority may let an interrupt through.
        this.#cpu.requestEvents();
        break;
      default:
        throw new GuestFault(VECTOR.UD);
    }
  }

  /** CR0 as MOV and LMSW write it (32 bits). Bits that are reserved are ignored; ET is always set. */
  writeCr0(written: number): void {
    const { registers } = this.#cpu;
    const value = (written & CR0_DEFINED) | CR0.ET;
    const changed = value ^ registers.get32("cr0");
    const paging = (value & CR0.PG) !== 0;
    if (paging && !(value & CR0.PE)) throw protection();
    if (value & CR0.NW && !(value & CR0.CD)) throw protection();
    if (changed & CR0.PG) {
      if (paging) this.#enterPaging();
      else this.#leavePaging();
    }
    registers.set64("cr0", BigInt(value >>> 0));
    // Boot loaders go to real mode and back for each call of the BIOS.
    const translates = paging || (changed & CR0.PG) !== 0;
    if (translates && changed & CR0_TRANSLATION) this.#cpu.flushTlb();
    this.#cpu.modeChanged();
  }

  /** IA-32e mode becomes active with paging where EFER.LME asks for it. */
  #enterPaging(): void {
    const { registers } = this.#cpu;
    const efer = registers.get32("efer");
    if (!(efer & EFER.LME)) return;
    if (!(registers.get32("cr4") & CR4.PAE)) throw protection();
    if (registers.attributes(CS) & ATTRIBUTE.long) throw protection();
    const tss = registers.attributes(TR) & ATTRIBUTE.type;
    if (tss === SYSTEM_TYPE.tss16 || tss === SYSTEM_TYPE.busyTss16) throw protection();
    registers.set64("efer", BigInt(efer | EFER.LMA));
  }

  #leavePaging(): void {
    const { registers } = this.#cpu;
    if (registers.get32("cr4") & CR4.PCIDE || is64Bit(registers)) throw protection();
    registers.set64("efer", registers.get64("efer") & ~BigInt(EFER.LMA));
  }

  /** Translations are not kept by PCID: they are forgotten also where the value asks to keep them. */
  #writeCr3(written: bigint): void {
    const { registers } = this.#cpu;
    const value = registers.get32("cr4") & CR4.PCIDE ? written & ~CR3_NO_FLUSH : written;
    if (value & CR3_RESERVED) throw protection();
    registers.set64("cr3", value);
    this.#cpu.flushTlb(true);
  }

  #writeCr4(value: number): void {
    const { registers } = this.#cpu;
    const changed = value ^ registers.get32("cr4");
    if (value & ~this.#cr4Writable) throw protection();
    if (changed & CR4.PAE && isLong(registers)) throw protection();
    if (changed & value & CR4.PCIDE && (!isLong(registers) || registers.get64("cr3") & CR3_PCID)) throw protection();
    registers.set64("cr4", BigInt(value >>> 0));
    if (changed & CR4_TRANSLATION) this.#cpu.flushTlb();
    this.#cpu.modeChanged();
  }

  clearTaskSwitched(): void {
    const { registers } = this.#cpu;
    registers.set64("cr0", registers.get64("cr0") & ~BigInt(CR0.TS));
    this.#cpu.modeChanged();
  }

  /** LMSW cannot leave protected mode. */
  loadStatusWord(word: number): void {
    const low = CR0.PE | CR0.MP | CR0.EM | CR0.TS;
    const cr0 = this.#cpu.registers.get32("cr0");
    this.writeCr0((cr0 & ~low) | (word & low) | (cr0 & CR0.PE));
  }
}

export function controlRegisterFunctions(cpu: SystemContext, model: CpuModel): HostFunctions {
  const control = new ControlRegisters(cpu, model);
  return {
    readControl: (number) => control.read(number),
    writeControl: (number, value) => control.write(number, BigInt.asUintN(64, value)),
    clearTaskSwitched: () => control.clearTaskSwitched(),
    loadStatusWord: (word) => control.loadStatusWord(word),
  };
}
