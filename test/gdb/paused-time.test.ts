/** What happens to a guest's time while a debugger has the machine paused. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Machine } from "../../src/vm/machine.ts";
import { countingKernel } from "./counting-kernel.ts";

const SECOND = 1e9;

test("guest time stands still while the machine is paused", async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-paused-"));
  t.after(() => rm(directory, { recursive: true }));
  const { file } = await countingKernel(directory, { wide: true });
  let now = 0;
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const machine = await Machine.create(
    {
      memory: 32 * 1024 * 1024,
      cpu: "max",
      clock: "real",
      kernel: { image: new Uint8Array(await readFile(file)), commandLine: "" },
      disks: [],
      serial: { write: () => {} },
      debugExit: false,
      noReboot: true,
    },
    {
      monotonic: () => {
        now += 1e6;
        return now;
      },
      unixTime: () => 0,
      random: (target) => target.fill(1),
      yield: turn,
      sleep: () => ({ done: turn(), wake: () => {} }),
    },
  );
  const ended = machine.run();
  const turns = async () => {
    for (let i = 0; i < 5; i++) await turn();
  };
  await turns();
  machine.pause();
  await turns();
  const [before, instructions] = [machine.processor.tsc(), machine.instructions];
  assert.ok(instructions > 0);
  now += 60 * SECOND;
  await turns();
  assert.equal(machine.instructions, instructions);
  machine.resume();
  await turns();
  assert.ok(machine.instructions > instructions);
  const passed = Number(machine.processor.tsc() - before);
  assert.ok(passed > 0 && passed < SECOND, `${passed} ns`);
  machine.stop();
  await ended;
});
