import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { withFunctionIds } from "./expansion-rom.ts";

const CARD = { vendor: 0x1af4, device: 0x1041 };
const DATA = 0x40;

/** An image of `blocks` blocks for 8086:100e, its sum 0 where the firmware of a PC runs it. */
function image({ blocks = 2, codeType = 0, isLast = true, seed = 1 } = {}): Uint8Array {
  const bytes = new Uint8Array(blocks * 512);
  new SeededRandom(seed).fill(bytes);
  bytes.set([0x55, 0xaa, blocks]);
  bytes.set([DATA, 0], 0x18);
  bytes.set([...Buffer.from("PCIR"), 0x86, 0x80, 0x0e, 0x10, 0, 0, 0x18, 0, 0, 0, 0, 2, blocks, 0, 1, 0], DATA);
  bytes[DATA + 0x14] = codeType;
  bytes[DATA + 0x15] = isLast ? 0x80 : 0;
  bytes[bytes.length - 1]! -= sumOf(bytes);
  return bytes;
}
const sumOf = (bytes: Uint8Array) => bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
const idsOf = (bytes: Uint8Array, start = 0) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start + DATA);
  return [view.getUint16(4, true), view.getUint16(6, true)];
};

test("a ROM for another card names this one and has a right sum, and its code is as before", () => {
  const rom = image();
  const before = rom.slice();
  const own = withFunctionIds(rom, CARD);
  assert.deepEqual(idsOf(own), [0x1af4, 0x1041]);
  assert.equal(sumOf(own), 0);
  const changed = [...own.keys()].filter((at) => own[at] !== rom[at]);
  assert.deepEqual(
    changed,
    [4, 5, 6, 0x12].map((at) => DATA + at),
  );
  assert.deepEqual(rom, before);
});

test("a ROM that names the card already is the same", () => {
  const rom = withFunctionIds(image(), CARD);
  assert.deepEqual(withFunctionIds(rom, CARD), rom);
});

test("all images of a ROM name the card, and those that are not for the PC have no sum to keep", () => {
  const rom = Buffer.concat([image({ isLast: false }), image({ blocks: 3, codeType: 3, seed: 2 }), image({ seed: 3 })]);
  const own = withFunctionIds(rom, CARD);
  assert.deepEqual(
    [idsOf(own), idsOf(own, 1024)],
    [
      [0x1af4, 0x1041],
      [0x1af4, 0x1041],
    ],
  );
  assert.equal(sumOf(own.subarray(0, 1024)), 0);
  assert.equal(own[1024 + DATA + 0x12], rom[1024 + DATA + 0x12]);
  // The second was the last: what follows is no part of the ROM.
  assert.deepEqual(idsOf(own, 2560), [0x8086, 0x100e]);
});

test("what is no ROM stays as it is", () => {
  const cut = image().subarray(0, DATA + 10);
  const without = image();
  without[DATA] = 0;
  const outside = image();
  outside.set([0xff, 0xff], 0x18);
  const endless = image({ isLast: false });
  endless.set([0, 0], DATA + 0x10);
  for (const rom of [new Uint8Array(0), new Uint8Array(5000), Uint8Array.of(0x55, 0xaa), cut, without, outside]) {
    assert.deepEqual(withFunctionIds(rom, CARD), rom);
  }
  assert.deepEqual(idsOf(withFunctionIds(endless, CARD)), [0x1af4, 0x1041]);
});
