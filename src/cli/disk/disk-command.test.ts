import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { openImage } from "../../disk/node/open-image.ts";
import { contentOf, diskContent, MIB, mustBeSame } from "../../disk/testing/node/image-content.ts";
import { scratch } from "../../disk/testing/node/qemu-img.ts";
import { parseCommandLine } from "../command-line.ts";
import { CliError } from "../failure.ts";
import { diskCommand } from "./disk-command.ts";
import { progressBar } from "./progress-bar.ts";

/** Runs `bunk disk` with these words; `@name` is a file of the test's folder. */
async function rig(t: TestContext) {
  const directory = await scratch(t);
  const at = (name: string) => path.join(directory, name);
  const disk = async (line: string) => {
    const words = line.split(" ").map((word) => (word.startsWith("@") ? at(word.slice(1)) : word));
    const invocation = parseCommandLine(["disk", ...words], { version: "0", columns: 80 });
    if (!invocation.verb.startsWith("disk")) throw new Error(`not a disk command: ${line}`);
    const { text, status } = await diskCommand(invocation as Parameters<typeof diskCommand>[0]);
    assert.equal(status, 0, text);
    return text.replaceAll(`${directory}/`, "");
  };
  return { at, disk };
}

test("a new image is thin, and its format is that of its name", async (t) => {
  const { at, disk } = await rig(t);
  for (const name of ["a.qcow2", "a.img", "a.vmdk", "a.vdi", "a.vhd", "a.vhdx", "a"]) {
    const format = { img: "raw" }[path.extname(name).slice(1)] ?? (path.extname(name).slice(1) || "qcow2");
    assert.equal(await disk(`create @${name} 1G`), `${name}: ${format}, 1 GiB\n`);
    assert.ok((await stat(at(name))).blocks * 512 < 5 * MIB);
    const { format: found, size } = JSON.parse(await disk(`info @${name} --json`));
    // Nothing in an empty raw image says what it is, and that is what a raw image is.
    assert.deepEqual([found, size], [format, 1024 ** 3]);
  }
});

test("an image that exists is not made again", async (t) => {
  const { at, disk } = await rig(t);
  await writeFile(at("a.qcow2"), "precious");
  await assert.rejects(disk("create @a.qcow2 1G"), /cannot create .*a.qcow2: the file exists already/);
  assert.equal(await readFile(at("a.qcow2"), "utf8"), "precious");
});

test("an image that cannot be made leaves no file", async (t) => {
  const { at, disk } = await rig(t);
  await assert.rejects(disk("create @a.vhd 3T"), /only up to 2040G; use --format vhdx or qcow2/);
  await assert.rejects(stat(at("a.vhd")), /ENOENT/);
});

test("an image based on another has its size and content, by a name from its own folder", async (t) => {
  const { at, disk } = await rig(t);
  const content = diskContent(1, 3 * MIB);
  await writeFile(at("base.img"), content);
  await disk("create @top.qcow2 --backing @base.img");
  assert.match(await disk("info @top.qcow2"), /^based on +base\.img \(raw\)$/m);
  const top = await openImage(at("top.qcow2"), { readOnly: false });
  mustBeSame(await contentOf(top), content);
  await top.write(byteOffset(0), new Uint8Array(512));
  await top.close();
  mustBeSame(new Uint8Array(await readFile(at("base.img"))), content);
});

test("converting keeps the content, from every format to every other", async (t) => {
  const { at, disk } = await rig(t);
  const content = diskContent(2, 5 * MIB);
  await writeFile(at("0.img"), content);
  const names = ["0.img", "1.qcow2", "2.vmdk", "3.vdi", "4.vhd", "5.vhdx", "6.qcow2", "7.img"];
  for (const [i, name] of names.slice(1).entries()) await disk(`convert @${names[i]} @${name}`);
  mustBeSame(new Uint8Array(await readFile(at("7.img"))), content);
});

test("a snapshot is made, listed, copied out, gone back to and deleted", async (t) => {
  const { at, disk } = await rig(t);
  await disk("create @a.qcow2 4M");
  const write = async (byte: number) => {
    const image = await openImage(at("a.qcow2"), { readOnly: false });
    await image.write(byteOffset(0), new Uint8Array(MIB).fill(byte));
    await image.close();
  };
  await write(1);
  await disk("snapshot create @a.qcow2 one");
  await write(2);
  assert.match(await disk("snapshot list @a.qcow2"), /^1 +one +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +4 MiB$/m);
  await disk("convert @a.qcow2 @old.img --snapshot one");
  assert.equal((await readFile(at("old.img")))[0], 1);
  await disk("snapshot apply @a.qcow2 one");
  await disk("convert @a.qcow2 @now.img");
  assert.equal((await readFile(at("now.img")))[0], 1);
  await assert.rejects(disk("snapshot delete @a.qcow2 two"), /has no snapshot "two"; there are: one/);
  await disk("snapshot delete @a.qcow2 one");
  assert.equal(await disk("snapshot list @a.qcow2"), "a.qcow2 has no snapshots\n");
});

