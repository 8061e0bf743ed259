import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { MemoryStore } from "../memory-store.ts";
import { contentOf, MIB, mustBeSame } from "../testing/node/image-content.ts";
import { imageHost } from "../testing/node/image-host.ts";
import { pattern } from "../testing/pattern.ts";
import { vhd } from "./format.ts";
import { checksum, DiskType, DynamicHeader, Footer } from "./layout.ts";

const SIZE = 5 * MIB;
const BLOCK = 2 * MIB;
const BITMAP = 512;

/** A VHD image with `content` from the start of its disk on. */
async function image(content: Uint8Array): Promise<MemoryStore> {
  const store = new MemoryStore(0, { name: "disk" });
  await vhd.create?.(store, imageHost(), { size: SIZE });
  const disk = await vhd.open(store, imageHost(), { readOnly: false });
  await disk.write(byteOffset(0), content);
  await disk.close();
  return store;
}

/** Makes the image a difference to `parent`, with sectors 3 to 9 of its first block as its own. */
function differing(image: Uint8Array, parent: string): Uint8Array {
  for (const at of [0, image.length - Footer.size]) {
    const footer = image.subarray(at, at + Footer.size);
    Footer.at(footer).diskType = DiskType.differencing;
    Footer.at(footer).checksum = checksum(footer, Footer.offset.checksum);
  }
  const header = image.subarray(Footer.size, Footer.size + DynamicHeader.size);
  const name = new Uint8Array(512);
  for (const [i, character] of [...parent].entries()) name[2 * i + 1] = character.charCodeAt(0);
  DynamicHeader.at(header).parentName = name;
  DynamicHeader.at(header).checksum = checksum(header, DynamicHeader.offset.checksum);
  const table = Number(DynamicHeader.at(header).tableOffset);
  const block = new DataView(image.buffer).getUint32(table) * 512;
  image.fill(0, block, block + BITMAP);
  image[block] = 0b0001_1111;
  image[block + 1] = 0b1100_0000;
  return image;
}

test("a differencing image shows its own sectors, and its parent's for all others", async () => {
  const [below, own] = [pattern(1, SIZE), pattern(2, BLOCK)];
  const parent = await image(below);
  const child = MemoryStore.of(differing((await image(own)).toBytes(), "C:\\disks\\base.vhd"), { name: "child" });
  const host = imageHost({ backing: { "base.vhd": () => vhd.open(parent, imageHost(), { readOnly: true }) } });
  const disk = await vhd.open(child, host, { readOnly: true });
  const expected = below.slice();
  expected.set(own.subarray(3 * 512, 10 * 512), 3 * 512);
  mustBeSame(await contentOf(disk), expected);
  const part = new Uint8Array(1000);
  await disk.read(byteOffset(3 * 512 - 500), part);
  mustBeSame(part, expected.subarray(3 * 512 - 500, 3 * 512 + 500));
  await assert.rejects(disk.write(byteOffset(0), part), { kind: "read-only" });
});

test("a differencing image is refused for writing, and without its parent", async () => {
  const child = () => image(pattern(2, BLOCK)).then((store) => MemoryStore.of(differing(store.toBytes(), "base.vhd")));
  await assert.rejects(vhd.open(await child(), imageHost(), { readOnly: false }), /can only be read; add readonly=on/);
  await assert.rejects(vhd.open(await child(), imageHost(), { readOnly: true }), /there is no base\.vhd/);
});
