/** What answers for a logical unit number that a target does not have. @spec SPC-4 §6.6.2 "Standard INQUIRY data" */
import { BlockError } from "../../disk/block-device.ts";
import { InquiryData } from "../scsi/cdrom-layout.ts";
import { Sbc } from "../scsi/disk-layout.ts";
import type { ScsiTask, ScsiUnit } from "../scsi/scsi-unit.ts";
import { fixedSense, ScsiStatus, SENSE } from "../scsi/sense.ts";

/** No device can be at this unit, and of no known type. */
const NO_UNIT = 0x7f;

const refused = { status: ScsiStatus.checkCondition, sense: SENSE.logicalUnitNotSupported } as const;
const nothing = async (): Promise<void> => {
  throw new BlockError("io", "there is no such logical unit");
};

export const ABSENT_UNIT: ScsiUnit = {
  begin(command: Uint8Array): ScsiTask {
    const cdb = new Uint8Array(16);
    cdb.set(command.subarray(0, 16));
    switch (cdb[0]) {
      case Sbc.inquiry: {
        const data = InquiryData.make({ type: NO_UNIT, version: 0x06, format: 0x12, additionalLength: 31 });
        return { kind: "data", cdb, data: data.slice(0, (cdb[3]! << 8) | cdb[4]!) };
      }
      case Sbc.reportLuns: {
        // The target has LUN 0.
        const list = Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        return { kind: "data", cdb, data: list.slice(0, new DataView(cdb.buffer).getUint32(6)) };
      }
      case Sbc.requestSense:
        return { kind: "data", cdb, data: fixedSense(SENSE.logicalUnitNotSupported).slice(0, cdb[4]!) };
      default:
        return { kind: "none", cdb, end: refused };
    }
  },
  read: nothing,
  write: nothing,
  finish: nothing,
  complete: (task) => (task.kind === "none" && task.end ? task.end : { status: ScsiStatus.good }),
  fail: () => refused,
  abort: () => refused,
};
