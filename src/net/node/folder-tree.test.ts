import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { FolderTree } from "./folder-tree.ts";

let scratch: string;
let tree: FolderTree;

before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), "bunkhouse-folder-"));
  const folder = path.join(scratch, "offered");
  await mkdir(path.join(folder, "sub"), { recursive: true });
  await mkdir(path.join(scratch, "offered-not"));
  await writeFile(path.join(folder, "sub", "file"), "0123456789");
  await writeFile(path.join(folder, "...odd..name"), "odd");
  await writeFile(path.join(scratch, "secret"), "secret");
  await writeFile(path.join(scratch, "offered-not", "secret"), "secret");
  await symlink(path.join("sub", "file"), path.join(folder, "inside"));
  await symlink("sub", path.join(folder, "sub-link"));
  await symlink(path.join(scratch, "secret"), path.join(folder, "outside"));
  await symlink("..", path.join(folder, "up"));
  await symlink(path.join("..", "offered-not"), path.join(folder, "beside"));
  await symlink("nowhere", path.join(folder, "dangling"));
  await symlink("circle", path.join(folder, "circle"));
  await symlink(folder, path.join(scratch, "link-to-offered"));
  tree = new FolderTree(path.join(scratch, "link-to-offered"));
});

after(() => rm(scratch, { recursive: true }));

async function contentOf(name: string): Promise<string | undefined> {
  const file = await tree.open(name);
  if (file === undefined) return undefined;
  const target = new Uint8Array(file.size + 5);
  const count = await file.read(0, target);
  await file.close();
  assert.equal(count, file.size);
  return Buffer.from(target.subarray(0, count)).toString();
}

test("a file in the folder, or in one below, is read from anywhere", async () => {
  assert.equal(await contentOf("sub/file"), "0123456789");
  assert.equal(await contentOf("...odd..name"), "odd");
  const file = (await tree.open("sub/file")) ?? assert.fail();
  const target = new Uint8Array(4);
  assert.equal(await file.read(8, target), 2);
  assert.deepEqual(Buffer.from(target).toString("latin1"), "89\0\0");
  assert.equal(await file.read(10, target), 0);
  await file.close();
});

test("links that stay in the folder are followed", async () => {
  assert.equal(await contentOf("inside"), "0123456789");
  assert.equal(await contentOf("sub-link/file"), "0123456789");
});

test("nothing outside of the folder is offered", async () => {
  for (const name of [
    "outside",
    "up/secret",
    "beside/secret",
    "up",
    "../secret",
    "sub/../../secret",
    "sub/../sub/file",
  ]) {
    assert.equal(await contentOf(name), undefined, name);
  }
  for (const name of [
    path.join(scratch, "secret"),
    "/etc/passwd",
    "..\\secret",
    "sub\\file",
    "C:secret",
    "sub/file\0",
  ]) {
    assert.equal(await contentOf(name), undefined, name);
  }
});

test("what is no regular file is not offered", async () => {
  for (const name of [
    "",
    ".",
    "sub",
    "sub/",
    "sub//file",
    "./sub/file",
    "nothing",
    "sub/file/x",
    "dangling",
    "circle",
    "x".repeat(5000),
  ]) {
    assert.equal(await contentOf(name), undefined, name.slice(0, 20));
  }
  assert.equal(await new FolderTree(path.join(scratch, "not-there")).open("file"), undefined);
  assert.equal(await new FolderTree("/dev").open("null"), undefined);
});
