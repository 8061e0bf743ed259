import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { keptRuntime } from "./kept-runtime.ts";

const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** The runtime module needs imports, the empty one does not. */
function isRuntime(module: WebAssembly.Module): boolean {
  try {
    new WebAssembly.Instance(module);
    return false;
  } catch {
    return true;
  }
}

/** The file that is kept in a new directory, with the part that tells what it was made from. */
async function kept(t: TestContext) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-runtime-"));
  t.after(() => rm(directory, { recursive: true }));
  assert.equal(isRuntime(await keptRuntime(directory)), true);
  const [name = ""] = await readdir(directory);
  const file = path.join(directory, name);
  const bytes = await readFile(file);
  return { directory, file, bytes, sources: bytes.subarray(0, bytes.indexOf(0) + 1) };
}

test("the processor's runtime module is taken from where it was kept", async (t) => {
  const { directory, file, sources } = await kept(t);
  await writeFile(file, Buffer.concat([sources, EMPTY_MODULE]));
  assert.equal(isRuntime(await keptRuntime(directory)), false);
});

test("a runtime module that other sources made is not taken", async (t) => {
  const { directory, file, sources } = await kept(t);
  const others = Buffer.from(sources.toString().replace(/^cpu\/processor\.ts \d+/m, "$&0"));
  assert.notDeepEqual(others, sources);
  await writeFile(file, Buffer.concat([others, EMPTY_MODULE]));
  assert.equal(isRuntime(await keptRuntime(directory)), true);
});

test("a kept runtime module that is cut off is made anew", async (t) => {
  const { directory, file, bytes } = await kept(t);
  await writeFile(file, bytes.subarray(0, bytes.length - 1000));
  assert.equal(isRuntime(await keptRuntime(directory)), true);
});
