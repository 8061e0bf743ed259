/** Images of other formats than qcow2 go to and fro between QEMU's tools and Bunkhouse. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { byteOffset } from "../bits/units.ts";
import type { BlockDevice } from "./block-device.ts";
import { formatNamed } from "./formats.ts";
import type { CreateOptions, FormatName } from "./image-format.ts";
import { FileStore } from "./node/file-store.ts";
import { nodeImageHost } from "./node/image-host.ts";
import { openImage } from "./node/open-image.ts";
import { contentOf, diskContent, fileContent, KIB, MIB, mustBeSame } from "./testing/node/image-content.ts";
import { qemuImg, scratch, withoutQemuImg } from "./testing/node/qemu-img.ts";
import { pattern } from "./testing/pattern.ts";

const skip = withoutQemuImg;
const SIZE = 11 * MIB;

/** Writes here and there, with zeroes among it, and keeps `content` up to date. */
async function change(disk: BlockDevice, content: Uint8Array): Promise<void> {
  const random = new SeededRandom(5);
  for (let i = 0; i < 40; i++) {
    const offset = random.below(content.length);
    const length = random.below(Math.min(content.length - offset, 300 * KIB)) + 1;
    if (i % 4 === 3) {
      await disk.writeZeroes(byteOffset(offset), length);
      content.fill(0, offset, offset + length);
    } else {
      await disk.write(byteOffset(offset), pattern(i + 1, length));
      content.set(pattern(i + 1, length), offset);
    }
    if (i % 10 === 0) await disk.flush();
  }
}

async function byQemu(directory: string, format: string, file: string): Promise<Uint8Array> {
  // Not every format has a check.
  if (format !== "vpc" && format !== "raw") await qemuImg(directory, "check", "-f", format, file);
  await qemuImg(directory, "convert", "-f", format, "-O", "raw", file, "by-qemu.raw");
  return fileContent(path.join(directory, "by-qemu.raw"));
}

const WRITABLE: readonly (readonly [name: string, format: string, options: readonly string[]])[] = [
  ["VDI", "vdi", []],
  ["fixed VDI", "vdi", ["-o", "static=on"]],
  ["VHD", "vpc", ["-o", "force_size=on"]],
  ["fixed VHD", "vpc", ["-o", "force_size=on,subformat=fixed"]],
  ["VHDX", "vhdx", []],
  ["VHDX with the smallest blocks", "vhdx", ["-o", "block_size=1M"]],
  ["VHDX with the largest blocks", "vhdx", ["-o", "block_size=256M"]],
  ["fixed VHDX", "vhdx", ["-o", "subformat=fixed"]],
  ["VMDK", "vmdk", []],
  ["VMDK with zeroed grains", "vmdk", ["-o", "zeroed_grain=on"]],
];

describe("images made by qemu-img", { skip }, () => {
  for (const [name, format, options] of WRITABLE) {
    test(`a ${name} image has its content, and can be changed`, async (t) => {
      const directory = await scratch(t);
      const content = diskContent(1, SIZE);
      await writeFile(path.join(directory, "a.raw"), content);
      await qemuImg(directory, "convert", "-f", "raw", "-O", format, ...options, "a.raw", "a.img");
      const file = path.join(directory, "a.img");
      const disk = await openImage(file, { readOnly: false });
      mustBeSame(await contentOf(disk), content);
      await change(disk, content);
      mustBeSame(await contentOf(disk), content);
      await disk.close();
      mustBeSame(await byQemu(directory, format, file), content);
    });
  }

  for (const subformat of ["streamOptimized", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"]) {
    test(`a VMDK image of type ${subformat} has its content, and is refused for writing`, async (t) => {
      const directory = await scratch(t);
      const content = diskContent(2, SIZE);
      await writeFile(path.join(directory, "a.raw"), content);
      await qemuImg(directory, "convert", "-O", "vmdk", "-o", `subformat=${subformat}`, "a.raw", "a.vmdk");
      const file = path.join(directory, "a.vmdk");
      const disk = await openImage(file, { readOnly: true });
      mustBeSame(await contentOf(disk), content);
      assert.equal(disk.info.variant, subformat);
      await disk.close();
      await assert.rejects(openImage(file, { readOnly: false }), /can only be read; add readonly=on or snapshot=on/);
    });
  }

  test("a VHD image has the size that qemu-img gives it", async (t) => {
    const directory = await scratch(t);
    for (const size of ["40M", "1000M", "3G", "130G"]) {
      for (const options of [[], ["-o", "force_size=on"]]) {
        await qemuImg(directory, "create", "-f", "vpc", ...options, "a.vhd", size);
        const { "virtual-size": expected } = JSON.parse(await qemuImg(directory, "info", "--output=json", "a.vhd"));
        const disk = await openImage(path.join(directory, "a.vhd"), { readOnly: true });
        assert.equal(disk.size, expected);
        await disk.close();
      }
    }
  });

  test("a VMDK image based on another reads as qemu-img reads it, and hides what is below zeroes", async (t) => {
    const directory = await scratch(t);
    const content = diskContent(3, SIZE);
    await writeFile(path.join(directory, "a.raw"), content);
    await qemuImg(directory, "convert", "-O", "vmdk", "a.raw", "base.vmdk");
    await qemuImg(directory, "create", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", "top.vmdk");
    const file = path.join(directory, "top.vmdk");
    const disk = await openImage(file, { readOnly: false });
    mustBeSame(await contentOf(disk), content);
    await change(disk, content);
    await disk.close();
    mustBeSame(await byQemu(directory, "vmdk", file), content);
  });
});

const MADE: readonly (readonly [FormatName, byQemu: string, Partial<CreateOptions>])[] = [
  ["vdi", "vdi", {}],
  ["vdi", "vdi", { variant: "fixed" }],
  ["vhd", "vpc", {}],
  ["vhd", "vpc", { variant: "fixed" }],
  ["vhdx", "vhdx", {}],
  ["vhdx", "vhdx", { variant: "fixed" }],
  ["vmdk", "vmdk", {}],
];

describe("images made by Bunkhouse", { skip }, () => {
  for (const [name, qemuName, options] of MADE) {
    test(`a ${options.variant ?? "plain"} ${name} image is sound to qemu-img and has its content`, async (t) => {
      const directory = await scratch(t);
      const file = path.join(directory, "a.img");
      const format = await formatNamed(name);
      const store = await FileStore.open(file, { create: 0 });
      await format?.create?.(store, nodeImageHost(file), { ...options, size: SIZE + 512 });
      await store.close();
      const content = diskContent(4, SIZE + 512);
      const disk = await openImage(file, { readOnly: false });
      assert.equal(disk.info.format, name);
      await disk.write(byteOffset(0), content);
      await change(disk, content);
      await disk.close();
      mustBeSame(await byQemu(directory, qemuName, file), content);
    });
  }
});
