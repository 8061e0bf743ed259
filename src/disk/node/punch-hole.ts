/**
 * Gives a file's storage back to the host. Node has no call for it; on Linux `fallocate` of the C library is
 * reached by node:ffi where that is present and permitted. Elsewhere storage stays as it is.
 */
import process from "node:process";

/** linux/falloc.h: FALLOC_FL_PUNCH_HOLE, which must be given with FALLOC_FL_KEEP_SIZE. */
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

/**
 * Makes a range of the open file `fd` a hole that reads as zeros; false where the host cannot. Blocks for the
 * time of one system call.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean;

const cannot: PunchHole = () => false;

let loaded: Promise<PunchHole> | undefined;

/** This host's way to punch holes. */
export function loadPunchHole(): Promise<PunchHole> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<PunchHole> {
  // With a 32-bit off_t the arguments would be others.
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return cannot;
  try {
    const { dlopen } = await import("node:ffi");
    const signature = { return: "i32", arguments: ["i32", "i32", "i64", "i64"] } as const;
    const { fallocate } = dlopen(null, { fallocate: signature }).functions;
    return (fd, offset, length) => fallocate(fd, KEEP_SIZE | PUNCH_HOLE, BigInt(offset), BigInt(length)) === 0;
  } catch {
    // An older Node, or one whose permissions leave node:ffi out: discarding frees nothing then.
    return cannot;
  }
}
