/** Memtest86+, a program of its own without a system below it, on processors that no Debian kernel runs on any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CpuModel } from "../../src/vm/definition.ts";
import { VirtualMachine } from "../../src/vm/index.ts";
import { packagedFile } from "./packaged-file.ts";

const PATIENCE = { timeout: 900_000 };
const ESCAPE = "\x1b";

/** Each model with what Memtest86+ calls it, and the mode that it uses there to reach memory. */
const MODELS: readonly [CpuModel, string, string | undefined][] = [
  ["pentium", "Pentium ", undefined],
  ["i686", "Pentium II ", "PAE"],
  ["x86-64-v2", "Bunkhouse virtual processor (x86-64-v2)", "LM"],
];

for (const [cpu, name, mode] of MODELS) {
  test(`Memtest86+ finds a ${cpu} with 8 MiB of good memory`, async (t) => {
    const kernel = await packagedFile(t, "memtest86+", "boot/memtest86+ia32.bin");
    if (!kernel) return;
    const vm = await VirtualMachine.create({
      kernel,
      cpu,
      memory: "8M",
      // Memtest86+ measures its clocks against each other, which a busy host would spoil.
      clock: "icount",
      append: "console=ttyS0,115200",
      noReboot: true,
    });
    t.after(() => vm.stop());
    const ended = vm.start();
    await vm.serial.expect(`| ${name}`, PATIENCE);
    const { before: header } = await vm.serial.expect("Pattern:", PATIENCE);
    assert.match(header, /Memory +: +8MB/);
    assert.equal(header.match(/\[(PAE|LM)\]/)?.[1], mode, header);
    // The last of its tests, which would take minutes of waiting.
    const { before: results } = await vm.serial.expect("#10 [Bit fade test, 2 patterns]", PATIENCE);
    assert.match(results, /Errors: 0 /);
    assert.doesNotMatch(results, /Errors: [1-9]/);
    vm.serial.write(ESCAPE);
    assert.equal((await ended).kind, "reset");
  });
}
