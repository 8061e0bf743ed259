/**
 * Damages images and uses them: what comes of it may be wrong content or an error of a disk, and nothing else. No
 * other exception, no write far outside the image, no work without end.
 */

import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { ImageFormat, ImageHost } from "../image-format.ts";
import { MemoryStore } from "../memory-store.ts";
import { BoundedStore } from "./bounded-store.ts";
import { pattern } from "./pattern.ts";

export interface FuzzSubject {
  readonly name: string;
  readonly format: ImageFormat;
  readonly host: ImageHost;
  readonly image: Uint8Array;
  /** Makes the checksums of a damaged image right. */
  readonly seal?: (image: Uint8Array) => void;
  /** Where damage is most likely to matter: offset and length of headers and tables. */
  readonly tables: readonly (readonly [offset: number, length: number])[];
}

/** What a damaged image may grow by when it is used or repaired. */
const ROOM = 32 * 1024 * 1024;
const BOUNDS = { operations: 50_000, bytes: 512 * 1024 * 1024 };
const PIECE = 64 * 1024;

const INTERESTING = [
  0, 1, 2, 7, 8, 9, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

/** One damaged image, used in every way. Throws where something else than a BlockError comes of it. */
export async function fuzzOnce(subject: FuzzSubject, seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const damaged = subject.image.slice();
  for (let i = random.below(6); i >= 0; i--) damage(damaged, subject, random);
  // Otherwise most damage ends at a checksum.
  if (random.below(4) !== 0) subject.seal?.(damaged);
  const { format, host } = subject;
  const store = () =>
    new BoundedStore(MemoryStore.of(damaged, { name: "fuzz" }), { ...BOUNDS, size: damaged.length + ROOM });
  await expectBlockError(async () => {
    const disk = await format.open(store(), host, { readOnly: true });
    await use(disk, random, false);
  });
  await expectBlockError(async () => {
    const disk = await format.open(store(), host, { readOnly: false });
    await use(disk, random, !disk.readOnly);
  });
  const { check, snapshots, resize } = format;
  if (check !== undefined) {
    const repaired = store();
    await expectBlockError(async () => {
      await check(repaired, host, { repair: true });
      const { corruptions, messages } = await check(repaired, host, { repair: false });
      if (corruptions > 0) throw new Error(`a repair left damage: ${messages.join("; ")}`);
    });
  }
  if (snapshots !== undefined) {
    await expectBlockError(async () => {
      const list = await snapshots.list(store());
      const name = list[0]?.name ?? "none";
      const operation = random.below(3);
      if (operation === 0) await snapshots.create(store(), host, "fuzz");
      else if (operation === 1) await snapshots.apply(store(), name);
      else await snapshots.delete(store(), name);
    });
  }
  if (resize !== undefined) {
    await expectBlockError(() => resize(store(), host, 512 * (1 + random.below(100_000)), { shrink: true }));
  }
}

async function expectBlockError(operation: () => Promise<void>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    if ([...error.message].some((character) => character < " ") || error.message === "")
      throw new Error(`a message of bad form: ${error.message}`);
  }
}

function damage(image: Uint8Array, { tables }: FuzzSubject, random: SeededRandom): void {
  const [offset, length] = tables[random.below(tables.length)] ?? [0, image.length];
  const size = [1, 2, 4, 8][random.below(4)] as number;
  const aligned = offset + Math.floor(random.below(length) / size) * size;
  const at = Math.max(0, Math.min(aligned, image.length - 8));
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  switch (random.below(6)) {
    case 0:
      image[at] = (image[at] as number) ^ (1 << random.below(8));
      break;
    case 1:
      image.set(pattern(random.below(1e9) + 1, size), at);
      break;
    case 2:
      image.fill(random.below(2) === 0 ? 0 : 0xff, at, at + size);
      break;
    case 3: {
      const value = BigInt(INTERESTING[random.below(INTERESTING.length)] as number) << BigInt(random.below(3) * 16);
      view.setBigUint64(at, value & 0xffff_ffff_ffff_ffffn, random.below(2) === 0);
      break;
    }
    case 4: {
      // Something that is meant for another place.
      const from = random.below(image.length - 8);
      image.copyWithin(at, from, from + size);
      break;
    }
    default:
      // An offset inside the file.
      view.setBigUint64(at, BigInt(random.below(image.length) & ~0x1ff), random.below(2) === 0);
  }
}

async function use(disk: BlockDevice, random: SeededRandom, writes: boolean): Promise<void> {
  const places = [
    0,
    disk.size - PIECE,
    ...Array.from({ length: 6 }, () => Math.floor((random.below(1000) / 1000) * disk.size)),
  ];
  // Each on its own: one that fails must not spare the others.
  const attempt = async (operation: () => Promise<void> | undefined) => expectBlockError(async () => operation());
  for (const place of places) {
    const offset = byteOffset(Math.max(0, Math.min(place, disk.size - PIECE)));
    const length = Math.min(PIECE, disk.size);
    await attempt(() => disk.read(offset, new Uint8Array(length)));
    await attempt(async () => void (await disk.zeroesFrom?.(offset)));
    if (!writes) continue;
    await attempt(() => disk.write(offset, pattern(1, Math.min(length, 1 + random.below(PIECE)))));
    if (random.below(2) === 0) await attempt(() => disk.writeZeroes(offset, length));
    if (random.below(2) === 0) await attempt(() => disk.discard(offset, length));
    if (random.below(3) === 0) await attempt(() => disk.flush());
  }
  await attempt(() => disk.close());
}
