/**
 * Where RAM is: the map that INT 15h E820, a kernel's zero page, PVH and Multiboot report. One block of RAM
 * begins at 0 and ends at or below the PCI hole; there is none above 4 GiB.
 *
 * @spec ACPI 6.5 section 15 (address range types)
 */
import { GIB, type GuestPhysical, guestPhysical, KIB, MIB, PAGE_SIZE } from "../bits/units.ts";

/** @spec ACPI 6.5 table 15.2 */
export const E820Type = { usable: 1, reserved: 2, acpi: 3, nvs: 4 } as const;
export type E820Type = (typeof E820Type)[keyof typeof E820Type];

export interface MemoryRange {
  readonly address: GuestPhysical;
  /** Bytes. */
  readonly size: number;
}
export interface E820Entry extends MemoryRange {
  readonly type: E820Type;
}

export interface MemoryMap {
  /** Bytes from 0 to the end of RAM, the hole from 640 KiB to 1 MiB included. */
  readonly ramSize: number;
  /** In ascending order, without overlap; a gap is address space without memory (or with devices). */
  readonly entries: readonly E820Entry[];
  /** The top of RAM, kept for ACPI tables; its entry is of type NVS because the FACS is written by the guest. */
  readonly acpiTables: MemoryRange;
}

/** End of conventional memory; the extended BIOS data area fills the last KiB up to 640 KiB. */
export const CONVENTIONAL_END = guestPhysical(0x9_fc00);
/** Video memory and adapter ROMs begin here. */
export const ADAPTER_AREA = guestPhysical(0xa_0000);
/** The system BIOS's area: an RSDP is found by a scan from here to 1 MiB, an SMBIOS entry point from 0xF0000. */
export const BIOS_AREA = guestPhysical(0xe_0000);
export const EXTENDED_MEMORY = guestPhysical(MIB);
/** PCI devices' memory windows lie from here to the I/O APIC. */
export const PCI_HOLE = guestPhysical(0xc000_0000);
export const PCI_HOLE_END = guestPhysical(0xfec0_0000);
/** The 256 KiB below 4 GiB, where firmware appears. */
export const FIRMWARE_ROM = guestPhysical(0xfffc_0000);

export const MIN_RAM = 2 * MIB;
export const MAX_RAM = PCI_HOLE as number;
const ACPI_TABLES_SIZE = 64 * KIB;

/** The map of a VM with `ramSize` bytes of RAM, a multiple of 4 KiB from 2 MiB to 3 GiB; throws RangeError else. */
export function memoryMap(ramSize: number): MemoryMap {
  if (!(ramSize >= MIN_RAM && ramSize <= MAX_RAM && ramSize % PAGE_SIZE === 0)) {
    throw new RangeError(`RAM must be a multiple of 4 KiB from 2 MiB to 3 GiB, not ${ramSize} bytes`);
  }
  const tables = ramSize - ACPI_TABLES_SIZE;
  const range = (start: number, end: number, type: E820Type): E820Entry => ({
    address: guestPhysical(start),
    size: end - start,
    type,
  });
  return {
    ramSize,
    entries: [
      range(0, CONVENTIONAL_END, E820Type.usable),
      range(CONVENTIONAL_END, ADAPTER_AREA, E820Type.reserved),
      range(BIOS_AREA, EXTENDED_MEMORY, E820Type.reserved),
      range(EXTENDED_MEMORY, tables, E820Type.usable),
      range(tables, ramSize, E820Type.nvs),
      range(FIRMWARE_ROM, 4 * GIB, E820Type.reserved),
    ],
    acpiTables: { address: guestPhysical(tables), size: ACPI_TABLES_SIZE },
  };
}

/** KiB of usable RAM from 0, as INT 12h and Multiboot's mem_lower report it. */
export const CONVENTIONAL_KIB = CONVENTIONAL_END / KIB;

/** KiB of usable RAM from 1 MiB, as Multiboot's mem_upper reports it. */
export function extendedKib(map: MemoryMap): number {
  const extended = map.entries.find((entry) => entry.address === EXTENDED_MEMORY);
  return extended === undefined ? 0 : extended.size / KIB;
}
