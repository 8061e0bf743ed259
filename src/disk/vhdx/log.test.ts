import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { MemoryStore } from "../memory-store.ts";
import { contentOf, fileContent, mustBeSame } from "../testing/node/image-content.ts";
import { imageHost } from "../testing/node/image-host.ts";
import { qemuImg, scratch, withoutQemuImg } from "../testing/node/qemu-img.ts";
import { pattern } from "../testing/pattern.ts";
import { vhdx } from "./format.ts";
import {
  crc32c,
  DATA_DESCRIPTOR,
  DATA_SECTOR,
  HEADER_PLACES,
  HEADER_SIZE,
  Header,
  LOG_SECTOR,
  LOG_SIGNATURE,
  LogDescriptor,
  LogEntry,
  MIB,
} from "./layout.ts";

const SIZE = 20 * MIB;
const LOG = MIB;
const TABLE = 3 * MIB;
const GUID = Uint8Array.from({ length: 16 }, (_, i) => i + 1);

/** A log entry, whose tail is itself, that puts `sector` at `offset`. */
function logEntry(start: number, sequence: bigint, offset: number, sector: Uint8Array, fileSize: number): Uint8Array {
  const entry = new Uint8Array(2 * LOG_SECTOR);
  entry.set(
    LogEntry.make({
      signature: LOG_SIGNATURE,
      entryLength: entry.length,
      tail: start,
      sequence,
      descriptorCount: 1,
      logGuid: GUID,
      flushedFileOffset: BigInt(fileSize),
      lastFileOffset: BigInt(fileSize),
    }),
  );
  const view = new DataView(sector.buffer, sector.byteOffset, sector.length);
  entry.set(
    LogDescriptor.make({
      signature: DATA_DESCRIPTOR,
      trailing: view.getUint32(LOG_SECTOR - 4, true),
      leading: view.getBigUint64(0, true),
      fileOffset: BigInt(offset),
      sequence,
    }),
    LogEntry.size,
  );
  entry.set(sector, LOG_SECTOR);
  const data = new DataView(entry.buffer, LOG_SECTOR);
  data.setUint32(0, DATA_SECTOR, true);
  data.setUint32(4, Number(sequence >> 32n), true);
  data.setUint32(LOG_SECTOR - 4, Number(sequence & 0xffff_ffffn), true);
  LogEntry.at(entry).checksum = crc32c(entry, LogEntry.offset.checksum);
  return entry;
}

/** An image whose table of blocks is only in the log, as a crash may leave it, and the disk's content. */
async function crashed(): Promise<{ image: Uint8Array; content: Uint8Array }> {
  const host = imageHost();
  const store = new MemoryStore(0, { name: "disk" });
  await vhdx.create?.(store, host, { size: SIZE });
  const disk = await vhdx.open(store, host, { readOnly: false });
  await disk.write(byteOffset(5 * MIB), pattern(1, 8 * MIB));
  const content = await contentOf(disk);
  await disk.close();
  const image = store.toBytes();
  const table = image.slice(TABLE, TABLE + LOG_SECTOR);
  image.fill(0, TABLE, TABLE + LOG_SECTOR);
  // An older entry, which the newer one that is its own tail makes void; and one that was torn.
  image.set(logEntry(0, 6n, TABLE, pattern(2, LOG_SECTOR), image.length), LOG);
  const start = 2 * LOG_SECTOR;
  image.set(logEntry(start, 7n, TABLE, table, image.length), LOG + start);
  const torn = logEntry(4 * LOG_SECTOR, 8n, TABLE, pattern(3, LOG_SECTOR), image.length);
  image.set(torn.subarray(0, LOG_SECTOR + 100), LOG + 4 * LOG_SECTOR);
  for (const place of HEADER_PLACES) {
    const header = image.subarray(place, place + HEADER_SIZE);
    Header.at(header).logGuid = GUID;
    Header.at(header).checksum = crc32c(header, Header.offset.checksum);
  }
  return { image, content };
}

test("what was safe in the log when the host crashed is in the image once it is opened for writing", async () => {
  const { image, content } = await crashed();
  const store = MemoryStore.of(image, { name: "disk" });
  const disk = await vhdx.open(store, imageHost(), { readOnly: false });
  mustBeSame(await contentOf(disk), content);
  await disk.close();
  const again = await vhdx.open(store, imageHost(), { readOnly: true });
  mustBeSame(await contentOf(again), content);
});

test("an image with a log is refused for reading only, and mended by a check", async () => {
  const { image, content } = await crashed();
  const store = MemoryStore.of(image, { name: "disk" });
  const host = imageHost();
  await assert.rejects(
    vhdx.open(store, host, { readOnly: true }),
    /its log must be replayed: open it once for writing/,
  );
  assert.equal((await vhdx.check?.(store, host, { repair: false }))?.corruptions, 1);
  await vhdx.check?.(store, host, { repair: true });
  mustBeSame(await contentOf(await vhdx.open(store, host, { readOnly: true })), content);
});

test("qemu-img finds the same content behind the log", { skip: withoutQemuImg }, async (t) => {
  const { image, content } = await crashed();
  const directory = await scratch(t);
  await writeFile(path.join(directory, "a.vhdx"), image);
  await qemuImg(directory, "check", "-r", "all", "a.vhdx");
  await qemuImg(directory, "convert", "-O", "raw", "a.vhdx", "a.raw");
  mustBeSame(await fileContent(path.join(directory, "a.raw")), content);
});
