import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { readCpio } from "./cpio.ts";
import { prepareGuest } from "./debian-guest.ts";
import { loadCatalogue } from "./entry.ts";
import { aptMissing, LocalArchive, type TestPackage } from "./testing/local-archive.ts";
import { testModule } from "./testing/test-module.ts";

const MODULES = "lib/modules/6.1.0-2";
const KERNEL: TestPackage = {
  name: "linux-image-6.1.0-2",
  version: "6.1.2",
  files: {
    "boot/vmlinuz-6.1.0-2": "the kernel",
    [`${MODULES}/kernel/virtio.ko`]: testModule(["depends="]),
    [`${MODULES}/kernel/virtio_blk.ko`]: testModule(["depends=virtio", "alias=virtio:d00000002v*"]),
    [`${MODULES}/modules.builtin`]: "",
  },
};
const PACKAGES: TestPackage[] = [
  { name: "linux-image-test", version: "6.1", depends: KERNEL.name },
  KERNEL,
  { name: "busybox-static", version: "1.35", files: { "bin/busybox": "ELF[\0[[\0busybox\0sh\0\0" } },
  { name: "installer", version: "12", files: { "images/linux": "installer kernel", "images/initrd.gz": "its initrd" } },
];

const DEBIAN = { architecture: "amd64", suite: "bookworm", backports: false, append: "console=ttyS0", memoryMiB: 64 };
const ENTRIES = {
  small: {
    ...DEBIAN,
    label: "A small guest",
    builder: "debian-busybox",
    kernel: "linux-image-test",
    busybox: "busybox-static",
    modules: ["virtio_blk"],
    files: { "/init": "init.sh" },
  },
  installer: {
    ...DEBIAN,
    label: "An installer",
    builder: "debian-installer",
    package: "installer",
    kernel: "images/linux",
    initrd: "images/initrd.gz",
  },
};

async function rig(t: TestContext) {
  const archive = await LocalArchive.create(PACKAGES);
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-guest-"));
  t.after(async () => {
    await archive.remove();
    await rm(directory, { recursive: true });
  });
  const catalogueDirectory = path.join(directory, "catalogue");
  const cacheDirectory = path.join(directory, "cache");
  await mkdir(catalogueDirectory);
  await writeFile(path.join(catalogueDirectory, "init.sh"), "#!/bin/sh\n");
  for (const [name, entry] of Object.entries(ENTRIES)) {
    await writeFile(path.join(catalogueDirectory, `${name}.json`), JSON.stringify(entry));
  }
  return { archive, catalogueDirectory, cacheDirectory, options: { catalogueDirectory, cacheDirectory } };
}

const skip = aptMissing ?? false;

test("a small guest is a kernel and an initrd with BusyBox, modules and our files", { skip }, async (t) => {
  const { options } = await rig(t);
  const guest = await prepareGuest("small", options);
  assert.equal(await readFile(guest.kernel, "utf8"), "the kernel");
  assert.deepEqual(
    { append: guest.append, label: guest.label, memoryMiB: guest.memoryMiB, packages: guest.packages },
    {
      append: "console=ttyS0",
      label: "A small guest",
      memoryMiB: 64,
      packages: { "busybox-static": "1.35", "linux-image-6.1.0-2": "6.1.2" },
    },
  );
  const entries = new Map(readCpio(await readFile(guest.initrd)).map((entry) => [entry.path, entry]));
  assert.deepEqual(entries.get("bin/sh"), { kind: "symlink", path: "bin/sh", target: "busybox" });
  assert.deepEqual(entries.get("init"), {
    kind: "file",
    path: "init",
    permissions: 0o755,
    content: Buffer.from("#!/bin/sh\n"),
  });
  assert.equal(entries.get("dev/console")?.kind, "character-device");
  const index = entries.get(`${MODULES}/modules.dep`);
  assert.ok(index?.kind === "file");
  assert.equal(Buffer.from(index.content).toString(), "kernel/virtio.ko:\nkernel/virtio_blk.ko: kernel/virtio.ko\n");
});

