import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { cacheCommand, cleanCommand } from "./cache-command.ts";

/** A cache with these guests, each with a file of 1 MiB. */
async function cache(t: TestContext, ...guests: string[]): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-cache-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  for (const guest of guests) {
    const place = path.join(directory, "guests", `${guest}@0123456789ab`);
    await mkdir(place, { recursive: true });
    await writeFile(path.join(place, "kernel"), Buffer.alloc(1024 * 1024, 1));
  }
  return directory;
}

const kept = async (directory: string) =>
  (await readdir(path.join(directory, "guests"))).filter((file) => file.includes("@"));

test("bunk cache lists guests with their sizes and where they are", async (t) => {
  const directory = await cache(t, "debian", "debian-686");
  const lines = (await cacheCommand(directory)).split("\n").map((line) => line.split(/ {2,}/));
  assert.deepEqual(lines.slice(0, 3), [
    ["GUEST", "SIZE"],
    ["debian", "1 MiB"],
    ["debian-686", "1 MiB"],
  ]);
  assert.deepEqual(lines[3], [`in ${directory}`, "2 MiB"]);
});

test("an empty cache says so, and there is nothing to clean", async (t) => {
  const directory = await cache(t);
  assert.equal(await cacheCommand(directory), `${directory} holds no guest\n`);
  assert.equal(await cleanCommand([], directory), "nothing to remove\n");
});

test("bunk cache clean removes one guest by name", async (t) => {
  const directory = await cache(t, "debian", "debian-686");
  assert.equal(await cleanCommand(["debian"], directory), "removed debian (1 MiB)\n");
  assert.deepEqual(await kept(directory), ["debian-686@0123456789ab"]);
});

test("bunk cache clean without a name removes everything, package lists too", async (t) => {
  const directory = await cache(t, "debian", "debian-686");
  await mkdir(path.join(directory, "apt"));
  assert.equal(await cleanCommand([], directory), "removed debian, debian-686 (2 MiB)\n");
  assert.deepEqual(await kept(directory), []);
  assert.ok(!(await readdir(directory)).includes("apt"));
});

test("a guest of the catalogue that is not cached needs no cleaning, a name that is none is refused", async (t) => {
  const directory = await cache(t);
  assert.equal(await cleanCommand(["debian"], directory), "nothing to remove\n");
  await assert.rejects(cleanCommand(["debain"], directory), /no guest is called "debain"/);
});
