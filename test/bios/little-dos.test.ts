/**
 * A small system in real mode, made for this test: it boots from a floppy, reads and writes files by INT 13h and by the
 * floppy controller itself, with our BIOS and with SeaBIOS. What it wrote is read by mtools.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { byteOffset } from "../../src/bits/units.ts";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import type { MachineDefinition } from "../../src/vm/definition.ts";
import { biosGuest, diskOf } from "./bios-guest.ts";
import { littleDosDisk } from "./little-dos/disk.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin";
const MTOOLS = "/usr/bin/mcopy";
const COMMANDS = [
  ...["copy big.bin one.bin", "chip", "type hello.txt", "copy big.bin two.bin", "copy hello.txt new.txt"],
  ...["del hello.txt", "bios", "type hello.txt", "type new.txt", "nonsense", "dir"],
];
const HELLO = "Hello from a file.\r\n";

async function fileOn(image: string, name: string): Promise<Buffer> {
  const { stdout } = await promisify(execFile)(MTOOLS, ["-n", "-i", image, `::${name}`, "-"], { encoding: "buffer" });
  return stdout;
}

/** Types a key once the machine takes it. */
async function press(machine: Awaited<ReturnType<typeof biosGuest>>["machine"], name: string): Promise<void> {
  for (const down of [true, false]) {
    while (!machine.board.keyboard.key(name, down)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function session(t: TestContext, definition: Partial<MachineDefinition>): Promise<void> {
  const big = new Uint8Array(20_000);
  new SeededRandom(12).fill(big);
  const text = new TextEncoder();
  const files = {
    "HELLO.TXT": text.encode(HELLO),
    "BIG.BIN": big,
    "COMMANDS.TXT": text.encode(COMMANDS.map((line) => `${line}\r\n`).join("")),
  };
  const device = diskOf(littleDosDisk(files), 1440 * 1024);
  const { machine } = await biosGuest({ floppies: [{ type: "1.44M", device }], debugExit: true, ...definition });
  const ended = machine.run();
  const screen = () => machine.board.display?.text()?.map((row) => row.trimEnd()) ?? [];
  // The script ends with a listing; what follows comes from the keyboard.
  let over = false;
  void ended.finally(() => {
    over = true;
  });
  while (!over && !/^NEW\.TXT \d+\nA>$/m.test(screen().join("\n").trimEnd())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const key of ["KeyV", "KeyE", "KeyR", "Enter"]) await press(machine, key);
  while (!over && !/^A>ver\nLittle DOS 1\.0\nA>$/m.test(screen().join("\n").trimEnd())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const seen = screen();
  for (const key of ["KeyE", "KeyX", "KeyI", "KeyT", "Enter"]) await press(machine, key);
  assert.deepEqual(await ended, { kind: "debug-exit", status: 1 }, seen.join("\n"));
  const rows = seen.filter((row) => row !== "");
  const expected = [
    "A>type hello.txt",
    "File not found",
    "A>type new.txt",
    "Hello from a file.",
    "A>nonsense",
    "Bad command",
    "A>dir",
    /^LITTLE\.SYS \d+$/,
    "BIG.BIN 20000",
    /^COMMANDS\.TXT \d+$/,
    "ONE.BIN 20000",
    "TWO.BIN 20000",
    `NEW.TXT ${HELLO.length}`,
    "A>ver",
    "Little DOS 1.0",
    "A>",
  ];
  const last = rows.slice(-expected.length);
  expected.forEach((row, i) => {
    if (typeof row === "string") assert.equal(last[i], row);
    else assert.match(last[i] ?? "", row);
  });
  await t.test(
    "mtools finds what was written",
    { skip: existsSync(MTOOLS) ? false : "needs the package mtools" },
    async () => {
      const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-dos-"));
      t.after(() => rm(directory, { recursive: true }));
      const image = path.join(directory, "image");
      const bytes = new Uint8Array(device.size);
      await device.read(byteOffset(0), bytes);
      await writeFile(image, bytes);
      for (const name of ["ONE.BIN", "TWO.BIN"]) assert.deepEqual(new Uint8Array(await fileOn(image, name)), big);
      assert.equal((await fileOn(image, "NEW.TXT")).toString(), HELLO);
      await assert.rejects(fileOn(image, "HELLO.TXT"));
      assert.deepEqual(bytes.subarray(512, 10 * 512), bytes.subarray(10 * 512, 19 * 512), "both tables are the same");
    },
  );
}

test("Little DOS works on our BIOS", (t) => session(t, {}));

const OPTIONS = existsSync(SEABIOS) && existsSync(VGA_BIOS) ? {} : { skip: "needs the package seabios" };

test("Little DOS works on SeaBIOS", OPTIONS, (t) => {
  const firmware = { image: new Uint8Array(readFileSync(SEABIOS)), vgaBios: new Uint8Array(readFileSync(VGA_BIOS)) };
  return session(t, { memory: 32 << 20, firmware, display: true });
});
