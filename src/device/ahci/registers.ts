/**
 * Registers of an AHCI host bus adapter, and the structures that it finds in memory.
 * @spec Serial ATA AHCI 1.3.1, §3 "HBA memory registers", §4.2 "HBA memory structure usage"
 */
import { bits } from "../../bits/fields.ts";
import { struct, u16, u32 } from "../../bits/struct.ts";

/** Generic host control. */
export const Hba = { cap: 0x00, ghc: 0x04, is: 0x08, pi: 0x0c, vs: 0x10, cap2: 0x24, bohc: 0x28 } as const;
export const PORT_BASE = 0x100;
export const PORT_STRIDE = 0x80;
export const AHCI_LENGTH = 0x1000;
export const AHCI_VERSION = 0x0001_0301;

export const Cap = bits({
  numberOfPorts: [0, 4],
  commandSlots: [8, 12],
  ahciOnly: 18,
  speed: [20, 23],
  commandListOverride: 24,
  nativeQueueing: 30,
  addressing64: 31,
});
export const Ghc = bits({ reset: 0, interruptEnable: 1, ahciEnable: 31 });

export const Px = {
  clb: 0x00,
  clbu: 0x04,
  fb: 0x08,
  fbu: 0x0c,
  is: 0x10,
  ie: 0x14,
  cmd: 0x18,
  tfd: 0x20,
  sig: 0x24,
  ssts: 0x28,
  sctl: 0x2c,
  serr: 0x30,
  sact: 0x34,
  ci: 0x38,
} as const;

/** Interrupt status and enable. */
export const PxIs = bits({
  registerFis: 0,
  pioSetupFis: 1,
  dmaSetupFis: 2,
  setDeviceBits: 3,
  descriptorProcessed: 5,
  connectChange: 6,
  overflow: 24,
  hostBusData: 28,
  hostBusFatal: 29,
  taskFileError: 30,
}).mask;
/** Every bit that the enable register has. */
export const INTERRUPTS = 0xfdc0_00ff;
/** Those that software clears by writing ones; the others follow PxSERR. */
export const CLEARABLE_INTERRUPTS = 0xfd80_00af;

export const PxCmd = bits({
  start: 0,
  spinUp: 1,
  powerOn: 2,
  listOverride: 3,
  fisReceive: 4,
  currentSlot: [8, 12],
  fisRunning: 14,
  listRunning: 15,
  atapi: 24,
  driveLed: 25,
});

export const PxSctl = bits({ detection: [0, 3], speed: [4, 7], power: [8, 11] });
export const Detection = { none: 0, comreset: 1, disabled: 4 } as const;
/** A device is there and the link is up, at the third speed, in the active state. */
export const LINK_UP = 0x133;
export const LINK_DISABLED = 0x004;
/** PxSERR.DIAG.X: a device was connected. */
export const EXCHANGED = 0x0400_0000;

/** What PxTFD and PxSIG show where there is no device. */
export const NO_DEVICE_TFD = 0x7f;
export const NO_DEVICE_SIG = 0xffff_ffff;

export const COMMAND_SLOTS = 32;

export const CommandHeader = struct("LE", {
  flags: u16,
  prdtLength: u16,
  prdByteCount: u32,
  table: u32,
  tableHigh: u32,
  reserved0: u32,
  reserved1: u32,
  reserved2: u32,
  reserved3: u32,
});
export const CommandFlags = bits({ fisLength: [0, 4], atapi: 5, write: 6, reset: 8, clearBusy: 10 });

/** In the command table. */
export const COMMAND_FIS = 0x00;
export const ATAPI_COMMAND = 0x40;
export const ATAPI_COMMAND_LENGTH = 16;
export const PRDT = 0x80;

export const PrdEntry = struct("LE", { address: u32, addressHigh: u32, reserved: u32, count: u32 });
export const PRD_COUNT = 0x3f_ffff;
export const PRD_INTERRUPT = 0x8000_0000;

/** Where the received FIS area has which FIS. */
export const ReceivedFis = { pioSetup: 0x20, register: 0x40, setDeviceBits: 0x58 } as const;
