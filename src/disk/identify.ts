/**
 * What a file seems to be, by its content: for messages such as "disk.img seems to be a qcow2 image", and to
 * choose a disk format. A guess from signatures, not a check: the file may still be broken.
 */
import { byteOffset } from "../bits/units.ts";
import type { ByteStore } from "./byte-store.ts";
import { identifyExecutable } from "./identify-executable.ts";
import { holds, type Sample, u16At, u32At } from "./sample.ts";

export type ContentKind =
  | "empty"
  | "zeros"
  | "qcow"
  | "qcow2"
  | "vmdk"
  | "vhd"
  | "vhdx"
  | "vdi"
  | "disk-image"
  | "iso9660"
  | "udf"
  | "disk"
  | "boot-sector"
  | "file-system"
  | "kernel"
  | "program"
  | "archive"
  | "compressed"
  | "text"
  | "unknown";

export interface Content {
  kind: ContentKind;
  /** Completes "it seems to be ...", as in "a qcow2 image". */
  phrase: string;
}

/** Bytes from the start of a file that identification looks at: up to Btrfs's superblock at 64 KiB. */
export const HEAD_LENGTH = 0x11000;
/** Bytes from the end: a VHD's footer. */
export const TAIL_LENGTH = 512;

interface Signature extends Content {
  at: number;
  /** Characters stand for bytes. */
  magic: string;
}

/** In the order of preference: an ISO image may begin with a partition table, a VMDK descriptor is text. */
const SIGNATURES: readonly Signature[] = [
  { at: 0, magic: "QFI\xfb\0\0\0\x01", kind: "qcow", phrase: "a qcow (version 1) image" },
  { at: 0, magic: "QFI\xfb", kind: "qcow2", phrase: "a qcow2 image" },
  { at: 0, magic: "QED\0", kind: "disk-image", phrase: "a QED image" },
  { at: 0, magic: "KDMV", kind: "vmdk", phrase: "a VMDK image" },
  { at: 0, magic: "COWD", kind: "vmdk", phrase: "a VMDK image" },
  { at: 0, magic: "# Disk DescriptorFile", kind: "vmdk", phrase: "the descriptor of a VMDK image" },
  { at: 0, magic: "vhdxfile", kind: "vhdx", phrase: "a VHDX image" },
  { at: 0, magic: "conectix", kind: "vhd", phrase: "a VHD image" },
  { at: 0x40, magic: "\x7f\x10\xda\xbe", kind: "vdi", phrase: "a VDI image" },
  { at: 0, magic: "WithoutFreeSpace", kind: "disk-image", phrase: "a Parallels image" },
  { at: 0, magic: "WithouFreSpacExt", kind: "disk-image", phrase: "a Parallels image" },
  { at: 0, magic: "#!/bin/sh\n#V2.0 Format", kind: "disk-image", phrase: "a cloop image" },
  { at: 0, magic: "Bochs Virtual HD Image", kind: "disk-image", phrase: "a Bochs image" },
  { at: 0x8001, magic: "CD001", kind: "iso9660", phrase: "an ISO 9660 disc image" },
  { at: 0x8001, magic: "BEA01", kind: "udf", phrase: "a UDF disc image" },
  { at: 0, magic: "\x1f\x8b", kind: "compressed", phrase: "a gzip file" },
  { at: 0, magic: "\xfd7zXZ\0", kind: "compressed", phrase: "an xz file" },
  { at: 0, magic: "\x28\xb5\x2f\xfd", kind: "compressed", phrase: "a zstd file" },
  { at: 0, magic: "BZh", kind: "compressed", phrase: "a bzip2 file" },
  { at: 0, magic: "\x04\x22\x4d\x18", kind: "compressed", phrase: "an LZ4 file" },
  { at: 0, magic: "\x02\x21\x4c\x18", kind: "compressed", phrase: "an LZ4 file" },
  { at: 0, magic: "\x89LZO\0", kind: "compressed", phrase: "an LZO file" },
  { at: 0, magic: "LZIP", kind: "compressed", phrase: "an lzip file" },
  { at: 0, magic: "PK\x03\x04", kind: "archive", phrase: "a ZIP archive" },
  { at: 0, magic: "PK\x05\x06", kind: "archive", phrase: "an empty ZIP archive" },
  { at: 0, magic: "7z\xbc\xaf\x27\x1c", kind: "archive", phrase: "a 7-Zip archive" },
  { at: 0, magic: "Rar!\x1a\x07", kind: "archive", phrase: "a RAR archive" },
  { at: 0, magic: "!<arch>\ndebian-binary", kind: "archive", phrase: "a Debian package" },
  { at: 0, magic: "!<arch>\n", kind: "archive", phrase: "an ar archive" },
  { at: 0, magic: "\xed\xab\xee\xdb", kind: "archive", phrase: "an RPM package" },
  { at: 0, magic: "MSWIM\0\0\0", kind: "archive", phrase: "a Windows (WIM) image" },
  { at: 257, magic: "ustar", kind: "archive", phrase: "a tar archive" },
  { at: 0, magic: "070701", kind: "archive", phrase: "a cpio archive, such as an initial RAM disk" },
  { at: 0, magic: "070702", kind: "archive", phrase: "a cpio archive, such as an initial RAM disk" },
  { at: 0, magic: "070707", kind: "archive", phrase: "a cpio archive" },
  { at: 0, magic: "\xc7\x71", kind: "archive", phrase: "a cpio archive" },
  { at: 0, magic: "hsqs", kind: "file-system", phrase: "a SquashFS file system" },
  { at: 0, magic: "XFSB", kind: "file-system", phrase: "an XFS file system" },
  { at: 0x10040, magic: "_BHRfS_M", kind: "file-system", phrase: "a Btrfs file system" },
  { at: 1024, magic: "\x10\x20\xf5\xf2", kind: "file-system", phrase: "an F2FS file system" },
  { at: 1024, magic: "\xe2\xe1\xf5\xe0", kind: "file-system", phrase: "an EROFS file system" },
  { at: 4086, magic: "SWAPSPACE2", kind: "file-system", phrase: "a Linux swap area" },
  { at: 0, magic: "LUKS\xba\xbe", kind: "file-system", phrase: "a LUKS-encrypted volume" },
  { at: 512, magic: "LABELONE", kind: "file-system", phrase: "an LVM physical volume" },
  { at: 3, magic: "NTFS    ", kind: "file-system", phrase: "an NTFS file system" },
  { at: 3, magic: "EXFAT   ", kind: "file-system", phrase: "an exFAT file system" },
  { at: 0x36, magic: "FAT1", kind: "file-system", phrase: "a FAT file system or a floppy disk" },
  { at: 0x52, magic: "FAT32", kind: "file-system", phrase: "a FAT file system" },
  { at: 512, magic: "EFI PART", kind: "disk", phrase: "a raw disk image with a GPT" },
  { at: 0, magic: "%PDF-", kind: "unknown", phrase: "a PDF document" },
];

