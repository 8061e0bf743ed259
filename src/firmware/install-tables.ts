/**
 * Puts what a guest looks up about its machine where it looks: ACPI tables, SMBIOS tables, and the sizes that
 * the BIOS data area tells (the Xen hypervisor, for one, places its start-up code by them).
 *
 * @spec ACPI 6.5 section 5.2.5.1 and DSP0134 5.2 (where tables are found); IBM PC/AT Technical Reference, BIOS
 * data area
 */
import { struct, u8, u16 } from "../bits/struct.ts";
import { type GuestPhysical, guestPhysical, KIB } from "../bits/units.ts";
import type { GuestMemory } from "../machine/device.ts";
import type { AcpiBoard } from "./acpi/board.ts";
import { installAcpi } from "./acpi/tables.ts";
import { ADAPTER_AREA, CONVENTIONAL_END, CONVENTIONAL_KIB, type MemoryMap } from "./memory-map.ts";
import { installSmbios, type SmbiosSystem } from "./smbios.ts";

/** Where the pointers to the tables go unless told otherwise: the start of the system BIOS's segment. */
export const TABLES_AT = guestPhysical(0xf_0000);

/** The BIOS data area from 40:0E on. */
const BiosData = struct("LE", { extendedDataSegment: u16, equipment: u16, testStatus: u8, conventionalKib: u16 });
const BIOS_DATA_AT = guestPhysical(0x40e);

export interface InstalledTables {
  readonly rsdp: GuestPhysical;
  /** The first byte after what was written in the BIOS area. */
  readonly end: GuestPhysical;
}

/**
 * Writes the RSDP, then both SMBIOS entry points and their structures, from `at` on in the BIOS area, the
 * ACPI tables at the top of RAM, and the sizes of conventional memory. The BIOS area must be writable. Throws
 * RangeError where they do not fit.
 */
export function installTables(
  memory: GuestMemory,
  map: MemoryMap,
  machine: { readonly board: AcpiBoard; readonly system: SmbiosSystem },
  at: GuestPhysical = TABLES_AT,
): InstalledTables {
  const afterRsdp = installAcpi(memory, map, machine.board, at);
  const smbiosAt = guestPhysical(Math.ceil(afterRsdp / 16) * 16);
  const end = installSmbios(memory, machine.system, smbiosAt);
  installMemorySizes(memory);
  return { rsdp: at, end };
}

function installMemorySizes(memory: GuestMemory): void {
  const data = memory.view(BIOS_DATA_AT, BiosData.size, "write");
  const extended = memory.view(CONVENTIONAL_END, 1, "write");
  if (data === undefined || extended === undefined) throw new RangeError("no conventional memory");
  const fields = BiosData.at(data);
  fields.extendedDataSegment = CONVENTIONAL_END / 16;
  fields.conventionalKib = CONVENTIONAL_KIB;
  // The extended area begins with its own size.
  extended[0] = (ADAPTER_AREA - CONVENTIONAL_END) / KIB;
}
