/** Structures of a SCSI host. @spec OASIS virtio 1.2, §5.6 "SCSI Host Device" */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";

export const ScsiConfig = struct("LE", {
  numQueues: u32,
  segMax: u32,
  maxSectors: u32,
  cmdPerLun: u32,
  eventInfoSize: u32,
  senseSize: u32,
  cdbSize: u32,
  maxChannel: u16,
  maxTarget: u16,
  maxLun: u32,
});
export const DEFAULT_SENSE_SIZE = 96;
export const DEFAULT_CDB_SIZE = 32;

/** A command's device-readable part, before the CDB. */
export const RequestHeader = struct("LE", { lun: bytes(8), id: u64, taskAttribute: u8, priority: u8, crn: u8 });
/** A command's device-writable part, before the sense data. */
export const ResponseHeader = struct("LE", {
  senseLength: u32,
  residual: u32,
  statusQualifier: u16,
  status: u8,
  response: u8,
});

export const Response = {
  ok: 0,
  aborted: 2,
  badTarget: 3,
  functionSucceeded: 10,
  functionRejected: 11,
  incorrectLun: 12,
} as const;

export const ControlType = { taskManagement: 0, queryEvents: 1, subscribeEvents: 2 } as const;
export const TaskManagement = struct("LE", { type: u32, subtype: u32, lun: bytes(8), id: u64 });
export const TaskFunction = {
  abortTask: 0,
  abortTaskSet: 1,
  clearAca: 2,
  clearTaskSet: 3,
  nexusReset: 4,
  logicalUnitReset: 5,
  queryTask: 6,
  queryTaskSet: 7,
} as const;
export const EventRequest = struct("LE", { type: u32, lun: bytes(8), requested: u32 });
export const EventAnswer = struct("LE", { actual: u32, response: u8 });

export interface LunAddress {
  readonly target: number;
  /** Undefined for the well-known unit that reports LUNs. */
  readonly lun: number | undefined;
}

const REPORT_LUNS = 0xc1;
const FLAT = 0x40;

/** The address in a request; undefined where it has none of the forms that it may have (§5.6.6.1). */
export function addressOf(lun: Uint8Array): LunAddress | undefined {
  const [format = 0, target = 0, high = 0, low = 0] = lun;
  if (format === REPORT_LUNS && target === 0x01) return { target: 0, lun: undefined };
  if (format !== 1 || lun.subarray(4).some((byte) => byte !== 0)) return undefined;
  if ((high & 0xc0) !== FLAT && (high & 0xc0) !== 0) return undefined;
  return { target, lun: ((high & 0x3f) << 8) | low };
}