test("a disk grows, and shrinks only when that is asked for", async (t) => {
  const { disk } = await rig(t);
  await disk("create @a.qcow2 10M");
  assert.equal(await disk("resize @a.qcow2 +5M"), "a.qcow2: 10 MiB became 15 MiB\n");
  await assert.rejects(disk("resize @a.qcow2 5M"), /add --shrink/);
  assert.equal(await disk("resize --shrink @a.qcow2 -- -10M"), "a.qcow2: 15 MiB became 5 MiB\n");
});

test("a damaged image is told by check, and mended by check --repair", async (t) => {
  const { at, disk } = await rig(t);
  await disk("create @a.qcow2 10M");
  const image = await openImage(at("a.qcow2"), { readOnly: false });
  await image.write(byteOffset(0), new Uint8Array(MIB).fill(3));
  await image.close();
  assert.match(await disk("check @a.qcow2"), /sound, \d+ units in use/);
  const bytes = await readFile(at("a.qcow2"));
  // The refcount block: everything counted as free.
  bytes.fill(0, 2 * 65536, 3 * 65536);
  await writeFile(at("a.qcow2"), bytes);
  const invocation = { verb: "disk check", file: at("a.qcow2"), format: undefined, repair: false } as const;
  const { status, text } = await diskCommand(invocation);
  assert.equal(status, 66);
  assert.match(text, /errors that damage content; mend it with --repair\n[\s\S]*^ {2}cluster 0 is used 1 times/m);
  assert.match(await disk("check @a.qcow2 --repair"), /mended/);
  assert.match(await disk("check @a.qcow2"), /sound/);
});

test("what a format cannot do is refused with what to do", async (t) => {
  const { disk } = await rig(t);
  await disk("create @a.vdi 10M");
  const refused = (message: RegExp) => (error: unknown) => error instanceof CliError && message.test(error.message);
  await assert.rejects(disk("resize @a.vdi 20M"), refused(/vdi images cannot be resized; convert it to qcow2 first/));
  await assert.rejects(disk("snapshot list @a.vdi"), refused(/vdi images have no snapshots in them; convert it/));
  await assert.rejects(disk("create @b.qcow2"), refused(/what size\? Write: bunk disk create .*b.qcow2 20G/));
  await assert.rejects(disk("create @b.qcow2 big"), refused(/big is not a size/));
});

test("a partition table is made, shown, and not replaced by accident", async (t) => {
  const { disk } = await rig(t);
  await disk("create @a.qcow2 1G");
  assert.equal(await disk("partitions @a.qcow2"), "a.qcow2 has no partition table\n");
  const made = await disk("partitions @a.qcow2 --create gpt --add 100M,efi --add rest,linux,root");
  assert.match(made, /^a\.qcow2: gpt, [-0-9A-F]{36}$/m);
  assert.match(made, /^1 +2048 +100 MiB +EFI system$/m);
  assert.match(made, /^2 +206848 +9\d\d\.?\d* MiB +Linux file system +root$/m);
  assert.equal(await disk("partitions @a.qcow2"), made);
  await assert.rejects(disk("partitions @a.qcow2 --create mbr"), /has a partition table \(gpt\) already; add --force/);
  assert.match(await disk("partitions @a.qcow2 --create mbr --force --add 1M"), /^1 +2048 +1 MiB +Linux file system$/m);
  await assert.rejects(disk("partitions @a.qcow2 --create gpt --add 1M,ext4"), /"ext4" is no type of partition/);
});

test("a bar is shown on a terminal and nowhere else", () => {
  let shown = "";
  const write = (text: string) => {
    shown += text;
  };
  const stream = (isTTY: boolean) => ({ isTTY, columns: 100, write });
  const bar = progressBar("copying", stream(true), stream(true));
  bar.report(0.5);
  bar.finish();
  assert.ok(shown.includes(`copying [${"#".repeat(15)}${"-".repeat(15)}] ... 50%`), shown);
  shown = "";
  progressBar("copying", stream(true), stream(false)).report(0.5);
  assert.equal(shown, "");
});
