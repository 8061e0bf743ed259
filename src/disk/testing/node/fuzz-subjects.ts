/** Images of every format and kind, for the fuzzer to damage. */
import { deflateRawSync } from "node:zlib";
import { byteOffset } from "../../../bits/units.ts";
import { formatNamed } from "../../formats.ts";
import type { FormatName } from "../../image-format.ts";
import { MemoryStore } from "../../memory-store.ts";
import { createImage } from "../../qcow2/create.ts";
import { qcow2 } from "../../qcow2/format.ts";
import { Qcow2Disk } from "../../qcow2/qcow2-disk.ts";
import { createSnapshot } from "../../qcow2/snapshots.ts";
import { RawDisk } from "../../raw/raw-disk.ts";
import { DynamicHeader, Footer as VhdFooter, checksum as vhdChecksum } from "../../vhd/layout.ts";
import {
  crc32c,
  HEADER_PLACES,
  HEADER_SIZE,
  REGION_PLACES,
  REGION_SIZE,
  RegionTable,
  Header as VhdxHeader,
} from "../../vhdx/layout.ts";
import type { FuzzSubject } from "../fuzz.ts";
import { pattern } from "../pattern.ts";
import { imageHost } from "./image-host.ts";

const SIZE = 1024 * 1024;

async function qcow2Subject(name: string, clusterSize: number, version: 2 | 3, backing: boolean): Promise<FuzzSubject> {
  const base = () => new RawDisk(new MemoryStore(SIZE, { readOnly: true }));
  const host = imageHost({ backing: { base } });
  const store = new MemoryStore(0);
  const below = backing ? { backing: { name: "base", format: "raw" as const } } : {};
  await createImage(store, host, { size: SIZE, clusterSize, version, ...below });
  const write = async (seed: number) => {
    const disk = await Qcow2Disk.open(store, host, { readOnly: false });
    await disk.write(byteOffset(seed * 20_000), pattern(seed, 90_000));
    await disk.close();
  };
  await write(1);
  await createSnapshot(store, host, "one");
  await write(3);
  await createSnapshot(store, host, "two");
  await write(6);
  const image = store.toBytes();
  compressOne(image, clusterSize);
  // The tables are what the header leads to; with clusters this small that is much of the start.
  const tables: [number, number][] = [
    [0, 112],
    [0, 112],
    [clusterSize, 64],
    [2 * clusterSize, 2 * clusterSize],
  ];
  for (let at = 3 * clusterSize; at < image.length; at += clusterSize) tables.push([at, Math.min(clusterSize, 256)]);
  return { name, format: qcow2, host, image, tables };
}

/** Makes one of the image's clusters a compressed one, in place. */
function compressOne(image: Uint8Array, clusterSize: number): void {
  const view = new DataView(image.buffer);
  const l1 = Number(view.getBigUint64(40));
  const l2 = Number(view.getBigUint64(l1) & 0x00ff_ffff_ffff_fe00n);
  for (let entry = l2; entry < l2 + clusterSize; entry += 8) {
    const host = Number(view.getBigUint64(entry) & 0x00ff_ffff_ffff_fe00n);
    if (host === 0) continue;
    const packed = deflateRawSync(new Uint8Array(clusterSize).fill(7));
    image.set(packed, host);
    view.setBigUint64(entry, (1n << 62n) | BigInt(host));
    return;
  }
}

/** Makes the checksums of a damaged VHD image right. */
function sealVhd(image: Uint8Array): void {
  for (const at of [0, image.length - VhdFooter.size]) {
    const bytes = image.subarray(at, at + VhdFooter.size);
    VhdFooter.at(bytes).checksum = vhdChecksum(bytes, VhdFooter.offset.checksum);
  }
  const header = image.subarray(VhdFooter.size, VhdFooter.size + DynamicHeader.size);
  DynamicHeader.at(header).checksum = vhdChecksum(header, DynamicHeader.offset.checksum);
}

function sealVhdx(image: Uint8Array): void {
  for (const at of HEADER_PLACES) {
    const bytes = image.subarray(at, at + HEADER_SIZE);
    VhdxHeader.at(bytes).checksum = crc32c(bytes, VhdxHeader.offset.checksum);
  }
  for (const at of REGION_PLACES) {
    const bytes = image.subarray(at, at + REGION_SIZE);
    RegionTable.at(bytes).checksum = crc32c(bytes, RegionTable.offset.checksum);
  }
}

const SEALS: Partial<Record<FormatName, (image: Uint8Array) => void>> = { vhd: sealVhd, vhdx: sealVhdx };

/** An image of another format with some content; `tables` are those of the layout that its `create` makes. */
async function subject(name: FormatName, variant: string, tables: FuzzSubject["tables"]): Promise<FuzzSubject> {
  const format = await formatNamed(name);
  if (format?.create === undefined) throw new Error(`${name} images cannot be made`);
  const host = imageHost();
  const store = new MemoryStore(0, { name: "disk" });
  await format.create(store, host, { size: SIZE, variant });
  const disk = await format.open(store, host, { readOnly: false });
  await disk.write(byteOffset(10_000), pattern(4, 90_000));
  await disk.close();
  const seal = SEALS[name];
  return { name: `${name}, ${variant}`, format, host, image: store.toBytes(), tables, ...(seal ? { seal } : {}) };
}

export async function fuzzSubjects(): Promise<FuzzSubject[]> {
  const MIB = 1024 * 1024;
  const vhd = (await subject("vhd", "dynamic", [])).image.length;
  return [
    await subject("vdi", "dynamic", [
      [0, 512],
      [0x150, 64],
      [512, 16],
    ]),
    await subject("vhd", "dynamic", [
      [0, 512],
      [512, 1024],
      [1536, 16],
      [vhd - 512, 512],
    ]),
    await subject("vmdk", "monolithicSparse", [
      [0, 80],
      [512, 400],
      [21 * 512, 4096],
    ]),
    await subject("vhdx", "dynamic", [
      [64 * 1024, 80],
      [128 * 1024, 80],
      [192 * 1024, 80],
      [2 * MIB, 200],
      [2 * MIB + 64 * 1024, 160],
      [3 * MIB, 16],
    ]),
    await qcow2Subject("qcow2", 4096, 3, false),
    await qcow2Subject("qcow2 with small clusters", 512, 3, false),
    await qcow2Subject("qcow2 of version 2", 4096, 2, false),
    await qcow2Subject("qcow2 over another image", 4096, 3, true),
  ];
}
