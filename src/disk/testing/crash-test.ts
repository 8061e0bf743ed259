/**
 * What a host's crash may do to an image, tried: random operations, a crash at every moment that matters, and a
 * look at what is left. Sectors tell which write they are of, so that every one can be judged: it must have what
 * the last flush made stable, or something that was written later.
 */

import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../block-device.ts";
import type { MemoryStore } from "../memory-store.ts";
import { CrashStore } from "./crash-store.ts";

const SECTOR = 512;

export interface CrashSubject {
  /** A new image, whose disk has `size` bytes of zeros. */
  readonly image: Uint8Array;
  readonly size: number;
  open(store: CrashStore | MemoryStore): Promise<BlockDevice>;
  /** Throws where what a crash left is damaged. */
  check(store: MemoryStore): Promise<void>;
}

export interface CrashPlan {
  readonly seed: number;
  readonly operations: number;
  /** Of the moments that matter, each is tried with a chance of one in this. */
  readonly rarity: number;
}

/** Runs a plan; returns how many crashes were looked at. Throws where one did damage. */
export async function tryCrashes(subject: CrashSubject, { seed, operations, rarity }: CrashPlan): Promise<number> {
  const random = new SeededRandom(seed);
  const store = new CrashStore(subject.image);
  const sectors = subject.size / SECTOR;
  /** By sector: the writes that may be there after a crash. The last is the one that reads give. */
  const possible: number[][] = Array.from({ length: sectors }, () => [0]);
  const crashes: { left: Promise<MemoryStore>; possible: number[][] }[] = [];
  let isRunning = true;
  store.onMoment = () => {
    if (!isRunning || random.below(rarity) !== 0) return;
    crashes.push({ left: store.afterCrash(random), possible: possible.map((versions) => [...versions]) });
  };
  const disk = await subject.open(store);
  let version = 0;
  let crashed = 0;
  for (let done = 0; done < operations; ) {
    const batch: Promise<void>[] = [];
    const taken = new Set<number>();
    for (let i = random.below(4); i >= 0; i--, done++) {
      const first = random.below(sectors);
      const count = 1 + random.below(Math.min(sectors - first, random.below(5) === 0 ? 200 : 20));
      const range = Array.from({ length: count }, (_, k) => first + k);
      // What several write at once has no version that is the last.
      if (range.some((sector) => taken.has(sector))) continue;
      for (const sector of range) taken.add(sector);
      const isZero = random.below(4) === 0;
      const written = isZero ? 0 : ++version;
      for (const sector of range) possible[sector]?.push(written);
      const [offset, length] = [byteOffset(first * SECTOR), count * SECTOR];
      if (!isZero) batch.push(disk.write(offset, stamped(written, length)));
      else batch.push(disk.writeZeroes(offset, length));
    }
    if (random.below(3) === 0) {
      const before = possible.map((versions) => versions.length);
      await Promise.all(batch.splice(0));
      await disk.flush();
      for (const [sector, versions] of possible.entries()) versions.splice(0, (before[sector] ?? 1) - 1);
    }
    await Promise.all(batch);
    // Later changes of the store must not be in what a crash left before them.
    for (const { left, possible } of crashes.splice(0)) {
      await judge(subject, await left, possible);
      crashed++;
    }
  }
  isRunning = false;
  await disk.close();
  await judge(
    subject,
    await store.afterCrash(random),
    possible.map((versions) => versions.slice(-1)),
  );
  return crashed;
}

/** Bytes each sector of which begins with `version`. */
function stamped(version: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(version % 251);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < length; at += SECTOR) view.setUint32(at, version);
  return bytes;
}

async function judge(subject: CrashSubject, left: MemoryStore, possible: readonly number[][]): Promise<void> {
  await subject.check(left);
  const disk = await subject.open(left);
  const content = new Uint8Array(subject.size);
  await disk.read(byteOffset(0), content);
  const view = new DataView(content.buffer);
  for (const [sector, versions] of possible.entries()) {
    const version = view.getUint32(sector * SECTOR);
    const whole = content.subarray(sector * SECTOR + 4, (sector + 1) * SECTOR).every((byte) => byte === version % 251);
    if (versions.includes(version) && whole) continue;
    throw new Error(`sector ${sector} has version ${version}, and not one of ${versions.join(", ")}`);
  }
  // What is left goes on to be used.
  await disk.write(byteOffset(0), stamped(1, SECTOR * Math.min(64, possible.length)));
  await disk.close();
  await subject.check(left);
}
