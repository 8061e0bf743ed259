/**
 * Registers and command codes of ATA and ATAPI devices.
 * @spec ATA/ATAPI-7 volume 1 §6 "Command descriptions", volume 2 §5 "Registers"; ACS-3 §7 for later commands
 */
import { bits } from "../../bits/fields.ts";

export const Status = bits({ err: 0, drq: 3, dsc: 4, df: 5, drdy: 6, bsy: 7 });
export const ErrorBit = { nm: 0x02, abrt: 0x04, mcr: 0x08, idnf: 0x10, mc: 0x20, unc: 0x40, icrc: 0x80 } as const;
/** Interrupt reason, in the count register, of PACKET: command or data, and the direction. */
export const Reason = { command: 1, toHost: 2 } as const;
export const Device = { head: 0x0f, second: 0x10, lba: 0x40, fua: 0x80 } as const;
export const Control = { nIen: 0x02, srst: 0x04, hob: 0x80 } as const;

/** Ready, and done with the last command. */
export const READY = Status.mask.drdy | Status.mask.dsc;
/** No device failed the diagnostic. */
export const DIAGNOSTIC_PASSED = 0x01;

export const Command = {
  nop: 0x00,
  dataSetManagement: 0x06,
  deviceReset: 0x08,
  recalibrate: 0x10,
  readSectors: 0x20,
  readSectorsOnce: 0x21,
  readSectorsExt: 0x24,
  readDmaExt: 0x25,
  readMultipleExt: 0x29,
  readLogExt: 0x2f,
  writeSectors: 0x30,
  writeSectorsOnce: 0x31,
  writeSectorsExt: 0x34,
  writeDmaExt: 0x35,
  writeMultipleExt: 0x39,
  writeDmaFuaExt: 0x3d,
  readVerify: 0x40,
  readVerifyOnce: 0x41,
  readVerifyExt: 0x42,
  readLogDmaExt: 0x47,
  readFpdmaQueued: 0x60,
  writeFpdmaQueued: 0x61,
  seek: 0x70,
  executeDiagnostic: 0x90,
  initializeParameters: 0x91,
  packet: 0xa0,
  identifyPacketDevice: 0xa1,
  readMultiple: 0xc4,
  writeMultiple: 0xc5,
  setMultipleMode: 0xc6,
  readDma: 0xc8,
  readDmaOnce: 0xc9,
  writeDma: 0xca,
  writeDmaOnce: 0xcb,
  writeMultipleFuaExt: 0xce,
  standbyImmediate: 0xe0,
  idleImmediate: 0xe1,
  standby: 0xe2,
  idle: 0xe3,
  checkPowerMode: 0xe5,
  sleep: 0xe6,
  flushCache: 0xe7,
  flushCacheExt: 0xea,
  identifyDevice: 0xec,
  setFeatures: 0xef,
  securityFreezeLock: 0xf5,
} as const;

/** What SET FEATURES has in the features register. */
export const SetFeature = {
  enableWriteCache: 0x02,
  transferMode: 0x03,
  disableReadAhead: 0x55,
  disableRevert: 0x66,
  disableWriteCache: 0x82,
  enableReadAhead: 0xaa,
  enableRevert: 0xcc,
} as const;

/** What a device looks like after a reset: the count and LBA registers. */
export const SIGNATURE = {
  disk: { count: 1, lba: 0x00_0001 },
  packet: { count: 1, lba: 0xeb_1401 },
} as const;
