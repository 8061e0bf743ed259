/**
 * What every BlockDevice must do, as tests to run over each implementation:
 *
 *     for (const { name, run } of blockDeviceContract) test(name, () => run(openMyDisk));
 */
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import type { Parts } from "../parts.ts";
import { pattern } from "./pattern.ts";

/** Opens a disk of `content.length` bytes, a multiple of 512, that holds `content`. */
export type OpenDisk = (content: Uint8Array, options: { readOnly: boolean }) => Promise<BlockDevice>;

/** Bytes as they may lie in a guest's memory. */
const inTwo = (bytes: Uint8Array): Parts => [bytes.subarray(0, bytes.length / 3), bytes.subarray(bytes.length / 3)];

/** Disks that read and write at once where they can, as devices ask them to. */
export const atOnce =
  (open: OpenDisk): OpenDisk =>
  async (content, options) => {
    const disk = await open(content, options);
    const [read, write] = [disk.read.bind(disk), disk.write.bind(disk)];
    disk.read = async (offset, target) => {
      if (!disk.readNow?.(offset, inTwo(target))) await read(offset, target);
    };
    disk.write = async (offset, source) => {
      if (!disk.writeNow?.(offset, inTwo(source))) await write(offset, source);
    };
    return disk;
  };

export interface ContractTest {
  name: string;
  run(open: OpenDisk): Promise<void>;
}

/** Not a multiple of any cluster size, so that the last cluster is a partial one. */
const SIZE = 5 * 64 * 1024 + 3 * 512;

async function contentOf(disk: BlockDevice): Promise<Uint8Array> {
  const content = new Uint8Array(disk.size);
  await disk.read(byteOffset(0), content);
  return content;
}

function mustEqual(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (found.length !== expected.length) throw new Error(`${what}: ${found.length} bytes, not ${expected.length}`);
  let at = 0;
  while (at < found.length && found[at] === expected[at]) at++;
  if (at < found.length) throw new Error(`${what}: byte ${at} is ${found[at]}, not ${expected[at]}`);
}

async function mustFail(kind: BlockError["kind"], what: string, operation: () => Promise<void>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    if (error instanceof BlockError && error.kind === kind) return;
    throw new Error(`${what}: fails with ${error}, not with ${kind}`);
  }
  throw new Error(`${what}: does not fail`);
}

/** Runs `body` with an open disk and the content that it should have, which `body` keeps up to date. */
const withDisk =
  (body: (disk: BlockDevice, expected: Uint8Array) => Promise<void>, readOnly = false) =>
  async (open: OpenDisk): Promise<void> => {
    const expected = pattern(1, SIZE);
    const disk = await open(expected.slice(), { readOnly });
    try {
      await body(disk, expected);
      mustEqual(await contentOf(disk), expected, "content at the end");
    } finally {
      await disk.close();
    }
  };

/** Ranges with interesting ends: nothing, a byte, across cluster borders, whole clusters, the end of the disk. */
const RANGES: readonly [offset: number, length: number][] = [
  [0, 0],
  [0, 1],
  [511, 2],
  [4096, 512],
  [65535, 2],
  [65536, 65536],
  [65536 - 512, 65536 + 1024],
  [60000, 140000],
  [SIZE - 512, 512],
  [SIZE - 1, 1],
  [SIZE, 0],
  [0, SIZE],
];

const BEYOND: readonly [offset: number, length: number][] = [
  [SIZE, 1],
  [SIZE - 1, 2],
  [SIZE + 512, 0],
  [-1, 1],
  [2 ** 52, 512],
];