test("an installer is the kernel and initrd of its package", { skip }, async (t) => {
  const { options } = await rig(t);
  const guest = await prepareGuest("installer", options);
  assert.equal(await readFile(guest.kernel, "utf8"), "installer kernel");
  assert.equal(await readFile(guest.initrd, "utf8"), "its initrd");
});

test("the second time needs no apt and no archive", { skip }, async (t) => {
  const { archive, options } = await rig(t);
  const first = await prepareGuest("small", options);
  await rm(path.join(archive.directory, "archive"), { recursive: true });
  const searchPath = process.env.PATH;
  process.env.PATH = "/nowhere";
  t.after(() => {
    process.env.PATH = searchPath;
  });
  assert.deepEqual(await prepareGuest("small", options), first);
});

test("a changed file of the catalogue gives a new guest, and so does a refresh", { skip }, async (t) => {
  const { archive, catalogueDirectory, options } = await rig(t);
  const first = await prepareGuest("small", options);
  await writeFile(path.join(catalogueDirectory, "init.sh"), "#!/bin/sh\nexec sh\n");
  const second = await prepareGuest("small", options);
  assert.notEqual(second.initrd, first.initrd);

  const newer = { ...KERNEL, version: "6.1.3", files: { ...KERNEL.files, "boot/vmlinuz-6.1.0-2": "a newer kernel" } };
  await archive.publish(PACKAGES.map((item) => (item === KERNEL ? newer : item)));
  await rm(path.join(options.cacheDirectory, "apt"), { recursive: true });
  const third = await prepareGuest("small", { ...options, refresh: true });
  assert.equal(await readFile(third.kernel, "utf8"), "a newer kernel");
});

test("a failed build leaves no files of a guest, and the next one succeeds", { skip }, async (t) => {
  const { archive, cacheDirectory, options } = await rig(t);
  const { files = {} } = KERNEL;
  const broken = { ...KERNEL, files: { ...files, [`${MODULES}/kernel/virtio_blk.ko`]: testModule(["depends=gone"]) } };
  await archive.publish(PACKAGES.map((item) => (item === KERNEL ? broken : item)));
  await assert.rejects(prepareGuest("small", options), {
    message: "package linux-image-6.1.0-2 does not contain the module gone; this catalogue entry does not fit it",
  });
  assert.deepEqual(await readdir(path.join(cacheDirectory, "guests")), ["build.lock"]);

  await archive.publish(PACKAGES);
  await rm(path.join(cacheDirectory, "apt"), { recursive: true });
  await prepareGuest("small", options);
});

test("downloaded packages do not stay in the cache", { skip }, async (t) => {
  const { cacheDirectory, options } = await rig(t);
  await prepareGuest("small", options);
  assert.deepEqual(await readdir(path.join(cacheDirectory, "apt/bookworm-amd64/archives")), ["partial"]);
});

test("every package that the catalogue names is offered by Debian", { skip }, async (t) => {
  if (process.env.BUNKHOUSE_TEST_NETWORK === undefined)
    return t.skip("set BUNKHOUSE_TEST_NETWORK=1 to use the host's mirror");
  const { AptCache } = await import("./apt.ts");
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-network-"));
  t.after(() => rm(directory, { recursive: true }));
  for (const entry of await loadCatalogue()) {
    if (entry.builder === "debian-disk") continue;
    const name = `${entry.suite}-${entry.architecture}-${entry.backports}`;
    const apt = new AptCache({ ...entry, directory: path.join(directory, name) });
    await apt.update();
    const names = entry.builder === "debian-busybox" ? [entry.kernel, entry.busybox] : [entry.package];
    for (const wanted of names) assert.match((await apt.resolve(wanted)).version, /\d/, wanted);
  }
});
