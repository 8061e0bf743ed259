/**
 * The board as the ACPI tables describe it: which chips sit where. The defaults are the i440FX board with a
 * PIIX4, at the addresses that its firmware gives it.
 *
 * @spec Intel 82371AB (PIIX4) datasheet (290562) 7.2 (power management I/O), 8.5.3 (reset control)
 */
import { type GuestPhysical, guestPhysical } from "../../bits/units.ts";
import { PCI_HOLE, PCI_HOLE_END } from "../memory-map.ts";

export interface AcpiBoard {
  /** vCPUs, whose APIC IDs count from 0; at most 254. */
  readonly vcpus: number;
  readonly localApic: GuestPhysical;
  readonly ioApic: { readonly id: number; readonly address: GuestPhysical };
  readonly power: {
    /** PIIX4 PMBASE; 64 ports. */
    readonly base: number;
    /** Bits of the power management timer. */
    readonly timerBits: 24 | 32;
    /** General-purpose event block: status bytes, then as many enable bytes. */
    readonly gpe0: { readonly port: number; readonly length: number };
    readonly sciIrq: number;
    /** The port and the values that turn ACPI mode on and off (the chip's SMI command port). */
    readonly smiCommand: { readonly port: number; readonly enable: number; readonly disable: number };
    /** SLP_TYP of the soft-off state. */
    readonly softOff: number;
  };
  readonly reset: { readonly port: number; readonly value: number };
  /** Memory for PCI devices; `end` is not included. */
  readonly pciMemory: { readonly start: GuestPhysical; readonly end: GuestPhysical };
  /** ISA interrupts that PCI interrupts may be steered to. */
  readonly pciIrqs: readonly number[];
  readonly serialPorts: readonly { readonly port: number; readonly irq: number }[];
  readonly floppy: boolean;
  /** Left out where there is none. `id` is the low half of its capabilities register. */
  readonly hpet?: { readonly address: GuestPhysical; readonly id: number };
}

/** The HPET where a PC has it: three comparators, 64 bits wide, with legacy replacement. */
export const PC_HPET = { address: guestPhysical(0xfed0_0000), id: 0x8086_a201 } as const;

/** The usual board with `vcpus` processors; anything else can be overridden. */
export function i440fxBoard(vcpus: number, different: Partial<AcpiBoard> = {}): AcpiBoard {
  return {
    vcpus,
    localApic: guestPhysical(0xfee0_0000),
    ioApic: { id: 0, address: guestPhysical(0xfec0_0000) },
    power: {
      base: 0x600,
      timerBits: 24,
      gpe0: { port: 0x60c, length: 4 },
      sciIrq: 9,
      smiCommand: { port: 0xb2, enable: 0xf1, disable: 0xf0 },
      softOff: 0,
    },
    reset: { port: 0xcf9, value: 0x06 },
    pciMemory: { start: PCI_HOLE, end: PCI_HOLE_END },
    pciIrqs: [5, 10, 11],
    serialPorts: [
      { port: 0x3f8, irq: 4 },
      { port: 0x2f8, irq: 3 },
    ],
    floppy: false,
    ...different,
  };
}

/**
 * Which of the four PIRQ lines (0 is PIRQA) a PCI interrupt pin (0 is INTA) of a slot drives: each slot's pins
 * are turned by one against its neighbour's, and slot 1's INTA is PIRQA.
 */
export const pirqOf = (slot: number, pin: number): number => (slot - 1 + pin) & 3;
