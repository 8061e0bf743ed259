import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { byteOffset, MIB } from "../../bits/units.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { FileStore } from "./file-store.ts";

const folder = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-file-"));
after(() => rm(folder, { recursive: true }));
let files = 0;
const newPath = () => path.join(folder, `disk-${files++}.img`);

async function image(content: Uint8Array): Promise<string> {
  const file = newPath();
  await writeFile(file, content);
  return file;
}

const canPunch = process.platform === "linux";
const blocksOf = async (file: string) => (await stat(file)).blocks;

test("a new image is sparse", async () => {
  const file = newPath();
  const store = await FileStore.open(file, { create: 100 * MIB });
  await store.close();
  assert.equal((await stat(file)).size, 100 * MIB);
  assert.ok((await blocksOf(file)) < 100);
});

test("creating does not touch a file that exists", async () => {
  const file = await image(Uint8Array.of(1));
  await assert.rejects(FileStore.open(file, { create: 10 }), /exists already/);
  assert.deepEqual([...(await readFile(file))], [1]);
  await assert.rejects(stat(`${file}.lock`));
});

test("zeroes over a hole take no storage", async () => {
  const file = newPath();
  const store = await FileStore.open(file, { create: 8 * MIB });
  await store.writeZeroes(byteOffset(0), 8 * MIB);
  await store.close();
  assert.ok((await blocksOf(file)) < 100);
});

test("a punched hole reads as zeros and gives storage back", { skip: !canPunch && "only on Linux" }, async () => {
  const file = await image(new Uint8Array(4 * MIB).fill(1));
  const store = await FileStore.open(file);
  const before = await blocksOf(file);
  assert.equal(await store.punchHole(byteOffset(MIB), 2 * MIB), true);
  assert.ok((await blocksOf(file)) < before);
  assert.equal(store.size, 4 * MIB);
  const bytes = new Uint8Array(2);
  await store.read(byteOffset(MIB - 1), bytes);
  assert.deepEqual([...bytes], [1, 0]);
  await store.close();
});

test("reading beyond the end gives zeros, writing there lets the file grow", async () => {
  const file = await image(Uint8Array.of(1, 2));
  const store = await FileStore.open(file);
  const bytes = new Uint8Array(4).fill(9);
  await store.read(byteOffset(1), bytes);
  assert.deepEqual([...bytes], [2, 0, 0, 0]);
  await store.write(byteOffset(5), Uint8Array.of(6));
  assert.equal(store.size, 6);
  await store.resize(3);
  await store.close();
  assert.deepEqual([...(await readFile(file))], [1, 2, 0]);
});

test("what lies in many places is read and written at once, also beyond the end", async () => {
  const file = path.join(folder, "places.img");
  const store = await FileStore.open(file, { create: 3000 });
  const content = Uint8Array.from({ length: 2100 }, (_, i) => i % 251);
  // More places than one call of the host takes.
  const places = (bytes: Uint8Array) => Array.from({ length: 2100 }, (_, i) => bytes.subarray(i, i + 1));
  assert.equal(store.writeNow(byteOffset(2000), places(content)), true);
  assert.equal(store.size, 4100);
  const found = new Uint8Array(2100).fill(9);
  assert.equal(store.readNow(byteOffset(2500), places(found)), true);
  assert.deepEqual(found.subarray(0, 1600), content.subarray(500));
  assert.deepEqual(found.subarray(1600), new Uint8Array(500));
  await store.close();
});

test("errors name the file and the reason", async () => {
  const missing = newPath();
  await assert.rejects(FileStore.open(missing), {
    name: "BlockError",
    message: `cannot open ${missing}: there is no such file`,
  });
  const directory = newPath();
  await mkdir(directory);
  await assert.rejects(FileStore.open(directory), { message: `cannot open ${directory}: it is a directory` });
  await assert.rejects(FileStore.open(directory, { readOnly: true }), /not a regular file/);
});

