import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { defaultCacheDirectory, type GuestManifest, GuestStore } from "./guest-store.ts";
import { silentProgress } from "./progress.ts";

const MANIFEST: GuestManifest = {
  label: "",
  kernel: "kernel",
  initrd: "initrd",
  append: "",
  memoryMiB: 1,
  packages: {},
};
const OPTIONS = { replace: false, progress: silentProgress };

async function rig(t: TestContext) {
  const cache = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-store-"));
  t.after(() => rm(cache, { recursive: true }));
  let builds = 0;
  const build = async (directory: string) => {
    await writeFile(path.join(directory, "kernel"), String(++builds));
    return MANIFEST;
  };
  const guests = async () => (await readdir(path.join(cache, "guests"))).filter((name) => name !== "build.lock");
  return { cache, store: new GuestStore(cache), build, builds: () => builds, guests };
}

test("a guest is built once and then found", async (t) => {
  const { store, build, builds, guests } = await rig(t);
  assert.equal(await store.find("debian", "recipe"), undefined);
  const built = await store.build("debian", "recipe", build, OPTIONS);
  assert.deepEqual(await store.find("debian", "recipe"), built);
  assert.deepEqual(await store.build("debian", "recipe", build, OPTIONS), built);
  assert.equal(builds(), 1);
  assert.deepEqual(await guests(), [path.basename(built.directory)]);
});

test("two that ask at once for the same guest get one build", async (t) => {
  const { store, build, builds } = await rig(t);
  const ask = () => store.build("debian", "recipe", build, OPTIONS);
  const [one, other] = await Promise.all([ask(), ask()]);
  assert.deepEqual(one, other);
  assert.equal(builds(), 1);
});

test("a changed recipe gives a new build, which takes the old one's place", async (t) => {
  const { store, build, guests } = await rig(t);
  await store.build("debian", "recipe", build, OPTIONS);
  await store.build("debian-686", "recipe", build, OPTIONS);
  const { directory } = await store.build("debian", "other recipe", build, OPTIONS);
  assert.equal(await store.find("debian", "recipe"), undefined);
  assert.equal((await guests()).length, 2);
  assert.ok((await guests()).includes(path.basename(directory)));
});

test("a refresh builds anew from the same recipe", async (t) => {
  const { store, build, builds, guests } = await rig(t);
  await store.build("debian", "recipe", build, OPTIONS);
  await store.build("debian", "recipe", build, { ...OPTIONS, replace: true });
  assert.equal(builds(), 2);
  assert.equal((await guests()).length, 1);
});

test("a failed or killed build leaves no half guest", async (t) => {
  const { cache, store, build, guests } = await rig(t);
  const failing = async (directory: string): Promise<GuestManifest> => {
    await writeFile(path.join(directory, "kernel"), "half");
    throw new Error("full");
  };
  await assert.rejects(store.build("debian", "recipe", failing, OPTIONS), { message: "full" });
  assert.deepEqual(await guests(), []);

  await mkdir(path.join(cache, "guests/killed.incoming"));
  const { directory } = await store.build("debian", "recipe", build, OPTIONS);
  assert.deepEqual(await guests(), [path.basename(directory)]);
});

test("the cache lies where the XDG specification says", () => {
  assert.equal(defaultCacheDirectory({ XDG_CACHE_HOME: "/var/tmp/x" }), "/var/tmp/x/bunkhouse");
  const fallback = path.join(os.homedir(), ".cache/bunkhouse");
  assert.equal(defaultCacheDirectory({}), fallback);
  assert.equal(defaultCacheDirectory({ XDG_CACHE_HOME: "relative" }), fallback);
});
