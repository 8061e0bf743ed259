/** Reads a kernel or an initial RAM disk. */
import { byteOffset } from "../bits/units.ts";
import { HEAD_LENGTH, identifyStore } from "../disk/identify.ts";
import { FileStore } from "../disk/node/file-store.ts";
import { fileError } from "./failure.ts";
import { formatMemory } from "./memory-size.ts";

/** The file's bytes; rejects with BlockError or CliError where it cannot be read or has no room in `memory` bytes. */
export async function readBootFile(file: string, memory: number): Promise<Uint8Array> {
  const store = await FileStore.open(file, { readOnly: true });
  try {
    if (store.size === 0) throw fileError(`${file} is empty`);
    if (store.size > Math.max(memory, HEAD_LENGTH)) {
      const { phrase } = await identifyStore(store);
      throw fileError(
        `${file} seems to be ${phrase} and is larger than the machine's memory of ${formatMemory(memory)}`,
      );
    }
    const bytes = new Uint8Array(store.size);
    await store.read(byteOffset(0), bytes);
    return bytes;
  } finally {
    await store.close();
  }
}