test("an image cannot be opened for writing twice, whatever the path, until it is closed", async () => {
  const file = await image(new Uint8Array(512));
  const alias = newPath();
  await symlink(file, alias);
  const first = await FileStore.open(file);
  await assert.rejects(FileStore.open(file), {
    name: "BlockError",
    message: /is in use by this process already; it can be in one place only/,
  });
  await assert.rejects(FileStore.open(alias), /is in use/);
  const reader = await FileStore.open(file, { readOnly: true });
  await reader.close();
  await first.close();
  const second = await FileStore.open(alias);
  await second.close();
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes(".lock")),
    [],
  );
});

test("an image that another process has open is refused and its number told", async () => {
  const file = await image(new Uint8Array(512));
  const store = await FileStore.open(file);
  const module = new URL("./file-store.ts", import.meta.url).href;
  const script = `import { FileStore } from ${JSON.stringify(module)};
    await FileStore.open(${JSON.stringify(file)}).catch((error) => console.log(error.message));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
  assert.equal(stdout.trim(), `${file} is in use by process ${process.pid}`);
  await store.close();
});

test("the lock of a process that died is taken over", async () => {
  const file = await image(new Uint8Array(512));
  const module = new URL("./file-store.ts", import.meta.url).href;
  const script = `import { FileStore } from ${JSON.stringify(module)};
    await FileStore.open(${JSON.stringify(file)}); process.kill(process.pid, "SIGKILL");`;
  spawnSync(process.execPath, ["--input-type=module", "--eval", script]);
  await stat(`${file}.lock`);
  const [won, lost] = await Promise.allSettled([FileStore.open(file), FileStore.open(file)]);
  const stores = [won, lost].flatMap((result) => (result?.status === "fulfilled" ? [result.value] : []));
  assert.equal(stores.length, 1);
  await stores[0]?.close();
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes(".lock")),
    [],
  );
});

test("a process that took over a dead one's number does not keep its lock", {
  skip: process.platform !== "linux",
}, async () => {
  const file = await image(new Uint8Array(512));
  const first = await FileStore.open(file);
  const lock = JSON.parse(await readFile(`${file}.lock`, "utf8"));
  await first.close();
  await writeFile(`${file}.lock`, JSON.stringify({ ...lock, started: "an earlier time" }));
  const second = await FileStore.open(file);
  await second.close();
});

test("the lock of another host counts as held, and the message says what to do", async () => {
  const file = await image(new Uint8Array(512));
  const token = "00000000-0000-0000-0000-000000000000";
  const holder = { host: "elsewhere", processSpace: "", pid: 12, started: "", token };
  await writeFile(`${file}.lock`, JSON.stringify(holder));
  await assert.rejects(FileStore.open(file), {
    message: `${file} is in use by process 12 on elsewhere; if that is certainly gone, delete ${file}.lock`,
  });
});

test("a lock file that nobody can read counts as held", async () => {
  const file = await image(new Uint8Array(512));
  for (const content of ["", "{}", '{"token":"../../x"}', "null"]) {
    await writeFile(`${file}.lock`, content);
    await assert.rejects(FileStore.open(file), /is in use by another machine; if that is certainly gone/);
  }
});

test("a block device of the host is read like a file, and never written", async (t) => {
  const content = new Uint8Array(64 * 1024);
  new SeededRandom(3).fill(content);
  const file = await image(content);
  const attached = spawnSync("losetup", ["--read-only", "--find", "--show", file], { encoding: "utf8" });
  if (attached.status !== 0) {
    t.skip("needs root, loop devices, and losetup (Debian package mount)");
    return;
  }
  const device = attached.stdout.trim();
  try {
    const store = await FileStore.open(device, { readOnly: true });
    assert.equal(store.size, content.length);
    const target = new Uint8Array(5000);
    await store.read(byteOffset(1000), target);
    assert.deepEqual(target, content.slice(1000, 6000));
    assert.equal(store.readNow(byteOffset(2000), [target]), true);
    assert.deepEqual(target, content.slice(2000, 7000));
    await store.close();
    await assert.rejects(FileStore.open(device), /devices of the host are opened for reading only/);
  } finally {
    spawnSync("losetup", ["--detach", device]);
  }
});
