/** Registers, status bytes and commands of the 82077AA. @spec Intel 82077AA datasheet (290166), §2.1, §5, §6 */
import { bits } from "../../bits/fields.ts";

/** Offsets from the controller's first port. */
export const Port = { dor: 2, tdr: 3, msr: 4, fifo: 5, dir: 7 } as const;

export const Dor = bits({ drive: [0, 1], notReset: 2, dmaGate: 3, motors: [4, 7] });
export const Dsr = bits({ rate: [0, 1], precompensation: [2, 4], powerDown: 6, softwareReset: 7 });
export const Msr = bits({ seeking: [0, 3], commandBusy: 4, nonDma: 5, dio: 6, rqm: 7 });
export const Dir = bits({ diskChange: 7 });

export const St0 = bits({ drive: [0, 1], head: 2, equipmentCheck: 4, seekEnd: 5, interruptCode: [6, 7] });
export const InterruptCode = { normal: 0, abnormal: 1, invalid: 2, polling: 3 } as const;
export const St1 = bits({
  missingAddressMark: 0,
  notWritable: 1,
  noData: 2,
  overrun: 4,
  dataError: 5,
  endOfCylinder: 7,
});
export const St2 = bits({ missingDataAddressMark: 0, wrongCylinder: 4, dataErrorInData: 5, controlMark: 6 });
export const St3 = bits({ drive: [0, 1], head: 2, one3: 3, track0: 4, one5: 5, writeProtected: 6 });

/** CONFIGURE's second byte. */
export const Configure = bits({ threshold: [0, 3], pollDisable: 4, fifoDisable: 5, impliedSeek: 6 });
/** PERPENDICULAR MODE's byte. */
export const Perpendicular = bits({ wgate: 0, gap: 1, drives: [2, 5], overwrite: 7 });

export type CommandName =
  | "readData"
  | "readDeletedData"
  | "writeData"
  | "writeDeletedData"
  | "readTrack"
  | "verify"
  | "version"
  | "formatTrack"
  | "readId"
  | "recalibrate"
  | "senseInterruptStatus"
  | "specify"
  | "senseDriveStatus"
  | "seek"
  | "relativeSeek"
  | "configure"
  | "dumpreg"
  | "perpendicularMode"
  | "lock";

export interface CommandDescription {
  readonly name: CommandName;
  /** Bytes that follow the first one. */
  readonly parameters: number;
}

/** Each with the bits of its first byte that may vary: MT, MFM and SK, or others. @spec §5.1 */
const COMMANDS: readonly (CommandDescription & { readonly code: number; readonly free: number })[] = [
  { name: "readData", code: 0x06, free: 0xe0, parameters: 8 },
  { name: "readDeletedData", code: 0x0c, free: 0xe0, parameters: 8 },
  { name: "writeData", code: 0x05, free: 0xc0, parameters: 8 },
  { name: "writeDeletedData", code: 0x09, free: 0xc0, parameters: 8 },
  { name: "readTrack", code: 0x02, free: 0x40, parameters: 8 },
  { name: "verify", code: 0x16, free: 0xe0, parameters: 8 },
  { name: "version", code: 0x10, free: 0, parameters: 0 },
  { name: "formatTrack", code: 0x0d, free: 0x40, parameters: 5 },
  { name: "readId", code: 0x0a, free: 0x40, parameters: 1 },
  { name: "recalibrate", code: 0x07, free: 0, parameters: 1 },
  { name: "senseInterruptStatus", code: 0x08, free: 0, parameters: 0 },
  { name: "specify", code: 0x03, free: 0, parameters: 2 },
  { name: "senseDriveStatus", code: 0x04, free: 0, parameters: 1 },
  { name: "relativeSeek", code: 0x8f, free: 0x40, parameters: 2 },
  { name: "seek", code: 0x0f, free: 0, parameters: 2 },
  { name: "configure", code: 0x13, free: 0, parameters: 3 },
  { name: "dumpreg", code: 0x0e, free: 0, parameters: 0 },
  { name: "perpendicularMode", code: 0x12, free: 0, parameters: 1 },
  { name: "lock", code: 0x14, free: 0x80, parameters: 0 },
];

/** Undefined for an invalid command. */
export function commandOf(first: number): CommandDescription | undefined {
  return COMMANDS.find(({ code, free }) => (first & ~free) === code);
}

/** First bytes: multi-track, MFM, skip; LOCK and the direction of a relative seek are their own. */
export const Flags = bits({ skip: 5, mfm: 6, multiTrack: 7 });
export const LOCK = 0x80;
export const SEEK_INWARDS = 0x40;
/** The byte with drive and head; VERIFY counts sectors where the highest bit is set. */
export const Unit = bits({ drive: [0, 1], head: 2, enableCount: 7 });
