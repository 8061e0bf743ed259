/** Files in memory, as a tree. */
import type { FileTree, OpenFile } from "./file-tree.ts";

export class FilesInMemory implements FileTree {
  readonly #files: ReadonlyMap<string, Uint8Array>;

  /** Files by path, with slashes and without one at the start. The map may change later on. */
  constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
  }

  async open(path: string): Promise<OpenFile | undefined> {
    const bytes = this.#files.get(path);
    if (bytes === undefined) return undefined;
    return {
      size: bytes.length,
      read: async (offset, target) => {
        const part = bytes.subarray(offset, offset + target.length);
        target.set(part);
        return part.length;
      },
      close: async () => {},
    };
  }
}
