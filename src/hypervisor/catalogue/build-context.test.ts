import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import type { AptCache } from "./apt.ts";
import { withApt } from "./build-context.ts";
import { silentProgress } from "./progress.ts";
import { aptMissing, LocalArchive } from "./testing/local-archive.ts";

test("a build keeps its packages while another one ends", { skip: aptMissing ?? false }, async (t) => {
  const archive = await LocalArchive.create([{ name: "tool", version: "1", files: { "bin/tool": "a tool" } }]);
  t.after(() => archive.remove());
  const cacheDirectory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-builds-"));
  t.after(() => rm(cacheDirectory, { recursive: true }));
  const context = { cacheDirectory, catalogueDirectory: cacheDirectory, progress: silentProgress };
  const release = { architecture: "amd64", suite: "bookworm", backports: false } as const;
  const download = async (apt: AptCache) => (await apt.download([await apt.resolve("tool")]))[0] as string;

  let other: Promise<string> | undefined;
  await withApt(release, context, async (apt) => {
    const file = await download(apt);
    let ended = false;
    other = withApt(release, context, download);
    void other.then(() => {
      ended = true;
    });
    // Long enough for the other build to end, and to delete what both have downloaded, if it did not wait.
    for (let turns = 0; !ended && turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok((await readFile(file)).length > 0);
  });
  await other;
});