export const blockDeviceContract: readonly ContractTest[] = [
  {
    name: "a disk has the size and the content of its image",
    run: withDisk(async (disk) => {
      if (disk.size !== SIZE) throw new Error(`size is ${disk.size}`);
      if (disk.readOnly) throw new Error("it is read-only");
    }),
  },
  {
    name: "any range reads as that part of the content",
    run: withDisk(async (disk, expected) => {
      for (const [offset, length] of RANGES) {
        const found = new Uint8Array(length).fill(0xaa);
        await disk.read(byteOffset(offset), found);
        mustEqual(found, expected.subarray(offset, offset + length), `${length} bytes at ${offset}`);
      }
    }),
  },
  {
    name: "a write changes its range and nothing else",
    run: withDisk(async (disk, expected) => {
      for (const [i, [offset, length]] of RANGES.entries()) {
        const source = pattern(100 + i, length);
        await disk.write(byteOffset(offset), source);
        expected.set(source, offset);
        mustEqual(await contentOf(disk), expected, `after ${length} bytes at ${offset}`);
      }
    }),
  },
  {
    name: "a write keeps nothing of its source but the bytes",
    run: withDisk(async (disk, expected) => {
      const source = pattern(2, 4096);
      expected.set(source, 8192);
      await disk.write(byteOffset(8192), source);
      source.fill(0);
    }),
  },
  {
    name: "zeroes make a range zeros and change nothing else",
    run: async (open) => {
      for (const [offset, length] of RANGES) {
        await withDisk(async (disk, expected) => {
          await disk.writeZeroes(byteOffset(offset), length);
          expected.fill(0, offset, offset + length);
        })(open);
      }
    },
  },
  {
    name: "a write over zeroes is kept, and zeroes over a write",
    run: withDisk(async (disk, expected) => {
      await disk.writeZeroes(byteOffset(0), 200000);
      expected.fill(0, 0, 200000);
      const source = pattern(3, 1000);
      await disk.write(byteOffset(70000), source);
      expected.set(source, 70000);
      mustEqual(await contentOf(disk), expected, "after the write");
      await disk.writeZeroes(byteOffset(70500), 100000);
      expected.fill(0, 70500, 170500);
    }),
  },
  {
    name: "a discarded range reads as zeros or as before, byte for byte one of the two, and its neighbours as before",
    run: withDisk(async (disk, expected) => {
      for (const [offset, length] of RANGES) {
        await disk.write(byteOffset(0), pattern(4, SIZE));
        await disk.discard(byteOffset(offset), length);
        expected.set(pattern(4, SIZE));
        const found = await contentOf(disk);
        for (let at = offset; at < offset + length; at++) if (found[at] === 0) expected[at] = 0;
        mustEqual(found, expected, `after discarding ${length} bytes at ${offset}`);
      }
    }),
  },
  {
    name: "a discarded range can be written again",
    run: withDisk(async (disk, expected) => {
      await disk.write(byteOffset(0), pattern(5, SIZE));
      await disk.discard(byteOffset(0), SIZE);
      const source = pattern(6, SIZE);
      await disk.write(byteOffset(0), source);
      expected.set(source);
    }),
  },
  {
    name: "operations outside the disk fail and change nothing",
    run: withDisk(async (disk) => {
      for (const [start, length] of BEYOND) {
        const offset = start as ByteOffset;
        const what = `${length} bytes at ${start}`;
        await mustFail("out-of-range", `read ${what}`, () => disk.read(offset, new Uint8Array(length)));
        await mustFail("out-of-range", `write ${what}`, () => disk.write(offset, new Uint8Array(length)));
        await mustFail("out-of-range", `zero ${what}`, () => disk.writeZeroes(offset, length));
        await mustFail("out-of-range", `discard ${what}`, () => disk.discard(offset, length));
      }
    }),
  },
  {
    name: "concurrent writes to different bytes all arrive",
    run: withDisk(async (disk, expected) => {
      const writes: Promise<void>[] = [];
      for (let offset = 0; offset + 700 <= SIZE; offset += 700) {
        const source = pattern(offset + 1, 700);
        expected.set(source, offset);
        writes.push(disk.write(byteOffset(offset), source));
      }
      await Promise.all(writes);
    }),
  },
  {
    name: "concurrent writes, zeroes and reads of different bytes do not disturb one another",
    run: withDisk(async (disk, expected) => {
      const before = expected.slice();
      const checks: Promise<void>[] = [];
      for (let offset = 0; offset + 3000 <= SIZE; offset += 3000) {
        const source = pattern(offset + 1, 1000);
        expected.set(source, offset);
        expected.fill(0, offset + 1000, offset + 2000);
        const found = new Uint8Array(1000);
        checks.push(
          disk.write(byteOffset(offset), source),
          disk.writeZeroes(byteOffset(offset + 1000), 1000),
          disk
            .read(byteOffset(offset + 2000), found)
            .then(() => mustEqual(found, before.subarray(offset + 2000, offset + 3000), `read at ${offset + 2000}`)),
        );
      }
      await Promise.all(checks);
    }),
  },
  {
    name: "a flush succeeds with and without writes before it",
    run: withDisk(async (disk, expected) => {
      await disk.flush();
      await disk.write(byteOffset(10), Uint8Array.of(1, 2, 3));
      expected.set([1, 2, 3], 10);
      await Promise.all([disk.flush(), disk.flush()]);
    }),
  },
  {
    name: "what is known to be zeros reads as zeros",
    run: withDisk(async (disk, expected) => {
      await disk.writeZeroes(byteOffset(1000), 200000);
      expected.fill(0, 1000, 201000);
      await disk.write(byteOffset(150000), Uint8Array.of(1));
      expected[150000] = 1;
      for (let offset = 0; offset <= SIZE; offset += 512) {
        const length = (await disk.zeroesFrom?.(byteOffset(offset))) ?? 0;
        if (offset + length > SIZE) throw new Error(`${length} bytes at ${offset} are beyond the end`);
        const at = expected.subarray(offset, offset + length).findIndex((byte) => byte !== 0);
        if (at >= 0) throw new Error(`byte ${offset + at} is not zero, as it was said to be`);
      }
    }),
  },
  {
    name: "a thousand random operations leave what they say",
    run: withDisk(async (disk, expected) => {
      const random = new SeededRandom(42);
      for (let i = 0; i < 1000; i++) {
        const offset = random.below(SIZE);
        const length = random.below(Math.min(SIZE - offset, random.below(4) === 0 ? SIZE : 5000) + 1);
        if (random.below(3) === 0) {
          await disk.writeZeroes(byteOffset(offset), length);
          expected.fill(0, offset, offset + length);
        } else if (random.below(2) === 0) {
          const source = pattern(i + 1, length);
          await disk.write(byteOffset(offset), source);
          expected.set(source, offset);
        } else {
          const found = new Uint8Array(length);
          await disk.read(byteOffset(offset), found);
          mustEqual(found, expected.subarray(offset, offset + length), `operation ${i}`);
        }
      }
    }),
  },
];

/** For implementations that can be opened read-only. */
export const readOnlyContract: readonly ContractTest[] = [
  {
    name: "a read-only disk says so, reads, and refuses every change",
    run: withDisk(async (disk) => {
      if (!disk.readOnly) throw new Error("it is not read-only");
      await mustFail("read-only", "write", () => disk.write(byteOffset(0), new Uint8Array(512)));
      await mustFail("read-only", "zero", () => disk.writeZeroes(byteOffset(0), 512));
      await mustFail("read-only", "discard", () => disk.discard(byteOffset(0), 512));
      await disk.flush();
    }, true),
  },
];
