/**
 * INQUIRY data of a disk, and its vital product data.
 * @spec SPC-4 §6.6 "INQUIRY", §7.8 "Vital product data parameters"; SBC-3 §6.5
 */
import { concatBytes, InquiryData, padded } from "./cdrom-layout.ts";
import {
  BlockLimits,
  Characteristics,
  DISK_DEVICE,
  MOST_UNMAP,
  MOST_UNMAP_RANGES,
  MOST_WRITE_SAME,
  NOT_ROTATING,
  Provisioning,
  THIN,
  UNMAP_COMMANDS,
  VitalPage,
  WRITE_SAME_NON_ZERO,
} from "./disk-layout.ts";

const VENDOR = "BUNKHSE";
const PRODUCT = "Virtual disk";
const REVISION = "1.0";
const SPC_4 = 0x06;
/** Response data format 2, and LUNs by the hierarchical model. */
const FORMAT = 0x12;
const COMMAND_QUEUEING = 0x02;
/** ASCII, for the logical unit, by vendor. */
const T10_VENDOR_ID = [0x02, 0x01, 0x00] as const;

export interface DiskIdentity {
  readonly serial: string;
  /** Nothing is unmapped on a read-only disk. */
  readonly readOnly: boolean;
}

export function standardInquiry(): Uint8Array {
  return InquiryData.make({
    type: DISK_DEVICE,
    version: SPC_4,
    format: FORMAT,
    additionalLength: InquiryData.size - 5,
    flags: Uint8Array.of(0, 0, COMMAND_QUEUEING),
    vendor: padded(VENDOR, 8),
    product: padded(PRODUCT, 16),
    revision: padded(REVISION, 4),
  });
}

/** A page of vital product data; undefined for what is not there. */
export function vitalPage(page: number, { serial, readOnly }: DiskIdentity): Uint8Array | undefined {
  const text = padded(serial, serial.length);
  switch (page) {
    case VitalPage.supported:
      return vital(page, Uint8Array.of(...Object.values(VitalPage)));
    case VitalPage.serial:
      return vital(page, text);
    case VitalPage.identification: {
      const name = concatBytes(padded(VENDOR, 8), text);
      return vital(page, concatBytes(Uint8Array.of(...T10_VENDOR_ID, name.length), name));
    }
    case VitalPage.blockLimits: {
      const unmap = readOnly ? {} : { maxUnmap: MOST_UNMAP, maxUnmapRanges: MOST_UNMAP_RANGES };
      const limits = { flags: WRITE_SAME_NON_ZERO, maxWriteSame: BigInt(MOST_WRITE_SAME), optimalUnmapGranularity: 8 };
      return vital(page, BlockLimits.make({ ...limits, ...unmap }));
    }
    case VitalPage.characteristics:
      return vital(page, Characteristics.make({ rotationRate: NOT_ROTATING }));
    case VitalPage.provisioning:
      return vital(page, Provisioning.make(readOnly ? {} : { flags: UNMAP_COMMANDS, type: THIN }));
    default:
      return undefined;
  }
}

function vital(page: number, body: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(DISK_DEVICE, page, body.length >>> 8, body.length & 0xff), body);
}
