import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { AptCache } from "./apt.ts";
import { aptMissing, LocalArchive, type TestPackage } from "./testing/local-archive.ts";

const PACKAGES: TestPackage[] = [
  { name: "linux-image-cloud-amd64", version: "6.1.2", depends: "linux-image-6.1.0-2-cloud-amd64 (= 6.1.2)" },
  {
    name: "linux-image-6.1.0-2-cloud-amd64",
    version: "6.1.2",
    files: { "boot/vmlinuz-6.1.0-2": "kernel", "lib/x": "x" },
  },
  { name: "busybox-static", version: "1:1.35", depends: "linux-image-cloud-amd64", files: { "bin/busybox": "box" } },
];

async function rig(t: TestContext, packages = PACKAGES) {
  const archive = await LocalArchive.create(packages);
  t.after(() => archive.remove());
  const directory = path.join(await mkdtemp(path.join(os.tmpdir(), "bunkhouse-apt-")), "with space");
  t.after(() => rm(path.dirname(directory), { recursive: true }));
  const apt = new AptCache({ directory, architecture: "amd64", suite: "bookworm" });
  await apt.update();
  return { apt, archive, directory };
}

const skip = aptMissing ?? false;

test("the name of a kernel meta package leads to the kernel", { skip }, async (t) => {
  const { apt } = await rig(t);
  assert.deepEqual(await apt.resolve("linux-image-cloud-amd64"), {
    name: "linux-image-6.1.0-2-cloud-amd64",
    version: "6.1.2",
    architecture: "amd64",
  });
});

test("a package is downloaded once and unpacked as far as asked for", { skip }, async (t) => {
  const { apt, archive, directory } = await rig(t);
  const packages = [await apt.resolve("busybox-static"), await apt.resolve("linux-image-cloud-amd64")];
  const paths = await apt.download(packages);
  assert.deepEqual(
    paths.map((file) => path.basename(file)),
    ["busybox-static_1%3a1.35_amd64.deb", "linux-image-6.1.0-2-cloud-amd64_6.1.2_amd64.deb"],
  );
  await rm(archive.packageFile("busybox-static"));
  assert.deepEqual(await apt.download(packages), paths);

  const target = path.join(directory, "unpacked");
  await apt.extract(paths[1] as string, target, ["./boot/*"]);
  assert.deepEqual(await readdir(target), ["boot"]);
  assert.equal(await readFile(path.join(target, "boot/vmlinuz-6.1.0-2"), "utf8"), "kernel");
});

test("the records of all that the sources offer are read", { skip }, async (t) => {
  const { apt } = await rig(t);
  const versions = (await apt.available()).map((record) => `${record.get("package")} ${record.get("version")}`);
  assert.deepEqual(versions.sort(), PACKAGES.map(({ name, version }) => `${name} ${version}`).sort());
});

test("all that a package depends on is resolved as for an empty system", { skip }, async (t) => {
  const { apt } = await rig(t);
  const packages = await apt.resolveWithDependencies(["busybox-static"]);
  assert.deepEqual(packages.map(({ name }) => name).sort(), PACKAGES.map(({ name }) => name).sort());
  await apt.download(packages);
});

test("a file that does not match the archive's checksum is refused and not kept", { skip }, async (t) => {
  const { apt, archive, directory } = await rig(t);
  const file = archive.packageFile("busybox-static");
  const content = await readFile(file);
  content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
  await writeFile(file, content);
  const busybox = await apt.resolve("busybox-static");
  await assert.rejects(apt.download([busybox]), /^CatalogueError: apt-get download failed/);
  assert.deepEqual(
    (await readdir(path.join(directory, "archives"))).filter((name) => /deb|incoming/.test(name)),
    [],
  );
});

test("an archive without a valid signature is not used", { skip }, async (t) => {
  const { archive, directory } = await rig(t);
  await writeFile(
    path.join(archive.directory, "sources.list"),
    `deb file:${archive.directory}/archive bookworm main\n`,
  );
  const apt = new AptCache({ directory: `${directory}-unsigned`, architecture: "amd64", suite: "bookworm" });
  await apt.update();
  await assert.rejects(apt.resolve("busybox-static"), {
    message: /^cannot find busybox-static in bookworm \(amd64\): .*not signed/,
  });
});

test("a newer package is seen when the lists are old, not before", { skip }, async (t) => {
  const { apt, archive } = await rig(t);
  await archive.publish([{ name: "busybox-static", version: "1:2.0" }]);
  await apt.update();
  assert.equal((await apt.resolve("busybox-static")).version, "1:1.35");
  await apt.update({ maxAge: 0 });
  assert.equal((await apt.resolve("busybox-static")).version, "1:2.0");
});

test("a host without a Debian source is told what to do", { skip }, async (t) => {
  const { archive, directory } = await rig(t);
  await writeFile(path.join(archive.directory, "sources.list"), "deb [trusted=yes] file:/nowhere noble main\n");
  const apt = new AptCache({ directory: `${directory}-none`, architecture: "amd64", suite: "bookworm" });
  await assert.rejects(apt.update(), /this host's apt has no Debian package source to take bookworm from; add one/);
});

test("a package that no source has is named with where it was looked for", { skip }, async (t) => {
  const { apt } = await rig(t);
  await assert.rejects(apt.resolve("nonesuch"), {
    message: "the host's package sources do not offer nonesuch in bookworm (amd64)",
  });
});
