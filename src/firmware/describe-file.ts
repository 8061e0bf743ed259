/** What a file that is no kernel seems to be, and what to do with it, for an error message. */
import { type ContentKind, HEAD_LENGTH, identify, TAIL_LENGTH } from "../disk/identify.ts";

const AS_DISK = "attach it as a disk";
const REMEDIES: Partial<Record<ContentKind, string>> = {
  qcow: AS_DISK,
  qcow2: AS_DISK,
  vmdk: AS_DISK,
  vhd: AS_DISK,
  vhdx: AS_DISK,
  vdi: AS_DISK,
  "disk-image": AS_DISK,
  disk: AS_DISK,
  "boot-sector": AS_DISK,
  "file-system": AS_DISK,
  iso9660: "insert it as a disc",
  udf: "insert it as a disc",
  compressed: "unpack it first",
};

/** Completes "the file ...": "seems to be an ISO 9660 disc image (insert it as a disc)". */
export function describeFile(file: Uint8Array): string {
  const head = file.subarray(0, HEAD_LENGTH);
  const tail = file.subarray(Math.max(0, file.length - TAIL_LENGTH));
  const { kind, phrase } = identify({ size: file.length, head, tail });
  const remedy = REMEDIES[kind];
  return `seems to be ${phrase}${remedy === undefined ? "" : ` (${remedy})`}`;
}
