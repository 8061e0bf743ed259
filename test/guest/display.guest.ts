/** Linux on the graphics card: its consoles on text and linear modes, seen as a viewer sees them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { Machine } from "../../src/vm/machine.ts";
import { nodeHost } from "../../src/vm/node/host.ts";
import { catalogueGuest } from "./catalogue-guest.ts";

const TIMEOUT = 900_000;
const LOOK_EVERY = 200;

/** The catalogue's guest `name` with a display, running; undefined where this host cannot make it. */
async function startedGuest(t: TestContext, name: string, commandLine: string): Promise<Machine | undefined> {
  const guest = await catalogueGuest(t, name);
  if (!guest) return undefined;
  const machine = await Machine.create(
    {
      memory: guest.memoryMiB << 20,
      cpu: "max",
      clock: "real",
      kernel: { image: await readFile(guest.kernel), initrd: await readFile(guest.initrd), commandLine },
      disks: [],
      serial: { write: () => {} },
      debugExit: false,
      noReboot: true,
      display: true,
    },
    nodeHost(),
  );
  const ended = machine.run();
  t.after(async () => {
    machine.stop();
    await ended;
  });
  return machine;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + TIMEOUT * 0.9;
  while (!condition()) {
    assert.ok(Date.now() < deadline, `no ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}

test("vgacon shows the kernel's messages and a shell", { timeout: TIMEOUT }, async (t) => {
  const machine = await startedGuest(t, "debian-686", "console=tty0");
  if (!machine) return;
  const seen = new Set<string>();
  const screen = () => {
    const rows = machine.board.display!.text()!.map((row) => row.trimEnd());
    for (const row of rows) seen.add(row);
    return rows;
  };
  await until("prompt", () => screen().some((row) => row.startsWith("root@bunkhouse:~#")));
  assert.equal(screen().length, 25);
  assert.ok(
    [...seen].some((row) => /^\[ +\d+\.\d+\] /.test(row)),
    "messages with their times",
  );
  assert.ok([...seen].some((row) => row.includes("root shell of a BusyBox guest")));
});

test("a linear mode that vga= asks for is the kernel's console", { timeout: TIMEOUT }, async (t) => {
  const machine = await startedGuest(t, "debian-686", "console=tty0 vga=791");
  if (!machine) return;
  const display = machine.board.display!;
  assert.deepEqual(display.size, { width: 1024, height: 768 });
  assert.equal(display.text(), undefined);
  const surface = { width: 1024, height: 768, pixels: new Uint32Array(1024 * 768) };
  const lit = () => {
    display.draw(surface);
    return surface.pixels.reduce((count, pixel) => count + (pixel === 0 ? 0 : 1), 0);
  };
  // Some lines of text; grey on black, as the console begins.
  await until("text", () => lit() > 5_000);
  assert.ok(surface.pixels.some((pixel) => pixel === 0xa8aaa8 || pixel === 0xadaaad || pixel === 0xaaaaaa));
});
