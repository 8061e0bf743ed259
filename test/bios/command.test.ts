/** `bunk run` with media: what it boots, and what it refuses with one line. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { bunk } from "../../src/cli/testing/bunk.ts";
import { bootSector, POWER_OFF } from "./bios-guest.ts";
import { bootableDisc } from "./el-torito-disc.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-boot-"));
});
after(() => rm(directory, { recursive: true }));

async function file(name: string, content: Uint8Array, size = content.length): Promise<string> {
  const bytes = new Uint8Array(size);
  bytes.set(content);
  const place = path.join(directory, name);
  await writeFile(place, bytes);
  return place;
}

/** Prints DL as two digits after a word, and switches the machine off. */
const sector = (word: string) =>
  bootSector(`
    mov si,text
    mov bl,dl
  next: lodsb
    or al,al
    jz done
    mov ah,0x0e
    int 0x10
    jmp next
  done: mov al,bl
    shr al,4
    call digit
    mov al,bl
    call digit
    ${POWER_OFF}
  digit: and al,15
    cmp al,10
    jb decimal
    add al,7
  decimal: add al,'0'
    mov ah,0x0e
    int 0x10
    ret
  text: db "${word} ",0
  `);

const MEMORY = ["--memory", "16M"];

test("a file is started as what it seems to be: a disk, a floppy, a disc", async () => {
  const disk = await file("a disk, named so", sector("disk"), 1 << 20);
  assert.deepEqual(await bunk(["run", disk, ...MEMORY]), {
    status: 0,
    output: "Booting from disk...\r\ndisk 80",
    errors: "",
  });
  const inOption = disk.replaceAll(",", ",,");
  const floppy = await file("floppy.img", sector("floppy"), 1440 * 1024);
  const { output } = await bunk(["run", floppy, "--disk", inOption, ...MEMORY]);
  assert.equal(output, "Booting from floppy...\r\nfloppy 00");
  const disc = await file("disc.iso", bootableDisc([{ image: sector("disc") }]));
  const { output: fromDisc } = await bunk(["run", disc, "--disk", inOption, ...MEMORY]);
  assert.equal(fromDisc, "Booting from CD...\r\ndisc E0");
});

test("--boot says what comes first, --no-serial-screen keeps the screen to itself", async () => {
  const disk = await file("first.img", sector("disk"), 1 << 20);
  const disc = await file("second.iso", bootableDisc([{ image: sector("disc") }]));
  const media = ["run", "--disk", disk, "--cdrom", disc, ...MEMORY];
  assert.match((await bunk(media)).output, /disc E0/);
  assert.match((await bunk([...media, "--boot", "disk,cd"])).output, /disk 80/);
  assert.deepEqual(await bunk([...media, "--no-serial-screen"]), { status: 0, output: "", errors: "" });
});

test("media that cannot be booted are refused before the start, with status 66", async () => {
  const uefi = await file("uefi.iso", bootableDisc([{ image: sector("x"), platform: 0xef }]));
  const refused = async (name: string, errors: RegExp) => {
    const outcome = await bunk(["run", name, ...MEMORY]);
    assert.deepEqual([outcome.status, outcome.output], [66, ""]);
    assert.match(outcome.errors, errors);
  };
  await refused(uefi, /^bunk: .*uefi\.iso cannot be booted: it boots by UEFI only: .*--firmware OVMF\.fd\n$/);
  const plain = bootableDisc([{ image: sector("x") }]);
  plain.fill(0, 17 * 2048, 18 * 2048);
  plain.set([255, ...new TextEncoder().encode("CD001\x01")], 17 * 2048);
  await refused(await file("plain.iso", plain), /plain\.iso cannot be booted: the disc has no boot record/);
  await refused(
    await file("zeros.img", new Uint8Array(1 << 20)),
    /zeros\.img seems to be a blank disk: there is nothing to boot/,
  );
  await refused(await file("notes.txt", new TextEncoder().encode("some notes\n")), /seems to be a text file/);
});

test("a disk that ends within a sector is booted with a warning", async () => {
  const disk = await file("cut.img", sector("disk"), 1000);
  const { status, output, errors } = await bunk(["run", disk, ...MEMORY]);
  assert.deepEqual([status, output], [0, "Booting from disk...\r\ndisk 80"]);
  assert.match(errors, /^bunk: .*cut\.img .*1000 bytes, .*sectors: .*\n$/);
});

test("a machine that finds nothing to boot ends with a line for each medium, and status 78", async () => {
  const blank = path.join(directory, "new.qcow2");
  const outcome = await bunk(["run", "--disk", `${blank},size=64M`, ...MEMORY]);
  assert.equal(outcome.status, 78);
  assert.match(outcome.output, /No bootable device\.\r\n {2}disk: blank/);
  assert.equal(outcome.errors, "bunk: nothing to boot: disk: blank (its first sector is all zeros)\n");
  assert.equal((await readFile(blank)).subarray(0, 4).toString("latin1"), "QFI\xfb", "a thin image was made");
});
