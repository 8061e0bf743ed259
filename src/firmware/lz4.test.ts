import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { unpackLz4Legacy as unpackInto } from "./lz4.ts";

/** The `size` bytes that `input` is unpacked to, if it is. */
function unpackLz4Legacy(input: Uint8Array, size: number): Uint8Array | undefined {
  const output = new Uint8Array(size);
  return unpackInto(input, output) ? output : undefined;
}

const MIB = 1024 * 1024;
const MAGIC = [0x02, 0x21, 0x4c, 0x18];
const archive = (...blocks: number[][]) =>
  Uint8Array.from([...MAGIC, ...blocks.flatMap((block) => [block.length & 0xff, block.length >> 8, 0, 0, ...block])]);
const ascii = (text: string) => [...Buffer.from(text, "latin1")];
const unpacked = (packed: Uint8Array, size: number) => {
  const output = unpackLz4Legacy(packed, size);
  return output && Buffer.from(output).toString("latin1");
};

/** What the `lz4` program of Debian makes of `content`. */
function packed(content: Uint8Array, level = 1): Uint8Array {
  return execFileSync("lz4", ["-l", `-${level}`, "-c"], { input: content, maxBuffer: 64 * MIB });
}
const needsLz4 = {
  skip: spawnSync("lz4", ["--version"]).status === 0 ? false : "needs the program lz4 (package lz4)",
};

/** Text with repetitions near and far, runs of one byte, and stretches that cannot be packed. */
function mixture(size: number): Uint8Array {
  const random = new SeededRandom(size);
  const content = new Uint8Array(size);
  const word = new Uint8Array(4);
  for (let at = 0; at < size; ) {
    random.fill(word);
    const [kind, length, far, near] = word as unknown as [number, number, number, number];
    const piece = content.subarray(at, at + (kind < 8 ? length * 100 : length % 40));
    if (kind < 60) random.fill(piece);
    else if (kind < 120) piece.fill(near);
    else
      for (let i = 0; i < piece.length; i++)
        piece[i] = content[Math.max(at + i - 1 - (kind & 1 ? near : far * 251), 0)]!;
    at += piece.length + 1;
  }
  return content;
}

for (const [size, level] of [
  [0, 1],
  [1, 1],
  [13, 9],
  [70_000, 1],
  [1_000_003, 9],
  [8 * MIB, 1],
  [17 * MIB + 5, 1],
] as const) {
  test(`${size} bytes that lz4 packed at level ${level} are unpacked`, needsLz4, () => {
    const content = mixture(size);
    const input = packed(content, level);
    const output = unpackLz4Legacy(input, size);
    assert.ok(output && Buffer.compare(output, content) === 0);
    assert.equal(unpackLz4Legacy(input, size + 1), undefined);
    if (size > 0) assert.equal(unpackLz4Legacy(input, size - 1), undefined);
  });
}

test("archives that are strung together are unpacked one after the other", needsLz4, () => {
  const [first, second] = [mixture(1000), mixture(50_000)];
  const input = Buffer.concat([packed(first), packed(second)]);
  assert.deepEqual(unpackLz4Legacy(input, 51_000), new Uint8Array(Buffer.concat([first, second])));
});

test("literals, matches that overlap themselves and long lengths mean what the format says", () => {
  assert.equal(unpacked(archive([0x30, ...ascii("abc")]), 3), "abc");
  // Three literals, then 4 + 2 bytes from 2 back; a block ends with literals.
  assert.equal(unpacked(archive([0x32, ...ascii("abc"), 2, 0, 0x10, 0x21]), 10), "abcbcbcbc!");
  // 15 + 5 literals; 4 + 15 + 255 + 1 bytes from 1 back.
  const long = [0xff, 5, ...ascii("0123456789abcdefghij"), 1, 0, 255, 1, 0x10, 0x21];
  assert.equal(unpacked(archive(long), 20 + 275 + 1), `0123456789abcdefghij${"j".repeat(275)}!`);
});

test("what is not a whole block is refused", () => {
  const refused = (input: Uint8Array, size: number) => assert.equal(unpackLz4Legacy(input, size), undefined);
  refused(new Uint8Array(0), 0);
  refused(Uint8Array.from([3, 0, 0, 0, 0x10, 0x41]), 1);
  refused(Uint8Array.from([...MAGIC, 0xff, 0xff, 0xff, 0xff, 0x10, 0x41]), 1);
  refused(Uint8Array.from([...MAGIC, 2, 0, 0, 0, 0x10, 0x41, 0]), 1);
  // No distance; one beyond the block's start, which another block is before; literals and lengths that are cut off.
  refused(archive([0x10, 0x41, 0, 0, 0x10, 0x41]), 6);
  refused(archive([0x50, ...ascii("abcde")], [0x10, 0x41, 2, 0, 0x10, 0x41]), 11);
  refused(archive([0x20, 0x41]), 2);
  refused(archive([0xf0, 255]), 300);
  refused(archive([0x1f, 0x41, 1, 0, 255]), 300);
  refused(archive([0x10, 0x41, 1]), 5);
});

test("damaged archives are refused or give bytes, and never more than asked for", needsLz4, () => {
  const content = mixture(60_000);
  const whole = packed(content, 9);
  const random = new SeededRandom(7);
  const draw = new Uint8Array(8);
  for (let round = 0; round < 3000; round++) {
    const damaged = whole.slice(0, round % 3 === 0 ? Math.floor((round / 3000) * whole.length) : whole.length);
    random.fill(draw);
    const place = new DataView(draw.buffer).getUint32(0, true);
    if (round % 3 !== 0) damaged[place % damaged.length] = draw[4]!;
    const output = unpackLz4Legacy(damaged, content.length);
    if (output) assert.equal(output.length, content.length);
    if (round % 3 === 0) assert.equal(output, undefined, `cut to ${damaged.length} bytes`);
  }
});
