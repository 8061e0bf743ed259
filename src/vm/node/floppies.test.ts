import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { type FloppyMachine, openFloppies } from "./floppies.ts";

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-floppies-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function imageOf(directory: string, name: string, kib: number): Promise<string> {
  const file = path.join(directory, name);
  await writeFile(file, new Uint8Array(kib * 1024));
  return file;
}

const plain = (file: string) => ({ file, readOnly: false, snapshot: false });

test("a drive has the type that its disk needs, an empty one 1.44 MB, unless told otherwise", async (t) => {
  const directory = await directoryFor(t);
  const types = async (...options: Parameters<typeof openFloppies>[0]) => {
    const floppies = await openFloppies(options);
    t.after(() => floppies.close());
    return floppies.drives.map(({ type, device }) => `${type} ${device ? device.size / 1024 : "empty"}`);
  };
  const disk = await imageOf(directory, "360", 360);
  assert.deepEqual(await types({ disk: plain(disk) }, {}), ["1.2M 360", "1.44M empty"]);
  const other = await imageOf(directory, "1440", 1440);
  assert.deepEqual(await types({ disk: plain(other), type: "2.88M" }, { type: "720K" }), ["2.88M 1440", "720K empty"]);
});

test("images that are no floppy disks, and disks that a drive does not take, are refused", async (t) => {
  const directory = await directoryFor(t);
  const odd = await imageOf(directory, "odd", 1000);
  await assert.rejects(openFloppies([{ disk: plain(odd) }]), {
    name: "BlockError",
    message:
      /odd: no floppy disk has 1024000 bytes; KiB may be 160, 180, .*2880; to fill it up: truncate -s 1440K .*odd$/,
  });
  const longer = await imageOf(directory, "longer", 3000);
  await assert.rejects(openFloppies([{ disk: plain(longer) }]), /longer: no floppy disk has .*2880$/);
  const large = await imageOf(directory, "large", 2880);
  await assert.rejects(
    openFloppies([{ disk: plain(large), type: "1.44M" }]),
    /large: a drive for 1\.44M takes no such disk; use type=2\.88M/,
  );
  // What was opened before is closed again.
  await assert.rejects(openFloppies([{ disk: plain(large) }, { disk: plain(odd) }]));
  const floppies = await openFloppies([{ disk: plain(large) }]);
  await floppies.close();
});

test("a disk that is changed is closed, and stays where the other one cannot be opened", async (t) => {
  const directory = await directoryFor(t);
  const [first, second] = [await imageOf(directory, "first", 1440), await imageOf(directory, "second", 720)];
  const floppies = await openFloppies([{ disk: plain(first) }]);
  t.after(() => floppies.close());
  const changes: (number | undefined)[] = [];
  const machine: FloppyMachine = { changeFloppy: async (_drive, device) => void changes.push(device?.size) };
  await floppies.drives[0]?.device?.write(byteOffset(0), Uint8Array.of(1, 2, 3));
  await floppies.change(machine, 0, plain(second));
  assert.deepEqual([...(await readFile(first)).subarray(0, 3)], [1, 2, 3]);
  await assert.rejects(floppies.change(machine, 0, plain(path.join(directory, "nowhere"))), /nowhere/);
  await assert.rejects(floppies.change(machine, 1, undefined), /no floppy drive 1/);
  assert.equal(floppies.drives[0]?.device?.size, 720 * 1024);
  // The first one is free again.
  await floppies.change(machine, 0, plain(first));
  await floppies.change(machine, 0, undefined);
  assert.deepEqual(changes, [720 * 1024, 1440 * 1024, undefined]);
});

test("what is written to a snapshot of a disk is dropped", async (t) => {
  const directory = await directoryFor(t);
  const file = await imageOf(directory, "disk", 1440);
  const floppies = await openFloppies([{ disk: { file, readOnly: false, snapshot: true } }]);
  const device = floppies.drives[0]?.device;
  await device?.write(byteOffset(0), Uint8Array.of(9));
  const read = new Uint8Array(1);
  await device?.read(byteOffset(0), read);
  assert.equal(read[0], 9);
  await floppies.close();
  assert.equal((await readFile(file))[0], 0);
});
