import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { completeChecksum } from "./checksum.ts";

/** The sum of RFC 1071 §1 with big numbers; 0 stands for both zeros of ones' complement. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 2) sum += BigInt(bytes[at]! * 256 + (bytes[at + 1] ?? 0));
  return Number(sum % 0xffffn);
}

test("the header of a well-known packet gets its checksum", () => {
  const header = Uint8Array.from(Buffer.from("450000730000400040110000c0a80001c0a800c7", "hex"));
  assert.equal(completeChecksum(header, 0, 10), true);
  assert.equal(Buffer.from(header).toString("hex"), "45000073000040004011b861c0a80001c0a800c7");
});

test("a receiver's sum over pseudo header and covered bytes comes to zero, wherever they start and end", () => {
  const random = new SeededRandom(1071);
  for (let i = 0; i < 500; i++) {
    const frame = new Uint8Array(20 + random.below(1500));
    random.fill(frame);
    const start = random.below(frame.length - 10);
    const offset = 2 * random.below(Math.floor((frame.length - start) / 2));
    const before = frame.slice();
    assert.equal(completeChecksum(frame, start, offset), true);
    const pseudo = before.subarray(start + offset, start + offset + 2);
    assert.equal((sumOf(frame.subarray(start)) + sumOf(pseudo)) % 0xffff, 0);
    frame.set(pseudo, start + offset);
    assert.deepEqual(frame, before);
  }
});

test("a checksum of zero goes out as all ones, which UDP tells from none", () => {
  const frame = Uint8Array.of(0xff, 0xff, 0, 0);
  assert.equal(completeChecksum(frame, 0, 2), true);
  assert.deepEqual([...frame], [0xff, 0xff, 0xff, 0xff]);
});

test("a field outside the frame is refused", () => {
  const frame = new Uint8Array(20).fill(1);
  assert.equal(completeChecksum(frame, 10, 9), false);
  assert.equal(completeChecksum(frame, 30, 0), false);
  assert.equal(completeChecksum(frame, 0xffff, 0xffff), false);
  assert.ok(frame.every((byte) => byte === 1));
  assert.equal(completeChecksum(frame, 10, 8), true);
});
