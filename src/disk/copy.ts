/** Copies a disk's content, but for its zeros. */
import { byteOffset, MIB } from "../bits/units.ts";
import type { BlockDevice } from "./block-device.ts";
import type { Report } from "./image-format.ts";

const PIECE = 2 * MIB;
/** Zeros are left out in units of this. */
const GRAIN = 64 * 1024;

/** Copies all of `from` to `to`, a disk of zeros that is at least as large. */
export async function copyDisk(from: BlockDevice, to: BlockDevice, report: Report = () => {}): Promise<void> {
  const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)] as const;
  let writing: Promise<void> = Promise.resolve();
  try {
    for (let at = 0, turn = 0; at < from.size; turn ^= 1) {
      const zeros = (await from.zeroesFrom?.(byteOffset(at))) ?? 0;
      // Grains stay where they are on the disk.
      at = at + zeros >= from.size ? from.size : Math.max(at, Math.floor((at + zeros) / GRAIN) * GRAIN);
      report(at / from.size);
      if (at >= from.size) break;
      const piece = (buffers[turn as 0 | 1] as Uint8Array).subarray(0, Math.min(PIECE, from.size - at));
      // The next piece is read while the last one is written.
      await from.read(byteOffset(at), piece);
      await writing;
      writing = writeContent(to, at, piece);
      // A failure is found at the next turn.
      writing.catch(() => undefined);
      at += piece.length;
    }
  } finally {
    await writing;
  }
  await to.flush();
  report(1);
}

async function writeContent(to: BlockDevice, offset: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(at + GRAIN, bytes.length);
    if (isZero(bytes, at, end)) {
      at = end;
      continue;
    }
    while (end < bytes.length && !isZero(bytes, end, Math.min(end + GRAIN, bytes.length))) {
      end = Math.min(end + GRAIN, bytes.length);
    }
    await to.write(byteOffset(offset + at), bytes.subarray(at, end));
    at = end;
  }
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}
