/**
 * A folder of the host's as a tree of files. Only regular files are offered, and only what lies in the folder: symbolic
 * links are followed as long as they stay in it. Whoever else can write in the folder is trusted not to exchange it for links
 * while a file is opened.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import path from "node:path";
import type { FileTree, OpenFile } from "../file-tree.ts";

/** A pipe must not be waited for, and the last part of a real path is no link. Windows has neither flag. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
/** Why a name leads to no file that may be read. */
const NOT_THERE = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "EACCES",
  "EPERM",
  "ENAMETOOLONG",
  "ENXIO",
  "EINVAL",
]);

export class FolderTree implements FileTree {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Rejects with the host's error where it could not tell whether there is such a file. */
  async open(name: string): Promise<OpenFile | undefined> {
    if (!isPlain(name)) return undefined;
    let file: FileHandle | undefined;
    try {
      const folder = await realpath(this.#folder);
      const target = await realpath(path.join(folder, ...name.split("/")));
      if (!isBelow(folder, target)) return undefined;
      file = await open(target, FLAGS);
      const stat = await file.stat();
      if (stat.isFile()) return opened(file, stat);
    } catch (error) {
      await file?.close();
      if (NOT_THERE.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
      throw error;
    }
    await file.close();
    return undefined;
  }
}

/** Whether it is a relative path whose parts have no meaning but themselves, to any host. */
function isPlain(name: string): boolean {
  return name.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
}

function isBelow(folder: string, target: string): boolean {
  const relative = path.relative(folder, target);
  return relative !== "" && relative !== ".." && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}

function opened(file: FileHandle, { size }: Stats): OpenFile {
  return {
    size,
    read: async (offset, target) => {
      let count = 0;
      while (count < target.length) {
        const { bytesRead } = await file.read(target, count, target.length - count, offset + count);
        if (bytesRead === 0) break;
        count += bytesRead;
      }
      return count;
    },
    close: () => file.close(),
  };
}
