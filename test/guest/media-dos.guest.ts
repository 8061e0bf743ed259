/** A floppy with a small system for real mode, at its prompt. What it reads and writes: test/bios/little-dos.test.ts. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { littleDosDisk } from "../bios/little-dos/disk.ts";
import { directoryOf, FIRMWARE, MediaMachine } from "./media-machine.ts";

for (const firmware of FIRMWARE) {
  test(`a DOS of our own lists, copies and shows files of its floppy on ${firmware.name}`, async (t) => {
    const file = path.join(await directoryOf(t), "dos.img");
    const text = new TextEncoder();
    await writeFile(file, littleDosDisk({ "HELLO.TXT": text.encode("Hello from a file.\r\n") }));
    const machine = await MediaMachine.start(t, firmware, { floppies: [{ file }] });
    if (!machine) return;
    await machine.screen(/^A>$/m);
    await machine.type("copy hello.txt new.txt\ntype new.txt\n");
    await machine.screen(/^A>type new\.txt\nHello from a file\.\nA>$/m);
    await machine.type("dir\n");
    await machine.screen(/^A>dir\nLITTLE\.SYS \d+\nHELLO\.TXT 20\nNEW\.TXT 20\nA>$/m);
    await machine.keepScreenshot();
    await machine.vm.stop();
    const onHost = await readFile(file);
    assert.ok(onHost.includes("NEW     TXT"), "the host's file has the new name");
  });
}
