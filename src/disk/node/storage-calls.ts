/**
 * Takes a file's storage, gives it back, and tells where it is. Node has no calls for that; on Linux those of the C library are
 * reached by node:ffi where that is present and permitted. Elsewhere storage stays as it is.
 */
import process from "node:process";

/** linux/falloc.h: FALLOC_FL_PUNCH_HOLE, which must be given with FALLOC_FL_KEEP_SIZE. */
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

/** Each resolves to false where the host cannot, and blocks for the time of one system call. */
export interface StorageCalls {
  /** Makes a range of the open file `fd` a hole that reads as zeros. */
  punchHole(fd: number, offset: number, length: number): boolean;
  /** Takes storage for a range, which grows the file where it ends beyond its end. */
  reserve(fd: number, offset: number, length: number): boolean;
  /** Where from `offset` on the next content (or hole) begins; undefined where the host does not tell or there is none. */
  nextContent(fd: number, offset: number): number | undefined;
  nextHole(fd: number, offset: number): number | undefined;
  /** Whether the two above know anything. */
  readonly tellsHoles: boolean;
}

const cannot: StorageCalls = {
  punchHole: () => false,
  reserve: () => false,
  nextContent: () => undefined,
  nextHole: () => undefined,
  tellsHoles: false,
};

/** linux/fs.h: ways to seek, which change nothing for reads and writes that say where. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

let loaded: Promise<StorageCalls> | undefined;

/** This host's way to do so. */
export function loadStorageCalls(): Promise<StorageCalls> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<StorageCalls> {
  // With a 32-bit off_t the arguments would be others.
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return cannot;
  try {
    const { dlopen } = await import("node:ffi");
    const signature = { return: "i32", arguments: ["i32", "i32", "i64", "i64"] } as const;
    const seek = { return: "i64", arguments: ["i32", "i64", "i32"] } as const;
    const { fallocate, lseek } = dlopen(null, { fallocate: signature, lseek: seek }).functions;
    const find = (fd: number, offset: number, whence: number) => {
      const found = Number(lseek(fd, BigInt(offset), whence));
      return found < 0 ? undefined : found;
    };
    const call = (fd: number, mode: number, offset: number, length: number) =>
      fallocate(fd, mode, BigInt(offset), BigInt(length)) === 0;
    return {
      punchHole: (fd, offset, length) => call(fd, KEEP_SIZE | PUNCH_HOLE, offset, length),
      reserve: (fd, offset, length) => call(fd, 0, offset, length),
      nextContent: (fd, offset) => find(fd, offset, SEEK_DATA),
      nextHole: (fd, offset) => find(fd, offset, SEEK_HOLE),
      tellsHoles: true,
    };
  } catch {
    // An older Node, or one whose permissions leave node:ffi out: discarding frees nothing then.
    return cannot;
  }
}
