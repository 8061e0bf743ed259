/** Registers, queue entries and codes of NVM Express. @spec NVM Express 1.4c, §3.1, §4.2, §4.6, §5, §6 */
import { bits } from "../../bits/fields.ts";
import { struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

/** Offsets in the controller's memory. */
export const Register = {
  capLow: 0x00,
  capHigh: 0x04,
  vs: 0x08,
  intms: 0x0c,
  intmc: 0x10,
  cc: 0x14,
  csts: 0x1c,
  nssr: 0x20,
  aqa: 0x24,
  asqLow: 0x28,
  asqHigh: 0x2c,
  acqLow: 0x30,
  acqHigh: 0x34,
  doorbells: 0x1000,
} as const;

/** The low and the high half of CAP. */
export const CapLow = bits({ mqes: [0, 15], cqr: 16, ams: [17, 18], to: [24, 31] });
export const CapHigh = bits({ dstrd: [0, 3], nssrs: 4, css: [5, 12], bps: 13, mpsmin: [16, 19], mpsmax: [20, 23] });
export const VERSION_1_4 = 0x0001_0400;
export const Cc = bits({
  en: 0,
  css: [4, 6],
  mps: [7, 10],
  ams: [11, 13],
  shn: [14, 15],
  iosqes: [16, 19],
  iocqes: [20, 23],
});
export const Csts = bits({ rdy: 0, cfs: 1, shst: [2, 3] });
export const Shutdown = { none: 0, occurring: 1, complete: 2 } as const;
export const Aqa = bits({ asqs: [0, 11], acqs: [16, 27] });

/** Submission queue entry. */
export const Sqe = struct("LE", {
  opcode: u8,
  flags: u8,
  cid: u16,
  nsid: u32,
  cdw2: u32,
  cdw3: u32,
  mptr: u64,
  prp1: u64,
  prp2: u64,
  cdw10: u32,
  cdw11: u32,
  cdw12: u32,
  cdw13: u32,
  cdw14: u32,
  cdw15: u32,
});
export const SqeFlags = bits({ fuse: [0, 1], psdt: [6, 7] });
/** Log2 of the entries' sizes. */
export const SQES = 6;
export const CQES = 4;

/** Completion queue entry; `status` has the phase tag in bit 0. */
export const Cqe = struct("LE", { dw0: u32, dw1: u32, sqhd: u16, sqid: u16, cid: u16, status: u16 });

export const Admin = {
  deleteSq: 0x00,
  createSq: 0x01,
  getLogPage: 0x02,
  deleteCq: 0x04,
  createCq: 0x05,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asyncEventRequest: 0x0c,
} as const;

export const Nvm = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  writeZeroes: 0x08,
  datasetManagement: 0x09,
} as const;

/** Status code in bits 0 to 7, type in bits 8 to 10, do-not-retry in bit 14, as in the entry above its phase tag. */
const DNR = 0x4000;
export const Status = {
  success: 0x000,
  invalidOpcode: 0x001 | DNR,
  invalidField: 0x002 | DNR,
  dataTransferError: 0x004,
  internalError: 0x006,
  invalidNamespace: 0x00b | DNR,
  prpOffsetInvalid: 0x013 | DNR,
  writeProtected: 0x020 | DNR,
  lbaOutOfRange: 0x080 | DNR,
  completionQueueInvalid: 0x100 | DNR,
  invalidQueueIdentifier: 0x101 | DNR,
  invalidQueueSize: 0x102 | DNR,
  asyncEventLimitExceeded: 0x105 | DNR,
  invalidInterruptVector: 0x108 | DNR,
  invalidLogPage: 0x109 | DNR,
  invalidQueueDeletion: 0x10c | DNR,
  featureNotSaveable: 0x10d | DNR,
  featureNotChangeable: 0x10e | DNR,
  writeFault: 0x280,
  unrecoveredReadError: 0x281,
} as const;

export const Feature = {
  arbitration: 0x01,
  powerManagement: 0x02,
  temperatureThreshold: 0x04,
  errorRecovery: 0x05,
  volatileWriteCache: 0x06,
  numberOfQueues: 0x07,
  interruptCoalescing: 0x08,
  interruptVectorConfiguration: 0x09,
  writeAtomicity: 0x0a,
  asyncEventConfiguration: 0x0b,
} as const;

export const LogPage = { errorInformation: 0x01, smart: 0x02, firmwareSlot: 0x03 } as const;

/** Asynchronous events: type in bits 0 to 2, information in bits 8 to 15, log page in bits 16 to 23. */
export const AsyncEvent = {
  invalidDoorbellRegister: 0x01_00_00,
  invalidDoorbellValue: 0x01_01_00,
} as const;

/** One range of DATASET MANAGEMENT. */
export const Range = struct("LE", { attributes: u32, length: u32, start: u64 });

export const ErrorLogEntry = struct("LE", {
  errorCount: u64,
  sqid: u16,
  cid: u16,
  status: u16,
  parameter: u16,
  lba: u64,
  nsid: u32,
});
export const ERROR_LOG_ENTRY = 64;