/** Identifies by the start and the end of a file. */
export function identify(sample: Sample): Content {
  const { size, head, tail } = sample;
  if (size === 0) return { kind: "empty", phrase: "an empty file" };
  const signature = SIGNATURES.find(({ at, magic }) => holds(head, at, magic));
  if (signature !== undefined) return { kind: signature.kind, phrase: signature.phrase };
  if (holds(tail, tail.length - 512, "conectix")) return { kind: "vhd", phrase: "a VHD image of fixed size" };
  if (holds(tail, tail.length - 512, "koly")) return { kind: "disk-image", phrase: "an Apple disk image" };
  return identifyExecutable(head) ?? identifyExt(head) ?? identifyBootSector(head) ?? identifyPlain(sample);
}

/** Identifies the content of a store. */
export async function identifyStore(store: Pick<ByteStore, "size" | "read">): Promise<Content> {
  const { size } = store;
  const head = new Uint8Array(Math.min(size, HEAD_LENGTH));
  const tail = new Uint8Array(Math.min(size, TAIL_LENGTH));
  await store.read(byteOffset(0), head);
  await store.read(byteOffset(size - tail.length), tail);
  return identify({ size, head, tail });
}

/** The superblock at 1024, whose feature words tell the generations apart. */
function identifyExt(head: Uint8Array): Content | undefined {
  const superblock = 1024;
  if (!holds(head, superblock + 0x38, "\x53\xef")) return undefined;
  const hasJournal = (u32At(head, superblock + 0x5c) & 0x4) !== 0;
  // Extents, 64-bit block numbers and flexible groups came with ext4.
  const isExt4 = (u32At(head, superblock + 0x60) & (0x40 | 0x80 | 0x200)) !== 0;
  const generation = isExt4 ? "ext4" : hasJournal ? "ext3" : "ext2";
  return { kind: "file-system", phrase: `an ${generation} file system` };
}

/** The signature 55 AA ends a boot sector; with a partition table it is a disk's. */
function identifyBootSector(head: Uint8Array): Content | undefined {
  if (!holds(head, 510, "\x55\xaa")) return undefined;
  const entries = [0x1be, 0x1ce, 0x1de, 0x1ee];
  const isValid = (at: number) =>
    (head[at] === 0 || head[at] === 0x80) && (head[at + 4] === 0) === (u32At(head, at + 12) === 0);
  const isUsed = (at: number) => head[at + 4] !== 0;
  if (entries.every(isValid) && entries.some(isUsed)) {
    return { kind: "disk", phrase: "a raw disk image with a partition table" };
  }
  // A BIOS parameter block: a jump, and a power of two of bytes per sector.
  const bytesPerSector = u16At(head, 11);
  const jumps = head[0] === 0xeb || head[0] === 0xe9;
  if (jumps && bytesPerSector >= 512 && bytesPerSector <= 4096 && (bytesPerSector & (bytesPerSector - 1)) === 0) {
    return { kind: "file-system", phrase: "a FAT file system or a floppy disk" };
  }
  return { kind: "boot-sector", phrase: "a raw disk image with a boot sector" };
}

function identifyPlain({ size, head, tail }: Sample): Content {
  if (head.every((byte) => byte === 0) && tail.every((byte) => byte === 0)) {
    return { kind: "zeros", phrase: size > head.length ? "a blank disk" : "nothing but zeros" };
  }
  const start = head.subarray(0, 512);
  if (start.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte !== 127))) {
    return { kind: "text", phrase: identifyText(start) };
  }
  return { kind: "unknown", phrase: "of no kind that is known here" };
}

function identifyText(start: Uint8Array): string {
  if (holds(start, 0, "#!")) return "a script";
  const text = String.fromCharCode(...start)
    .trimStart()
    .toLowerCase();
  // What a failed download often leaves behind.
  if (text.startsWith("<!doctype html") || text.startsWith("<html")) return "a web page";
  return "a text file";
}
