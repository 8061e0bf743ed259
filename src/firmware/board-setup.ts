/**
 * What firmware has done to the chips by the time that a system starts: where no BIOS runs in the guest, the
 * VM makes these writes before the kernel's first instruction. They agree with the ACPI tables of the same
 * board.
 *
 * Left to the kernel, as every kernel does it: the 8259s, the 8254, the I/O APIC, PCI base addresses.
 *
 * @spec Intel 82441FX datasheet (290549) 3.2.18 (PAM); 82371AB datasheet (290562) 4.1.10 (PIRQRC), 7.1 (PMBA,
 * PMREGMISC); 82371SB datasheet (290550) 2.3.9 (IDETIM), 2.5.3.6 (ELCR); Intel 8237A datasheet (231466), "Cascade Mode";
 * MultiProcessor Specification 1.4 3.6.2.2 (virtual wire mode); Intel SDM 3A 12.11.2.1 (IA32_MTRR_DEF_TYPE)
 */
import { type GuestPhysical, guestPhysical } from "../bits/units.ts";
import type { AccessSize } from "../machine/device.ts";
import type { AcpiBoard } from "./acpi/board.ts";

export interface PortWrite {
  readonly port: number;
  readonly size: AccessSize;
  readonly value: number;
}
/** A 32-bit write by the boot vCPU, in its view of physical memory (its local APIC included). */
export interface MemoryWrite {
  readonly address: GuestPhysical;
  readonly value: number;
}
export interface MsrWrite {
  readonly msr: number;
  readonly value: bigint;
}
export interface BoardSetup {
  readonly ports: readonly PortWrite[];
  readonly memory: readonly MemoryWrite[];
  /** For every vCPU. */
  readonly msrs: readonly MsrWrite[];
}

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const HOST_BRIDGE = { slot: 0, fn: 0 };
const ISA_BRIDGE = { slot: 1, fn: 0 };
const IDE = { slot: 1, fn: 1 };
const POWER_MANAGEMENT = { slot: 1, fn: 3 };

/** PAM0 holds the BIOS segment in its high half; PAM5 and PAM6 hold 0xE0000 to 0xEFFFF. */
const PAM0 = 0x59;
const PAM5 = 0x5e;
const PAM6 = 0x5f;
const PAM0_BIOS_IN_RAM = 0x30;
const PAM_ALL_IN_RAM = 0x33;
const PIRQRC = 0x60;
const PMBA = 0x40;
const PMREGMISC = 0x80;
const PMIOSE = 1;
const ELCR = 0x4d0;
const PCI_COMMAND = 0x04;
const IO_SPACE = 1;
/** IDETIM of both channels, with the decode enable bit in the high byte. */
const IDETIM = 0x40;
const IDE_DECODE = 0x80;
/** The second 8237A passes the first one's requests on by its first channel. */
const DMA2_MODE = 0xd6;
const CASCADE_CHANNEL_4 = 0xc0;
const DMA2_SINGLE_MASK = 0xd4;
const UNMASK_CHANNEL_4 = 0x00;

/** Local APIC registers and the values of virtual wire mode: the 8259s at LINT0, NMI at LINT1. */
const SPURIOUS_VECTOR = { offset: 0xf0, value: 0x10f };
const LVT_LINT0 = { offset: 0x350, value: 0x700 };
const LVT_LINT1 = { offset: 0x360, value: 0x400 };

const IA32_MTRR_DEF_TYPE = 0x2ff;
/** MTRRs enabled, write-back everywhere; Linux uses no PAT without. */
const WRITE_BACK = 0x806n;

function configByte({ slot, fn }: { slot: number; fn: number }, register: number, value: number): PortWrite[] {
  const address = 0x8000_0000 + slot * 0x800 + fn * 0x100 + (register & 0xfc);
  return [
    { port: CONFIG_ADDRESS, size: 4, value: address },
    { port: CONFIG_DATA + (register & 3), size: 1, value },
  ];
}

/** The writes, in order: ports first, then memory, then MSRs. `mtrrs`: whether the processors have these registers. */
export function boardSetup(board: AcpiBoard, { mtrrs = true } = {}): BoardSetup {
  const { power, pciIrqs, localApic } = board;
  const steering = [0, 1, 2, 3].map((pirq) => steered(pciIrqs, pirq));
  const levelTriggered = [power.sciIrq, ...steering].reduce((mask, irq) => mask | (1 << irq), 0);
  return {
    ports: [
      ...configByte(HOST_BRIDGE, PAM0, PAM0_BIOS_IN_RAM),
      ...configByte(HOST_BRIDGE, PAM5, PAM_ALL_IN_RAM),
      ...configByte(HOST_BRIDGE, PAM6, PAM_ALL_IN_RAM),
      ...configByte(POWER_MANAGEMENT, PMBA, (power.base & 0xc0) | 1),
      ...configByte(POWER_MANAGEMENT, PMBA + 1, power.base >> 8),
      ...configByte(POWER_MANAGEMENT, PMREGMISC, PMIOSE),
      ...configByte(IDE, IDETIM + 1, IDE_DECODE),
      ...configByte(IDE, IDETIM + 3, IDE_DECODE),
      ...configByte(IDE, PCI_COMMAND, IO_SPACE),
      // The later interrupts go to two PIRQ lines each; the first of the list stays free for ISA devices.
      ...steering.flatMap((irq, pirq) => configByte(ISA_BRIDGE, PIRQRC + pirq, irq)),
      { port: ELCR, size: 1, value: levelTriggered & 0xff },
      { port: ELCR + 1, size: 1, value: levelTriggered >> 8 },
      { port: DMA2_MODE, size: 1, value: CASCADE_CHANNEL_4 },
      { port: DMA2_SINGLE_MASK, size: 1, value: UNMASK_CHANNEL_4 },
    ],
    memory: [SPURIOUS_VECTOR, LVT_LINT0, LVT_LINT1].map(({ offset, value }) => ({
      address: guestPhysical(localApic + offset),
      value,
    })),
    msrs: mtrrs ? [{ msr: IA32_MTRR_DEF_TYPE, value: WRITE_BACK }] : [],
  };
}

/** The ISA interrupt of a PIRQ line: 10, 10, 11, 11 of the usual list 5, 10, 11. */
function steered(pciIrqs: readonly number[], pirq: number): number {
  const irq = pciIrqs.at(pirq < 2 ? -2 : -1) ?? pciIrqs[0];
  if (irq === undefined) throw new RangeError("a board needs an ISA interrupt for its PCI devices");
  return irq;
}
