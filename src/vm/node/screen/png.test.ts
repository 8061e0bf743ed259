import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { SeededRandom } from "../../../machine/testing/rig.ts";
import { encodePng } from "./png.ts";

/** CRC-32 bit by bit, as PNG's annex describes it. */
function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}

test("a picture comes back from its PNG file dot by dot", async () => {
  const random = new SeededRandom(137);
  const [width, height] = [37, 21];
  const pixels = Uint32Array.from({ length: width * height }, () => random.next() & 0xffffff);
  const png = Buffer.from(await encodePng({ width, height, pixels }));
  assert.equal(png.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  const chunks: [string, Buffer][] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    assert.equal(png.readUInt32BE(at + 8 + length), crc(png.subarray(at + 4, at + 8 + length)));
    chunks.push([png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  assert.deepEqual(
    chunks.map(([type]) => type),
    ["IHDR", "IDAT", "IEND"],
  );
  const head = chunks[0]![1];
  assert.deepEqual([head.readUInt32BE(0), head.readUInt32BE(4), head[8], head[9]], [width, height, 8, 2]);
  const rows = inflateSync(chunks[1]![1]);
  const read = pixels.map((_, i) => {
    const at = Math.floor(i / width) * (3 * width + 1) + 1 + 3 * (i % width);
    return rows.readUIntBE(at, 3);
  });
  assert.deepEqual(read, pixels);
});
