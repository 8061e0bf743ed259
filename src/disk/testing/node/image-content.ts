/** Content of test disks: long stretches of zeros, of one byte, and of noise, as real disks have. */
import { readFile } from "node:fs/promises";
import { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import { byteOffset } from "../../../bits/units.ts";
import type { BlockDevice } from "../../block-device.ts";
import { pattern } from "../pattern.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** `size` bytes, the same for each `seed`. */
export function diskContent(seed: number, size: number): Uint8Array {
  const random = new SeededRandom(seed);
  const content = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(512 * (1 + random.below(400)), size - at);
    const kind = random.below(3);
    if (kind === 1) content.fill(random.below(256), at, at + length);
    if (kind === 2) content.set(pattern(random.below(1e9) + 1, length), at);
    at += length;
  }
  return content;
}

/** All of a disk. */
export async function contentOf(disk: BlockDevice): Promise<Uint8Array> {
  const content = new Uint8Array(disk.size);
  await disk.read(byteOffset(0), content);
  return content;
}

/** Whether two contents are the same, without printing megabytes where they are not. */
export function mustBeSame(found: Uint8Array, expected: Uint8Array): void {
  if (found.length !== expected.length) throw new Error(`${found.length} bytes in place of ${expected.length}`);
  if (Buffer.compare(found, expected) === 0) return;
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  throw new Error(`byte ${at} is ${found[at]} in place of ${expected[at]}`);
}

export async function fileContent(file: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(file));
}
