/** What every builder of guests gets, and the ways they share of reaching packages and catalogue files. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { AptCache, type DebianArchitecture } from "./apt.ts";
import { withLock } from "./build-lock.ts";
import type { Progress } from "./progress.ts";

export interface BuildContext {
  readonly catalogueDirectory: string;
  readonly cacheDirectory: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface Release {
  readonly architecture: DebianArchitecture;
  readonly suite: string;
  readonly backports: boolean;
}

/**
 * Runs a build with the private apt for one release and architecture, its package lists up to date. Packages
 * are deleted when the build has used them; those of a build that failed stay for the next attempt. One build at a
 * time, also between processes: another's packages would be deleted under it.
 */
export async function withApt<T>(
  { architecture, suite, backports }: Release,
  context: BuildContext,
  build: (apt: AptCache) => Promise<T>,
): Promise<T> {
  const { cacheDirectory, progress, signal } = context;
  const name = `${suite}${backports ? "-backports" : ""}-${architecture}`;
  const directory = path.join(cacheDirectory, "apt", name);
  const apt = new AptCache({ directory, architecture, suite, backports, progress, signal });
  const onWait = () => progress.step("waiting for another bunk that takes packages from Debian");
  const work = async () => {
    await apt.update();
    const result = await build(apt);
    await apt.clean();
    return result;
  };
  return withLock(path.join(directory, "build.lock"), work, { onWait, signal });
}

export interface GuestFile {
  /** Absolute, in the guest. */
  readonly path: string;
  readonly permissions: number;
  readonly content: Uint8Array;
}

/** Reads the files of the catalogue that an entry puts into its guest. Scripts are executable there. */
export function readGuestFiles(
  files: Readonly<Record<string, string>>,
  { catalogueDirectory }: Pick<BuildContext, "catalogueDirectory">,
): Promise<GuestFile[]> {
  return Promise.all(
    Object.entries(files).map(async ([guestPath, file]) => {
      const content = await readFile(path.join(catalogueDirectory, file));
      const isScript = content.subarray(0, 2).toString("latin1") === "#!";
      return { path: guestPath, permissions: isScript ? 0o755 : 0o644, content };
    }),
  );
}
