/** Single files out of Debian packages, as tests use them. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { withApt } from "../../src/hypervisor/catalogue/build-context.ts";
import { CATALOGUE_DIRECTORY } from "../../src/hypervisor/catalogue/entry.ts";
import { defaultCacheDirectory } from "../../src/hypervisor/catalogue/guest-store.ts";
import { silentProgress } from "../../src/hypervisor/catalogue/progress.ts";
import { orSkip } from "./catalogue-guest.ts";

const RELEASE = { architecture: "amd64", suite: "bookworm", backports: false } as const;

/** The content of `file` (its path without a slash in front); undefined, with the test skipped, without Debian's packages. */
export function packagedFile(t: TestContext, name: string, file: string): Promise<Uint8Array | undefined> {
  const context = {
    catalogueDirectory: CATALOGUE_DIRECTORY,
    cacheDirectory: defaultCacheDirectory(),
    progress: silentProgress,
    signal: undefined,
  };
  return orSkip(t, () =>
    withApt(RELEASE, context, async (apt) => {
      const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-package-"));
      try {
        const [archive = ""] = await apt.download([await apt.resolve(name)]);
        await apt.extract(archive, directory, [`./${file}`]);
        return new Uint8Array(await readFile(path.join(directory, file)));
      } finally {
        await rm(directory, { recursive: true });
      }
    }),
  );
}
