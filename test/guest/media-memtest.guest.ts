/** Memtest86+'s discs, with their own boot sectors: a whole pass over a small memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIRMWARE, MediaMachine, mediumFrom } from "./media-machine.ts";

const DISCS = { ia32: "x32", x64: "x64" } as const;

for (const [architecture, version] of Object.entries(DISCS)) {
  for (const firmware of FIRMWARE) {
    test(`Memtest86+'s disc for ${architecture} passes on ${firmware.name}`, async (t) => {
      const file = await mediumFrom(t, "memtest86+", `usr/lib/memtest86+/memtest86+${architecture}.iso`);
      if (!file) return;
      const options = { memory: "8M", clock: "icount", noReboot: true, cdroms: [{ file }] } as const;
      const machine = await MediaMachine.start(t, firmware, options);
      if (!machine) return;
      const start = await machine.screen(/Memtest86\+ v\d[\s\S]*Pattern: 0x/);
      assert.match(start, /Memory +: +8MB/);
      assert.ok(start.includes(version), start);
      const end = await machine.screen(/Pass: +1 /);
      assert.match(end, /Errors: 0$/m);
      assert.match(end, /#####/, "the banner that there were no errors");
      await machine.keepScreenshot();
      // One key for the banner, the other to end.
      await machine.press("spc");
      await machine.press("esc");
      assert.equal((await machine.vm.ended).kind, "reset");
    });
  }
}
