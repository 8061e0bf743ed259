/**
 * SCSI status and sense data, in the fixed format.
 * @spec SAM-5 §5.3 "Status"; SPC-4 §4.5 "Sense data"; MMC-6 annex F for the codes of CD and DVD drives.
 */
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";

export const ScsiStatus = { good: 0x00, checkCondition: 0x02, busy: 0x08 } as const;

export const SenseKey = {
  noSense: 0x0,
  recoveredError: 0x1,
  notReady: 0x2,
  mediumError: 0x3,
  hardwareError: 0x4,
  illegalRequest: 0x5,
  unitAttention: 0x6,
  dataProtect: 0x7,
  abortedCommand: 0xb,
} as const;

/** What went wrong: the sense key, and the additional sense code with its qualifier. */
export interface Sense {
  readonly key: number;
  /** ASC in the high byte, ASCQ in the low one. */
  readonly code: number;
  /** The block that the error is about. */
  readonly information?: number;
}

const { notReady, mediumError, hardwareError, illegalRequest, unitAttention, dataProtect } = SenseKey;

/** Sense by what is to be told. */
export const SENSE = {
  none: { key: SenseKey.noSense, code: 0x0000 },
  mediumNotPresent: { key: notReady, code: 0x3a00 },
  mediumNotPresentTrayClosed: { key: notReady, code: 0x3a01 },
  mediumNotPresentTrayOpen: { key: notReady, code: 0x3a02 },
  writeError: { key: mediumError, code: 0x0c00 },
  unrecoveredReadError: { key: mediumError, code: 0x1100 },
  internalTargetFailure: { key: hardwareError, code: 0x4400 },
  parameterListLengthError: { key: illegalRequest, code: 0x1a00 },
  invalidOperationCode: { key: illegalRequest, code: 0x2000 },
  blockOutOfRange: { key: illegalRequest, code: 0x2100 },
  invalidFieldInCdb: { key: illegalRequest, code: 0x2400 },
  logicalUnitNotSupported: { key: illegalRequest, code: 0x2500 },
  invalidFieldInParameterList: { key: illegalRequest, code: 0x2600 },
  savingParametersNotSupported: { key: illegalRequest, code: 0x3900 },
  incompatibleFormat: { key: illegalRequest, code: 0x3002 },
  mediumRemovalPrevented: { key: illegalRequest, code: 0x5302 },
  illegalModeForThisTrack: { key: illegalRequest, code: 0x6400 },
  mediumMayHaveChanged: { key: unitAttention, code: 0x2800 },
  powerOnOrReset: { key: unitAttention, code: 0x2900 },
  writeProtected: { key: dataProtect, code: 0x2700 },
  spaceAllocationFailed: { key: dataProtect, code: 0x2707 },
} as const satisfies Record<string, Sense>;

const FixedSense = struct("BE", {
  responseCode: u8,
  segment: u8,
  key: u8,
  // Behind the key without alignment, as the standard has it.
  information: u32,
  additionalLength: u8,
  commandSpecific: u32,
  code: u16,
  fieldReplaceable: u8,
  keySpecific: bytes(3),
});
const CURRENT_FIXED = 0x70;
const INFORMATION_VALID = 0x80;
const ADDITIONAL_LENGTH = 10;

/** Sense data in the fixed format, 18 bytes. @spec SPC-4 §4.5.3 */
export function fixedSense({ key, code, information }: Sense): Uint8Array {
  return FixedSense.make({
    responseCode: CURRENT_FIXED | (information === undefined ? 0 : INFORMATION_VALID),
    key,
    information: information ?? 0,
    additionalLength: ADDITIONAL_LENGTH,
    code,
  });
}
