/**
 * The fixed ACPI description table, at revision 3 (244 bytes): the newest that Windows XP takes, and all that
 * later systems need of a machine with the full register set.
 *
 * @spec ACPI 6.5 section 5.2.9; revision 3 as in ACPI 2.0c section 5.2.8
 */
import { bits } from "../../bits/fields.ts";
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";
import type { AcpiBoard } from "./board.ts";

/** The fields after the table header. */
const Fadt = struct("LE", {
  firmwareCtrl: u32,
  dsdt: u32,
  reserved1: u8,
  preferredPmProfile: u8,
  sciInt: u16,
  smiCmd: u32,
  acpiEnable: u8,
  acpiDisable: u8,
  s4BiosReq: u8,
  pstateCnt: u8,
  pm1aEvtBlk: u32,
  pm1bEvtBlk: u32,
  pm1aCntBlk: u32,
  pm1bCntBlk: u32,
  pm2CntBlk: u32,
  pmTmrBlk: u32,
  gpe0Blk: u32,
  gpe1Blk: u32,
  pm1EvtLen: u8,
  pm1CntLen: u8,
  pm2CntLen: u8,
  pmTmrLen: u8,
  gpe0BlkLen: u8,
  gpe1BlkLen: u8,
  gpe1Base: u8,
  cstCnt: u8,
  pLvl2Lat: u16,
  pLvl3Lat: u16,
  flushSize: u16,
  flushStride: u16,
  dutyOffset: u8,
  dutyWidth: u8,
  dayAlrm: u8,
  monAlrm: u8,
  century: u8,
  iapcBootArch: u16,
  reserved2: u8,
  flags: u32,
  resetReg: bytes(12),
  resetValue: u8,
  armBootArch: u16,
  minorVersion: u8,
  xFirmwareCtrl: u64,
  xDsdt: u64,
  xPm1aEvtBlk: bytes(12),
  xPm1bEvtBlk: bytes(12),
  xPm1aCntBlk: bytes(12),
  xPm1bCntBlk: bytes(12),
  xPm2CntBlk: bytes(12),
  xPmTmrBlk: bytes(12),
  xGpe0Blk: bytes(12),
  xGpe1Blk: bytes(12),
});
/** Byte offsets, after the table header, of the pointers to the FACS and the DSDT. */
export const FADT_POINTERS = [
  { at: Fadt.offset.firmwareCtrl, size: 4, to: "facs" },
  { at: Fadt.offset.dsdt, size: 4, to: "dsdt" },
  { at: Fadt.offset.xFirmwareCtrl, size: 8, to: "facs" },
  { at: Fadt.offset.xDsdt, size: 8, to: "dsdt" },
] as const;
export const FADT_REVISION = 3;

/** @spec table 5.10 */
const Flags = bits({
  wbinvd: 0,
  procC1: 2,
  noPowerButton: 4,
  noSleepButton: 5,
  rtcS4: 7,
  timer32: 8,
  resetRegister: 10,
  platformClock: 15,
  clusteredApic: 18,
});
/** @spec table 5.11 */
const BootArchitecture = bits({ legacyDevices: 0, keyboard8042: 1 });
/** @spec table 5.1 (generic address structure) */
const GenericAddress = struct("LE", { space: u8, bitWidth: u8, bitOffset: u8, accessSize: u8, address: u64 });
const SYSTEM_IO = 1;
const BYTE = 1;
const WORD = 2;
const DWORD = 3;

/** Worst-case latencies above 100 and 1000 microseconds say that C2 and C3 do not exist. */
const NO_C2 = 0xfff;
const NO_C3 = 0xfff;
/** In the flat logical mode of the APIC a message reaches eight processors only. */
const FLAT_APIC_LIMIT = 8;
/** The CMOS byte that holds the century. */
const CENTURY_REGISTER = 0x32;

/** The table's bytes after its header; FACS and DSDT addresses are zero yet. */
export function fadtBody(board: AcpiBoard): Uint8Array {
  const { power, reset } = board;
  const port = (address: number, bitWidth: number, accessSize: number) =>
    GenericAddress.make({ space: SYSTEM_IO, bitWidth, accessSize, address: BigInt(address) });
  return Fadt.make({
    sciInt: power.sciIrq,
    smiCmd: power.smiCommand.port,
    acpiEnable: power.smiCommand.enable,
    acpiDisable: power.smiCommand.disable,
    pm1aEvtBlk: power.base,
    pm1aCntBlk: power.base + 4,
    pmTmrBlk: power.base + 8,
    gpe0Blk: power.gpe0.port,
    pm1EvtLen: 4,
    pm1CntLen: 2,
    pmTmrLen: 4,
    gpe0BlkLen: power.gpe0.length,
    pLvl2Lat: NO_C2,
    pLvl3Lat: NO_C3,
    century: CENTURY_REGISTER,
    iapcBootArch: BootArchitecture.pack({ legacyDevices: true, keyboard8042: true }),
    flags: Flags.pack({
      wbinvd: true,
      procC1: true,
      noSleepButton: true,
      rtcS4: true,
      timer32: power.timerBits === 32,
      resetRegister: true,
      platformClock: true,
      clusteredApic: board.vcpus > FLAT_APIC_LIMIT,
    }),
    resetReg: port(reset.port, 8, BYTE),
    resetValue: reset.value,
    xPm1aEvtBlk: port(power.base, 32, WORD),
    xPm1aCntBlk: port(power.base + 4, 16, WORD),
    xPmTmrBlk: port(power.base + 8, 32, DWORD),
    xGpe0Blk: port(power.gpe0.port, power.gpe0.length * 8, BYTE),
  });
}
