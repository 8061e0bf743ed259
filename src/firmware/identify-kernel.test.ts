import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../bits/units.ts";
import { PlainMemory, SeededRandom } from "../machine/testing/rig.ts";
import { BootError } from "./boot-error.ts";
import { concat } from "./concat.ts";
import { loadKernel } from "./direct-boot.ts";
import { identifyKernel } from "./identify-kernel.ts";
import { memoryMap } from "./memory-map.ts";
import { bzImage, elfFile, multibootHeader, pvhNote } from "./testing/kernel-images.ts";

const header = { type: 1, vaddr: 0n, paddr: 0x10_0000, content: multibootHeader(0) };
const plain = { ...header, content: new Uint8Array(16) };
const note = { type: 4, vaddr: 0n, paddr: 0, content: pvhNote(0x10_0000, 8) };

test("each kind of kernel finds its loader", () => {
  assert.equal(identifyKernel(bzImage()), "linux");
  assert.equal(identifyKernel(elfFile(true, 0n, [plain, note])), "pvh");
  assert.equal(identifyKernel(elfFile(false, 0n, [header])), "multiboot");
  assert.equal(identifyKernel(concat(multibootHeader(0x1_0000), new Uint8Array(64))), "multiboot");
  assert.equal(identifyKernel(elfFile(true, 0n, [header, note])), "pvh");
});

const at = (offset: number, text: string, size = 0x9000) => {
  const file = new Uint8Array(size).fill(0xe5);
  file.set(Buffer.from(text, "latin1"), offset);
  return file;
};
const foreign: readonly (readonly [Uint8Array, RegExp])[] = [
  [new Uint8Array(0), /the file seems to be an empty file/],
  [at(0, "\x1f\x8b\x08"), /gzip file \(unpack it first\)/],
  [at(0, "\xfd7zXZ\0"), /xz file/],
  [at(0, "070701"), /cpio archive, such as an initial RAM disk/],
  [at(0x8001, "CD001"), /ISO 9660 disc image \(insert it as a disc\)/],
  [at(0, "QFI\xfb"), /qcow2/],
  [at(56, "ARMd"), /Linux kernel for 64-bit Arm/],
  [at(510, "\x55\xaa"), /boot sector \(attach it as a disk\)/],
  [at(0, `MZ${"\0".repeat(58)}\x80\0\0\0${"\0".repeat(64)}PE\0\0`), /EFI or Windows program/],
  [elfFile(true, 0n, [plain], 243), /not an x86 kernel: the file seems to be an ELF program for RISC-V/],
  [elfFile(true, 0n, [plain]), /neither a PVH entry nor a Multiboot header/],
  [Buffer.from("# notes\nmore"), /a text file/],
  [at(0, "\x01\x02\x03"), /of no kind that is known here/],
];
for (const [file, text] of foreign) {
  test(`a file that is no kernel is named: ${text.source}`, () => {
    assert.throws(
      () => identifyKernel(file),
      (error: Error) => error instanceof BootError && text.test(error.message) && !error.message.includes("\n"),
    );
  });
}

test("damaged kernels are loaded or refused with one line, never worse", () => {
  const random = new SeededRandom(0xb007);
  const map = memoryMap(4 * MIB);
  const memory = new PlainMemory(4 * MIB);
  const small = { prefAddress: 0n, initSize: 0x1000, kernelAlignment: 0x1000 };
  const originals = [
    bzImage(small, new Uint8Array(64)),
    bzImage({ ...small, version: 0x201, relocatableKernel: 0 }, new Uint8Array(64)),
    elfFile(true, 0n, [plain, note]),
    elfFile(false, 0n, [plain, { ...note, content: pvhNote(1, 4) }]),
    elfFile(false, 0n, [header]),
    concat(multibootHeader(0x1_0000), new Uint8Array(Uint32Array.of(0x10_0000, 0x10_0000, 0, 0, 0x10_0000).buffer)),
  ];
  const initrd = new Uint8Array(100);
  let loads = 0;
  for (let round = 0; round < 6000; round++) {
    const kernel = originals[round % originals.length]!.slice(
      0,
      random.below(4) === 0 ? random.below(3000) : undefined,
    );
    for (let damage = random.below(4); damage > 0 && kernel.length > 0; damage--) {
      // Most of what can go wrong is in the headers.
      const position = round % originals.length < 2 ? 0x1f0 + random.below(0x80) : random.below(160);
      kernel[Math.min(position, kernel.length - 1)] = random.below(3) === 0 ? 0xff : random.below(256);
    }
    const entry = (["auto", "64", "32", "16"] as const)[random.below(4)]!;
    try {
      const { state } = loadKernel({ memory, map }, { kernel, initrd, entry, random });
      assert.ok(state.rip >= 0n && state.rip < 2n ** 64n);
      loads++;
    } catch (error) {
      assert.ok(error instanceof BootError, String((error as Error).stack));
      assert.doesNotMatch(error.message, /\n|NaN|undefined/);
    }
  }
  assert.ok(loads > 1000, `${loads} loads`);
});
