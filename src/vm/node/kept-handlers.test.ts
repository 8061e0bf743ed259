import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { FORMS } from "../../isa/index.ts";
import { keepHandlers, keptHandlers } from "./kept-handlers.ts";

/** Keys of some forms without memory operands, in 32-bit code. */
const KEYS = FORMS.filter(({ instruction }) => instruction.name === "add").map(({ id }) => id * 0x8000 + 0x5e);

test("handlers are found where they were kept, unless the file is damaged or made by other sources", async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-handlers-"));
  t.after(() => rm(directory, { recursive: true }));
  assert.ok(KEYS.length > 3);
  assert.equal(keptHandlers("kernel", directory), undefined);
  await keepHandlers("kernel", KEYS, directory);
  assert.deepEqual(keptHandlers("kernel", directory)?.keys, KEYS);
  assert.equal(keptHandlers("firmware", directory), undefined);
  const [name = ""] = await readdir(directory);
  const file = path.join(directory, name);
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length - 100));
  assert.equal(keptHandlers("kernel", directory), undefined);
  await writeFile(file, bytes.subarray(0, bytes.indexOf(0) + 5));
  assert.equal(keptHandlers("kernel", directory), undefined);
  const others = Buffer.from(bytes);
  others[others.indexOf("cpu/")] = 0x78;
  await writeFile(file, others);
  assert.equal(keptHandlers("kernel", directory), undefined);
});
