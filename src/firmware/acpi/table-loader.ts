/**
 * The ACPI tables as fw_cfg files, for a stock SeaBIOS or OVMF: the firmware chooses where they go and follows
 * the loader's script, which allocates each file, adds its address to pointers and makes checksums.
 *
 * @spec QEMU docs/specs/fw_cfg; script format: hw/acpi/bios-linker-loader.c
 */
import { bytes, struct, u8, u32 } from "../../bits/struct.ts";
import { utf8 } from "../c-string.ts";
import { concat } from "../concat.ts";
import type { AcpiBoard } from "./board.ts";
import { acpiTables, RSDP_CHECKSUMS, RSDP_POINTERS, rsdpWithoutChecksums } from "./tables.ts";

const TABLES = "etc/acpi/tables";
const RSDP = "etc/acpi/rsdp";
const SCRIPT = "etc/table-loader";

const FILE_NAME_SIZE = 56;
const COMMAND_SIZE = 128;
const ALLOCATE = 1;
const ADD_POINTER = 2;
const ADD_CHECKSUM = 3;
/** Anywhere below 4 GiB, or in the BIOS segment. */
const ZONE_HIGH = 1;
const ZONE_BIOS_SEGMENT = 2;

const fileName = bytes(FILE_NAME_SIZE);
const Allocate = struct("LE", { command: u32, file: fileName, alignment: u32, zone: u8 });
const AddPointer = struct("LE", { command: u32, file: fileName, target: fileName, offset: u32, size: u8 });
const AddChecksum = struct("LE", { command: u32, file: fileName, offset: u32, start: u32, length: u32 });

/** Files for fw_cfg by name. */
export function fwCfgAcpiFiles(board: AcpiBoard): ReadonlyMap<string, Uint8Array> {
  const tables = acpiTables(board);
  const tablesFile = utf8(TABLES);
  const rsdpFile = utf8(RSDP);
  const pointer = (file: Uint8Array) => (field: { readonly at: number; readonly size: number }) =>
    AddPointer.make({ command: ADD_POINTER, file, target: tablesFile, offset: field.at, size: field.size });
  const checksum =
    (file: Uint8Array) => (sum: { readonly at: number; readonly start: number; readonly length: number }) =>
      AddChecksum.make({ command: ADD_CHECKSUM, file, offset: sum.at, start: sum.start, length: sum.length });
  const script = [
    Allocate.make({ command: ALLOCATE, file: tablesFile, alignment: 64, zone: ZONE_HIGH }),
    Allocate.make({ command: ALLOCATE, file: rsdpFile, alignment: 16, zone: ZONE_BIOS_SEGMENT }),
    ...tables.set.pointers.map(pointer(tablesFile)),
    ...RSDP_POINTERS.map(pointer(rsdpFile)),
    ...tables.set.checksums.map(checksum(tablesFile)),
    ...RSDP_CHECKSUMS.map(checksum(rsdpFile)),
  ];
  return new Map([
    [TABLES, tables.set.unplaced()],
    [RSDP, rsdpWithoutChecksums(tables, 0)],
    [SCRIPT, concat(...script.map((command) => concat(command, new Uint8Array(COMMAND_SIZE - command.length))))],
  ]);
}
