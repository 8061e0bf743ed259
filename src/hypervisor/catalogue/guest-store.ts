/**
 * Guests that are ready to boot, in the user's cache. A guest's directory appears complete by one rename; what
 * an interrupted build left behind is removed by the next one.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import type { Progress } from "./progress.ts";

/** What a build leaves beside its files, as `guest.json`. Names of files are relative to it. */
export interface GuestManifest {
  readonly label: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly memoryMiB: number;
  /** A raw disk image that machines must not write to: give each a copy or an overlay. */
  readonly disk?: string;
  /** Exact packages it was made of, name to version. */
  readonly packages: Readonly<Record<string, string>>;
}

const MANIFEST = "guest.json";
const INCOMING = ".incoming";

/** `$XDG_CACHE_HOME/bunkhouse`, by default `~/.cache/bunkhouse`. @spec XDG Base Directory Specification 0.8 */
export function defaultCacheDirectory(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const configured = env.XDG_CACHE_HOME;
  // The specification has relative paths ignored.
  const base = configured && path.isAbsolute(configured) ? configured : path.join(os.homedir(), ".cache");
  return path.join(base, "bunkhouse");
}

export class GuestStore {
  readonly #directory: string;

  constructor(cacheDirectory: string) {
    this.#directory = path.join(cacheDirectory, "guests");
  }

  /** The directory and manifest of a guest built earlier from the same `recipe`. */
  async find(name: string, recipe: string): Promise<{ directory: string; manifest: GuestManifest } | undefined> {
    const directory = this.#guestDirectory(name, recipe);
    const text = await readFile(path.join(directory, MANIFEST), "utf8").catch(() => undefined);
    return text === undefined ? undefined : { directory, manifest: JSON.parse(text) as GuestManifest };
  }

  /**
   * Builds a guest, or returns the one that another process finished meanwhile. `build` fills the directory that
   * it is given. `replace` builds anew what is there already.
   */
  async build(
    name: string,
    recipe: string,
    build: (directory: string) => Promise<GuestManifest>,
    options: { readonly replace: boolean; readonly progress: Progress; readonly signal?: AbortSignal | undefined },
  ): Promise<{ directory: string; manifest: GuestManifest }> {
    const { progress, signal } = options;
    const onWait = () => progress.step("waiting for another bunk that is preparing a guest");
    const { withLock } = await import("./build-lock.ts");
    return withLock(
      path.join(this.#directory, "build.lock"),
      async () => {
        const finished = options.replace ? undefined : await this.find(name, recipe);
        if (finished) return finished;
        await this.#removeLeftovers();
        const incoming = path.join(this.#directory, name + INCOMING);
        await mkdir(incoming, { recursive: true });
        try {
          const manifest = await build(incoming);
          await writeFile(path.join(incoming, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
          await syncFiles(incoming);
          return { directory: await this.#publish(incoming, name, recipe), manifest };
        } finally {
          await rm(incoming, { recursive: true, force: true });
        }
      },
      { onWait, signal },
    );
  }

  /** What the store holds: the guests' names, each with the bytes of the host's storage that it takes. */
  async contents(): Promise<{ name: string; bytes: number }[]> {
    const directories = (await readdir(this.#directory).catch(() => [])).filter((file) => file.includes("@"));
    const guests = await Promise.all(
      directories.map(async (directory) => ({
        name: directory.slice(0, directory.lastIndexOf("@")),
        bytes: await storageOf(path.join(this.#directory, directory)),
      })),
    );
    return guests.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Removes the guests that `isUnwanted` picks, after a build that is under way. Machines that run one keep it. */
  async remove(isUnwanted: (name: string) => boolean): Promise<void> {
    const { withLock } = await import("./build-lock.ts");
    await withLock(path.join(this.#directory, "build.lock"), async () => {
      await this.#removeLeftovers();
      for (const file of await readdir(this.#directory)) {
        const isGuest = file.includes("@") && isUnwanted(file.slice(0, file.lastIndexOf("@")));
        if (isGuest) await rm(path.join(this.#directory, file), { recursive: true, force: true });
      }
    });
  }

  async #publish(incoming: string, name: string, recipe: string): Promise<string> {
    const directory = this.#guestDirectory(name, recipe);
    await rm(directory, { recursive: true, force: true });
    await rename(incoming, directory);
    for (const other of await readdir(this.#directory)) {
      const outdated = other.startsWith(`${name}@`) && other !== path.basename(directory);
      if (outdated) await rm(path.join(this.#directory, other), { recursive: true, force: true });
    }
    return directory;
  }

  async #removeLeftovers(): Promise<void> {
    for (const file of await readdir(this.#directory)) {
      if (file.endsWith(INCOMING)) await rm(path.join(this.#directory, file), { recursive: true, force: true });
    }
  }

  #guestDirectory(name: string, recipe: string): string {
    const digest = createHash("sha256").update(recipe).digest("hex").slice(0, 12);
    return path.join(this.#directory, `${name}@${digest}`);
  }
}

/** Bytes that a guest's files take; an image's holes take none. @spec POSIX sys/stat.h: st_blocks counts 512 bytes */
async function storageOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(path.join(directory, name))).blocks * 512;
  return bytes;
}

/** Without this a power failure could leave a complete directory of empty files. */
async function syncFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name);
    if (!(await stat(file)).isFile()) continue;
    const handle = await open(file, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
