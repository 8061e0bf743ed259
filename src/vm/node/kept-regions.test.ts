import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { KeptRegions } from "../../cpu/translate/kept-regions.ts";
import { readIdentity, takeHead } from "../../cpu/translate/region-encoding.ts";
import { ByteReader } from "../../wasm/byte-reader.ts";
import { readRegions, writeRegions } from "./kept-regions.ts";

/** A set with so many regions of no code. */
function setOf(count: number): KeptRegions {
  const kept = new KeptRegions();
  const body = { bytes: Uint8Array.of(0, 0x0b), hints: [], marks: [], calls: [] };
  for (let key = 0; key < count; key++) {
    kept.add(
      { key, model: "max", context: 0, offset: 0, first: 0 },
      { instructions: 1, nodes: [0], code: [] },
      [],
      body,
    );
  }
  return kept;
}

/** Keys of the regions that a file with these parts has. */
function keysIn(parts: readonly Uint8Array[]): Set<number> {
  // Every other part is a length.
  const regions = parts.filter((_, i) => i % 2 === 1);
  return new Set(regions.map((bytes) => readIdentity(new ByteReader(takeHead(new ByteReader(bytes)))).key));
}

test("regions are found where they were kept, unless the file is damaged or made by other sources", async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-regions-"));
  t.after(() => rm(directory, { recursive: true }));
  assert.equal(readRegions(directory).toKeep().length, 0);
  const kept = setOf(3);
  writeRegions(directory, kept);
  assert.deepEqual(Buffer.concat(readRegions(directory).toKeep()), Buffer.concat(kept.toKeep()));
  const [name = ""] = await readdir(directory);
  const file = path.join(directory, name);
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length - 1));
  assert.equal(readRegions(directory).toKeep().length, 0);
  const flipped = Buffer.from(bytes);
  flipped[bytes.length - 1] = 0x0c;
  await writeFile(file, flipped);
  assert.equal(readRegions(directory).toKeep().length, 0);
  const others = Buffer.from(bytes);
  others[others.indexOf("cpu/")] = 0x78;
  await writeFile(file, others);
  assert.equal(readRegions(directory).toKeep().length, 0);
});

test("what a process has used stays, and the set does not grow without end", () => {
  const before = setOf(4096);
  const after = new KeptRegions(Buffer.concat(before.toKeep()));
  const body = { bytes: Uint8Array.of(0, 0x0b), hints: [], marks: [], calls: [] };
  after.add(
    { key: 5000, model: "max", context: 0, offset: 0, first: 0 },
    { instructions: 1, nodes: [], code: [] },
    [],
    body,
  );
  const third = keysIn(after.toKeep());
  assert.ok(third.has(5000));
  assert.ok(third.has(4094) && !third.has(4095));
  assert.equal(setOf(5000).added, 4096);
});
