import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { CATALOGUE_DIRECTORY, loadCatalogue, loadEntry, parseEntry } from "./entry.ts";

test("every entry of the catalogue is valid, and the files that it names are there", async () => {
  const entries = await loadCatalogue();
  assert.ok(entries.some(({ name }) => name === "debian"));
  for (const entry of entries) {
    for (const file of Object.values("files" in entry ? entry.files : {})) {
      await access(path.join(CATALOGUE_DIRECTORY, file));
    }
    if (entry.builder === "debian-disk") assert.equal((await loadEntry(entry.base)).builder, "debian-busybox");
  }
});

test("a guest that is not in the catalogue is answered with those that are", async () => {
  await assert.rejects(loadEntry("plan9"), /^CatalogueError: no guest is called "plan9"; known are: .*debian, /);
  await assert.rejects(loadEntry("../catalogue/debian"), /no guest is called/);
});

const DISK = {
  builder: "debian-disk",
  label: "A disk",
  append: "root=/dev/vda",
  memoryMiB: 512,
  base: "debian",
  packages: ["init"],
  diskMiB: 1024,
  files: { "/etc/fstab": "disk/fstab" },
};

test("an entry carries the name of its file", () => {
  assert.deepEqual(parseEntry(JSON.stringify(DISK), "disk.json"), { name: "disk", ...DISK });
});

test("a mistake in an entry is told with file, field and what is expected", () => {
  const mistakes: [Record<string, unknown> | string, RegExp][] = [
    ["{", /^catalogue file x\.json: not JSON/],
    ["[]", /must be an object/],
    [{ builder: "toString" }, /"builder" must be one of: debian-busybox, debian-installer, debian-disk/],
    [{ ...DISK, label: "" }, /"label" must be a text/],
    [{ ...DISK, memoryMiB: 0.5 }, /"memoryMiB" must be a positive whole number/],
    [{ ...DISK, packages: [1] }, /"packages" must be a list of texts/],
    [{ ...DISK, files: { "etc/fstab": "disk/fstab" } }, /"files" must be an object/],
    [{ ...DISK, files: { "/etc/fstab": "../../secret" } }, /"files" must be an object/],
    [{ ...DISK, diskMib: 5 }, /"diskMib" is no field of a debian-disk entry/],
    [{ ...DISK, builder: "debian-installer" }, /"architecture" must be "amd64" or "i386"/],
  ];
  for (const [entry, message] of mistakes) {
    const text = typeof entry === "string" ? entry : JSON.stringify(entry);
    assert.throws(() => parseEntry(text, "x.json"), { message });
  }
});
