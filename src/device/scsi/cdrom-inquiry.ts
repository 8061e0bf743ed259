/**
 * INQUIRY data of a CD drive, and its vital product data.
 * @spec SPC-4 §6.6 "INQUIRY", §7.8 "Vital product data parameters"; INF-8020 for an ATAPI drive's versions
 */
import { CD_DEVICE, concatBytes, InquiryData, padded, REMOVABLE } from "./cdrom-layout.ts";

const VENDOR = "BUNKHSE";
const PRODUCT = "Virtual DVD-ROM";
const REVISION = "1.0";
/** SPC-3 and response data format 2; an ATAPI drive says version 0, and ATAPI version 3 beside the format. */
const VERSION = { atapi: { version: 0x00, format: 0x32 }, scsi: { version: 0x05, format: 0x02 } } as const;
const VitalPage = { supported: 0x00, serial: 0x80, identification: 0x83 } as const;
/** ASCII, for the logical unit, by vendor. */
const T10_VENDOR_ID = [0x02, 0x01, 0x00] as const;

export interface InquiryConfig {
  readonly transport: "atapi" | "scsi";
  readonly serial?: string;
}

/** The answer for a page of vital product data, or without `page` the standard data; undefined for what is not there. */
export function inquiry(config: InquiryConfig, page: number | undefined, code: number): Uint8Array | undefined {
  const { transport, serial = "" } = config;
  if (page === undefined) {
    if (code !== 0) return undefined;
    return InquiryData.make({
      type: CD_DEVICE,
      removable: REMOVABLE,
      ...VERSION[transport],
      additionalLength: InquiryData.size - 5,
      vendor: padded(VENDOR, 8),
      product: padded(PRODUCT, 16),
      revision: padded(REVISION, 4),
    });
  }
  const text = padded(serial, serial.length);
  switch (page) {
    case VitalPage.supported:
      return vital(page, Uint8Array.of(VitalPage.supported, VitalPage.serial, VitalPage.identification));
    case VitalPage.serial:
      return vital(page, text);
    case VitalPage.identification: {
      const name = concatBytes(padded(VENDOR, 8), text);
      return vital(page, concatBytes(Uint8Array.of(...T10_VENDOR_ID, name.length), name));
    }
    default:
      return undefined;
  }
}

function vital(page: number, body: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(CD_DEVICE, page, body.length >>> 8, body.length & 0xff), body);
}
