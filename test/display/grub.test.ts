/** A program uses a guest by its screen, keyboard and nothing else: GRUB's menu and command line. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { ScreenTextError, TypingError, VirtualMachine } from "../../src/vm/index.ts";

const DISC = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso";

test("GRUB is read off its screen and typed on", {
  skip: existsSync(DISC) ? false : "needs the package grub-rescue-pc",
  timeout: 300_000,
}, async () => {
  const vm = await VirtualMachine.create({ memory: "64M", cdroms: [{ file: DISC }] });
  const ended = vm.start();
  try {
    const { groups } = await vm.display.waitForText(/GNU GRUB +version (\S+)/, { timeout: 120_000 });
    assert.match(String(groups[0]), /^\d\.\d+/);
    await vm.display.waitForText("*GNU/Linux  ");
    assert.deepEqual(await vm.display.size(), { width: 720, height: 400 });

    await vm.keyboard.press("down");
    await vm.display.waitForText("*GNU (aka GNU/Hurd)");
    await vm.keyboard.press("c");
    await vm.display.waitForText(/^grub>$/m);
    const text = `"It's {100} % <#~|\\\\>?"`;
    await vm.keyboard.type(`echo ${text}\n`);
    await vm.display.waitForText(/^It's \{100\} % <#~\|\\>\?$/m);
    await assert.rejects(vm.keyboard.type("é"), TypingError);

    const png = Buffer.from(await vm.display.screenshot());
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [720, 400]);
    await assert.rejects(vm.display.waitForText("no such text", { timeout: 200 }), (error) => {
      assert.ok(error instanceof ScreenTextError);
      assert.match(error.screen, /^grub> echo/m);
      return true;
    });
    await vm.keyboard.type("halt\n");
    assert.deepEqual(await ended, { kind: "power-off" });
  } finally {
    await vm.stop();
  }
});
