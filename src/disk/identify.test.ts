import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { type Content, identify, identifyStore } from "./identify.ts";
import { MemoryStore } from "./memory-store.ts";
import { pattern } from "./testing/pattern.ts";

type Part = [at: number, bytes: string];

/** A file of `size` bytes with the given parts, zeros elsewhere; negative offsets count from the end. */
function file(size: number, ...parts: Part[]): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [at, text] of parts) {
    bytes.set(
      Uint8Array.from(text, (c) => c.charCodeAt(0)),
      at < 0 ? size + at : at,
    );
  }
  return bytes;
}

const KIB = 1024;
const PARTITION = "\x80\x01\x01\0\x83\xfe\xff\xff\0\x08\0\0\0\0\x10\0";
const BOOT: Part = [510, "\x55\xaa"];

const EXAMPLES: readonly [phrase: string, kind: Content["kind"], bytes: Uint8Array][] = [
  ["an empty file", "empty", file(0)],
  ["nothing but zeros", "zeros", file(10)],
  ["a blank disk", "zeros", file(200 * KIB)],
  ["a qcow (version 1) image", "qcow", file(512, [0, "QFI\xfb\0\0\0\x01"])],
  ["a qcow2 image", "qcow2", file(512, [0, "QFI\xfb\0\0\0\x03"])],
  ["a VMDK image", "vmdk", file(512, [0, "KDMV\x01\0\0\0"])],
  ["the descriptor of a VMDK image", "vmdk", file(200, [0, "# Disk DescriptorFile\nversion=1\n"])],
  ["a VHDX image", "vhdx", file(70 * KIB, [0, "vhdxfile"])],
  ["a VHD image", "vhd", file(2 * KIB, [0, "conectix"], [-512, "conectix"])],
  ["a VHD image of fixed size", "vhd", file(200 * KIB, [0x1be, PARTITION], BOOT, [-512, "conectix"])],
  ["a VDI image", "vdi", file(KIB, [0, "<<< Oracle VM VirtualBox Disk Image >>>\n"], [0x40, "\x7f\x10\xda\xbe"])],
  ["an ISO 9660 disc image", "iso9660", file(64 * KIB, [0x8001, "CD001"])],
  ["an ISO 9660 disc image", "iso9660", file(64 * KIB, [0x1be, PARTITION], BOOT, [512, "EFI PART"], [0x8001, "CD001"])],
  ["a UDF disc image", "udf", file(64 * KIB, [0x8001, "BEA01"])],
  ["an Apple disk image", "disk-image", file(KIB, [0, "\x01\x02\x03"], [-512, "koly"])],
  ["a gzip file", "compressed", file(100, [0, "\x1f\x8b\x08"])],
  ["an xz file", "compressed", file(100, [0, "\xfd7zXZ\0"])],
  ["a zstd file", "compressed", file(100, [0, "\x28\xb5\x2f\xfd"])],
  ["a bzip2 file", "compressed", file(100, [0, "BZh9"])],
  ["a ZIP archive", "archive", file(100, [0, "PK\x03\x04"])],
  ["a tar archive", "archive", file(KIB, [0, "etc/"], [257, "ustar\0"])],
  ["a Debian package", "archive", file(100, [0, "!<arch>\ndebian-binary  "])],
  ["a cpio archive, such as an initial RAM disk", "archive", file(512, [0, "07070100000000"])],
  ["a Linux kernel (bzImage)", "kernel", file(KIB, [0, "MZ"], BOOT, [0x202, "HdrS"])],
  ["a Linux kernel for 64-bit Arm", "kernel", file(KIB, [0, "MZ"], [56, "ARM\x64"])],
  ["an ELF program for 64-bit x86", "program", file(64, [0, "\x7fELF\x02\x01\x01"], [16, "\x02\0\x3e\0"])],
  ["an ELF program for S/390", "program", file(64, [0, "\x7fELF\x02\x02\x01"], [16, "\0\x02\0\x16"])],
  ["an EFI or Windows program", "program", file(KIB, [0, "MZ"], [0x3c, "\x80"], [0x80, "PE\0\0"])],
  ["a DOS program", "program", file(KIB, [0, "MZ\x90"])],
  [
    "a raw disk image with a GPT",
    "disk",
    file(64 * KIB, [0x1be, "\0\0\x02\0\xee\xff\xff\xff\x01\0\0\0\xff\0\0\0"], BOOT, [512, "EFI PART"]),
  ],
  ["a raw disk image with a partition table", "disk", file(64 * KIB, [0, "\xeb\x63\x90"], [0x1be, PARTITION], BOOT)],
  ["a FAT file system or a floppy disk", "file-system", file(1440 * KIB, [0, "\xeb\x3c\x90"], [11, "\0\x02"], BOOT)],
  ["a FAT file system", "file-system", file(64 * KIB, [0, "\xeb\x58\x90"], [0x52, "FAT32   "], BOOT)],
  ["a raw disk image with a boot sector", "boot-sector", file(512, [0, "\xfa\x31\xc0"], BOOT)],
  ["an NTFS file system", "file-system", file(KIB, [0, "\xeb\x52\x90NTFS    "], BOOT)],
  ["an ext2 file system", "file-system", file(4 * KIB, [0x438, "\x53\xef"])],
  ["an ext3 file system", "file-system", file(4 * KIB, [0x438, "\x53\xef"], [0x45c, "\x04"])],
  ["an ext4 file system", "file-system", file(4 * KIB, [0x438, "\x53\xef"], [0x45c, "\x04"], [0x460, "\x42"])],
  ["a SquashFS file system", "file-system", file(KIB, [0, "hsqs"])],
  ["a Btrfs file system", "file-system", file(80 * KIB, [0x10040, "_BHRfS_M"])],
  ["a Linux swap area", "file-system", file(8 * KIB, [4086, "SWAPSPACE2"])],
  ["a script", "text", file(10, [0, "#!/bin/sh\n"])],
  ["a web page", "text", file(21, [0, "\n<!DOCTYPE html><html"])],
  ["a text file", "text", file(12, [0, "Hello world\n"])],
  ["of no kind that is known here", "unknown", file(100, [0, "\x01\x02\x03"])],
];

for (const [phrase, kind, bytes] of EXAMPLES) {
  test(`${phrase} is recognised (${kind}, ${bytes.length} bytes)`, async () => {
    assert.deepEqual(await identifyStore(MemoryStore.of(bytes)), { kind, phrase });
  });
}

test("any start of any file has a name", () => {
  const random = new SeededRandom(3);
  for (let i = 0; i < 5000; i++) {
    const bytes = pattern(i + 1, random.below(2048));
    if (i % 2 === 0) bytes.set(EXAMPLES[i % EXAMPLES.length]![2].subarray(0, bytes.length));
    const { phrase } = identify({ size: bytes.length, head: bytes, tail: bytes.subarray(-512) });
    assert.ok(phrase.length > 0);
  }
});
