import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, type TestContext, test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { BlockError } from "../block-device.ts";
import { MemoryStore } from "../memory-store.ts";
import { RawDisk } from "../raw/raw-disk.ts";
import { fileContent, KIB, mustBeSame } from "../testing/node/image-content.ts";
import { missing, run, scratch } from "../testing/node/qemu-img.ts";
import { pattern } from "../testing/pattern.ts";
import { Disc, type DiscEntry } from "./disc.ts";

const skip = missing("xorriso");

const FILES: Readonly<Record<string, Uint8Array>> = {
  "readme.txt": pattern(1, 100),
  empty: new Uint8Array(0),
  "boot/kernel-6.1.0.img": pattern(2, 300 * KIB + 7),
  "boot/grub/a file with a long name and spaces, which plain names cannot have.cfg": pattern(3, 5000),
  "Ünïcödé/ß.txt": pattern(4, 10),
  "d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/deep.txt": pattern(5, 2048),
  "boot.img": pattern(6, 2048),
};

/** Makes a disc of the files by xorriso, as mkisofs with these options. */
async function disc(t: TestContext, ...options: string[]): Promise<{ image: Uint8Array; disc: Disc }> {
  const directory = await scratch(t);
  for (const [name, content] of Object.entries(FILES)) {
    const file = path.join(directory, "tree", name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  for (let i = 0; i < 200; i++) await writeFile(path.join(directory, "tree", "boot", `file-${i}`), String(i));
  await symlink("../boot/kernel-6.1.0.img", path.join(directory, "tree", "boot", "vmlinuz"));
  await run(directory, "xorriso", "-as", "mkisofs", "-V", "TEST_DISC", "-o", "disc.iso", ...options, "tree");
  const image = await fileContent(path.join(directory, "disc.iso"));
  return { image, disc: await Disc.open(new RawDisk(MemoryStore.of(image, { readOnly: true })), "disc.iso") };
}

async function content(disc: Disc, entry: DiscEntry | undefined): Promise<Uint8Array> {
  assert.ok(entry !== undefined);
  const bytes = new Uint8Array(entry.size);
  await disc.read(entry, 0, bytes);
  return bytes;
}

describe("discs made by xorriso", { skip }, () => {
  for (const [names, options] of [
    ["rock-ridge", ["-R"]],
    ["joliet", ["-J", "-joliet-long"]],
  ] as const) {
    test(`files are found by their ${names} names, and have their content`, async (t) => {
      const { disc: found } = await disc(t, ...(names === "joliet" ? ["--norock", ...options] : options));
      assert.deepEqual([found.names, found.volumeId], [names, "TEST_DISC"]);
      for (const [name, expected] of Object.entries(FILES)) {
        mustBeSame(await content(found, await found.find(`/${name}`)), expected);
      }
      const boot = await found.find("boot");
      assert.equal((await found.list(boot as DiscEntry)).filter(({ name }) => name.startsWith("file-")).length, 200);
      assert.equal(await found.find("boot/none"), undefined);
      assert.equal(await found.find("readme.txt/none"), undefined);
    });
  }

  test("plain names are found in any case", async (t) => {
    const { disc: found } = await disc(t, "--norock", "-iso-level", "1");
    assert.equal(found.names, "iso9660");
    mustBeSame(await content(found, await found.find("readme.txt")), FILES["readme.txt"]!);
    assert.deepEqual((await found.list(found.root)).find(({ name }) => name === "README.TXT")?.kind, "file");
  });

  test("symbolic links and modes are told", async (t) => {
    const { disc: found } = await disc(t, "-R");
    const link = await found.find("boot/vmlinuz");
    assert.deepEqual([link?.kind, link?.target], ["link", "../boot/kernel-6.1.0.img"]);
    assert.equal(((await found.find("boot"))?.mode ?? 0) & 0o170000, 0o040000);
  });

  test("a disc without anything to start says so", async (t) => {
    assert.equal(await (await disc(t, "-R")).disc.bootEntries(), undefined);
  });

  test("what a BIOS and UEFI can start is listed, with where it is", async (t) => {
    const bios = ["-b", "boot.img", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4"];
    const efi = ["-eltorito-alt-boot", "-e", "boot/kernel-6.1.0.img", "-no-emul-boot"];
    const { disc: found, image } = await disc(t, "-R", ...bios, ...efi);
    const [first, second, ...more] = (await found.bootEntries()) ?? [];
    assert.deepEqual(
      [first?.platform, first?.isBootable, first?.media, first?.sectors, first?.loadSegment],
      ["x86", true, "none", 4, 0x7c0],
    );
    const start = (first?.loadSector ?? 0) * 2048;
    mustBeSame(image.subarray(start, start + 2048), FILES["boot.img"]!);
    assert.deepEqual([second?.platform, second?.isBootable, second?.media, more.length], ["efi", true, "none", 0]);
    const kernel = (second?.loadSector ?? 0) * 2048;
    mustBeSame(image.subarray(kernel, kernel + 1000), FILES["boot/kernel-6.1.0.img"]!.subarray(0, 1000));
  });

  test("a damaged disc is read as far as it goes, and nothing worse", async (t) => {
    const { image } = await disc(t, "-R", "-b", "boot.img", "-no-emul-boot");
    const random = new SeededRandom(6);
    for (let i = 0; i < 300; i++) {
      const damaged = image.slice();
      // Descriptors and directories are at the start.
      for (let k = 0; k < 20; k++) damaged[16 * 2048 + random.below(60 * 2048)] = random.below(256);
      try {
        const found = await Disc.open(new RawDisk(MemoryStore.of(damaged)), "disc.iso");
        for (const entry of await found.list(found.root)) {
          await found.list(entry);
          if (entry.size < 1e7) await content(found, entry);
        }
        await found.bootEntries();
      } catch (error) {
        if (!(error instanceof BlockError)) throw error;
      }
    }
  });
});

test("what is no disc is refused", async () => {
  await assert.rejects(
    Disc.open(new RawDisk(new MemoryStore(100_000)), "a.img"),
    /a\.img: is no image of an ISO 9660 disc/,
  );
});
