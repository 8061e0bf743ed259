import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { collectModules, modulesAlias, modulesDep, readModuleInfo } from "./kernel-modules.ts";
import { testModule } from "./testing/test-module.ts";

const RECORDS = [
  "license=GPL",
  "depends=virtio,virtio_ring",
  "softdep=pre: crc32c post: later",
  "alias=virtio:d00000002v*",
];

for (const elfClass of [32, 64] as const) {
  test(`a ${elfClass}-bit module tells what it depends on and which hardware it is for`, () => {
    assert.deepEqual(readModuleInfo(testModule(RECORDS, elfClass)), {
      depends: ["virtio", "virtio_ring"],
      softDepends: ["crc32c"],
      aliases: ["virtio:d00000002v*"],
    });
  });
}

test("a file that is no module tells nothing", () => {
  const nothing = { depends: [], softDepends: [], aliases: [] };
  assert.deepEqual(readModuleInfo(new Uint8Array(0)), nothing);
  assert.deepEqual(readModuleInfo(new Uint8Array(100)), nothing);
});

/** A module directory like that of a kernel package, with the modules' records by file. */
async function withModules(
  files: Readonly<Record<string, readonly string[]>>,
  use: (source: Parameters<typeof collectModules>[0]) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-modules-"));
  try {
    for (const [file, records] of Object.entries(files)) {
      await mkdir(path.join(directory, "kernel", path.dirname(file)), { recursive: true });
      await writeFile(path.join(directory, "kernel", file), testModule(records));
    }
    await writeFile(path.join(directory, "modules.builtin"), "kernel/fs/ext4/ext4.ko\n");
    await use({ directory, packageName: "linux-image-test", read: (file) => readFile(file) });
  } finally {
    await rm(directory, { recursive: true });
  }
}

const VIRTIO = {
  "virtio/virtio_ring.ko": ["depends="],
  "virtio/virtio.ko": ["depends=virtio_ring"],
  "block/virtio-blk.ko": ["depends=virtio,virtio_ring", "alias=virtio:d00000002v*"],
  "other.ko": ["depends="],
};

test("modules come after what they depend on, and no others come", () =>
  withModules(VIRTIO, async (source) => {
    const modules = await collectModules(source, ["virtio_blk"]);
    assert.deepEqual(
      modules.map(({ name }) => name),
      ["virtio_ring", "virtio", "virtio_blk"],
    );
  }));

test("modprobe finds files to load from right to left, and aliases", () =>
  withModules(VIRTIO, async (source) => {
    const modules = await collectModules(source, ["virtio_blk"]);
    assert.equal(
      modulesDep(modules),
      "kernel/virtio/virtio_ring.ko:\n" +
        "kernel/virtio/virtio.ko: kernel/virtio/virtio_ring.ko\n" +
        "kernel/block/virtio-blk.ko: kernel/virtio/virtio.ko kernel/virtio/virtio_ring.ko\n",
    );
    assert.equal(modulesAlias(modules), "alias virtio:d00000002v* virtio_blk\n");
  }));

test("what the kernel has built in is not looked for, and what it lacks is named", () =>
  withModules(VIRTIO, async (source) => {
    assert.deepEqual(await collectModules(source, ["ext4"]), []);
    await assert.rejects(collectModules(source, ["btrfs"]), {
      message: "package linux-image-test does not contain the module btrfs; this catalogue entry does not fit it",
    });
  }));

test("a compressed module loses the suffix, and a circle of dependencies ends", () =>
  withModules({ "a.ko.xz": ["depends=b"], "b.ko": ["depends=a"] }, async (source) => {
    const modules = await collectModules(source, ["a"]);
    assert.deepEqual(
      modules.map((module) => module.path),
      ["kernel/b.ko", "kernel/a.ko"],
    );
    assert.match(modulesDep(modules), /^kernel\/a\.ko: kernel\/b\.ko$/m);
  }));
