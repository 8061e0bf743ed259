/**
 * What SeaBIOS and OVMF ask of the machine by fw_cfg: sizes, the memory map, ACPI and SMBIOS tables.
 *
 * @spec QEMU docs/specs/fw_cfg.rst; SeaBIOS src/fw/paravirt.c (items and their layouts); ACPI 6.5 section 15 (e820 types)
 */
import { struct, u16, u32, u64 } from "../bits/struct.ts";
import { guestPhysical } from "../bits/units.ts";
import { type FwCfg, FwCfgKey } from "../device/fw-cfg/fw-cfg.ts";
import type { AcpiBoard } from "../firmware/acpi/board.ts";
import { fwCfgAcpiFiles } from "../firmware/acpi/table-loader.ts";
import { E820Type } from "../firmware/memory-map.ts";
import { entryPoint32, type SmbiosSystem, smbiosStructures } from "../firmware/smbios.ts";
import type { FirmwareDefinition } from "./definition.ts";

const Half = struct("LE", { value: u16 });
const Word = struct("LE", { value: u32 });
const Long = struct("LE", { value: u64 });
const E820 = struct("LE", { address: u64, length: u64, type: u32 });

/** Milliseconds for the key that opens the boot menu. */
const MENU_WAIT = 15_000;
/** Files of ACPI tables may come out larger once the firmware has placed the chips. */
const SPARE = 512;

export interface FirmwareItems {
  readonly system: SmbiosSystem;
  readonly vcpus: number;
  /** The board as its registers are now: asked for when the firmware reads the tables, after it has set it up. */
  readonly board: () => AcpiBoard;
  readonly optionRoms: NonNullable<FirmwareDefinition["optionRoms"]>;
  readonly hasScreen: boolean;
  /** Port of the serial line that shows a BIOS's screen too, or in its place, and takes keys; undefined for none. */
  readonly serialScreen: number | undefined;
  /** Lets a person choose what to boot from. */
  readonly bootMenu: boolean;
}

export function addFirmwareItems(fwCfg: FwCfg, items: FirmwareItems): void {
  const { system, vcpus, board, optionRoms, hasScreen, serialScreen, bootMenu } = items;
  const half = (key: number, value: number) => fwCfg.addItem(key, Half.make({ value }));
  half(FwCfgKey.cpuCount, vcpus);
  half(FwCfgKey.maxCpus, vcpus);
  half(FwCfgKey.noGraphic, hasScreen ? 0 : 1);
  half(FwCfgKey.bootMenu, bootMenu ? 1 : 0);
  if (bootMenu) fwCfg.addFile("etc/boot-menu-wait", Half.make({ value: MENU_WAIT }));
  fwCfg.addItem(FwCfgKey.ramSize, Long.make({ value: BigInt(system.ramSize) }));
  // The timer is input 2 of the I/O APIC.
  fwCfg.addItem(FwCfgKey.irq0Override, Word.make({ value: 1 }));
  fwCfg.addItem(FwCfgKey.numa, Long.make({ value: 0n }));
  fwCfg.addFile("etc/e820", E820.make({ address: 0n, length: BigInt(system.ramSize), type: E820Type.usable }));
  if (serialScreen !== undefined) fwCfg.addFile("etc/sercon-port", Long.make({ value: BigInt(serialScreen) }));
  for (const { name, image } of optionRoms) fwCfg.addFile(`genroms/${name}`, image);
  const structures = smbiosStructures(system);
  fwCfg.addFile("etc/smbios/smbios-anchor", entryPoint32(structures, guestPhysical(0)));
  fwCfg.addFile("etc/smbios/smbios-tables", structures.bytes);
  for (const [name, { length }] of fwCfgAcpiFiles(board())) {
    const read = () => fwCfgAcpiFiles(board()).get(name) as Uint8Array;
    fwCfg.addFile(name, { size: length + (name === "etc/acpi/tables" ? SPARE : 0), read });
  }
}
