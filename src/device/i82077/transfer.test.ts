import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../bits/units.ts";
import { BlockError } from "../../disk/block-device.ts";
import { DMA_VERIFY, FloppyRig, KIB_1440, markOf, settle } from "./testing/node/floppy-rig.ts";

const [READ, WRITE, VERIFY, READ_TRACK, FORMAT, READ_DELETED] = [0x46, 0x45, 0x56, 0x42, 0x4d, 0x4c];
const MT = 0x80;

/** The marks of the sectors that came to memory. */
const marks = (rig: FloppyRig, address: number, sectors: number) =>
  Array.from({ length: sectors }, (_, i) => {
    const sector = rig.memory.bytes.subarray(address + i * 512, address + i * 512 + 512);
    assert.ok(sector.every((byte) => byte === sector[0]));
    return sector[0];
  });

async function sectorOf(rig: Awaited<ReturnType<typeof FloppyRig.with>>, lba: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(512);
  await rig.disk.read(byteOffset(lba * 512), bytes);
  return bytes;
}

test("READ DATA brings sectors by DMA up to terminal count", async () => {
  const rig = await FloppyRig.with();
  rig.seek(5);
  rig.dmaFor("read", 0x8000, 3 * 512);
  const rises = rig.irq.rises;
  rig.transfer(READ, { cylinder: 5, head: 1, sector: 4 });
  assert.equal(rig.in(0x3f4), 0x10, "busy, and nothing for the processor");
  assert.deepEqual(await rig.result(), [0x04, 0, 0, 5, 1, 7, 2]);
  assert.equal(rig.irq.rises, rises + 1);
  assert.equal(rig.irq.level, false, "the first byte of the result takes the interrupt back");
  const first = (5 * 2 + 1) * 18 + 3;
  assert.deepEqual(marks(rig, 0x8000, 3), [markOf(first), markOf(first + 1), markOf(first + 2)]);
});

test("with multi-track a whole cylinder comes, head 1 after head 0", async () => {
  const rig = await FloppyRig.with();
  rig.seek(79);
  rig.dmaFor("read", 0x1_0000, 36 * 512);
  rig.transfer(READ | MT, { cylinder: 79 });
  assert.deepEqual(await rig.result(), [0x00, 0, 0, 80, 0, 1, 2]);
  assert.deepEqual(
    marks(rig, 0x1_0000, 36),
    Array.from({ length: 36 }, (_, i) => markOf(79 * 36 + i)),
  );
});

test("without terminal count a transfer ends with the cylinder, abnormally", async () => {
  const rig = await FloppyRig.with();
  rig.dmaFor("read", 0x1_0000, 0x8000);
  rig.transfer(READ, { sector: 17 });
  assert.deepEqual(await rig.result(), [0x40, 0x80, 0, 1, 0, 1, 2]);
  assert.deepEqual(marks(rig, 0x1_0000, 2), [markOf(16), markOf(17)]);
});

test("WRITE DATA stores sectors, the rest of a half one as zeros", async () => {
  const rig = await FloppyRig.with();
  rig.memory.bytes.fill(0xaa, 0x2000, 0x2400);
  rig.dmaFor("write", 0x2000, 512 + 100);
  rig.transfer(WRITE | MT, { head: 0, sector: 18 });
  assert.deepEqual(await rig.result(), [0x04, 0, 0, 0, 1, 2, 2]);
  assert.ok((await sectorOf(rig, 17)).every((byte) => byte === 0xaa));
  const half = await sectorOf(rig, 18);
  assert.deepEqual([half[99], half[100], half[511]], [0xaa, 0, 0]);
  assert.equal((await sectorOf(rig, 19))[0], markOf(19));
});

test("a write-protected disk is not written to, nor formatted", async () => {
  const rig = await FloppyRig.with(KIB_1440, { readOnly: true });
  rig.dmaFor("write", 0x2000, 512);
  rig.transfer(WRITE);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x40, 0x02, 0]);
  rig.command(FORMAT, 0, 2, 18, 0x6c, 0xf6);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x40, 0x02, 0]);
});

test("sectors that are not on the track are not found", async () => {
  const rig = await FloppyRig.with();
  for (const [where, st1, st2] of [
    [{ sector: 19, last: 19 }, 0x04, 0],
    [{ sector: 0 }, 0x04, 0],
    [{ cylinder: 1 }, 0x04, 0x10],
    [{ sizeCode: 3 }, 0x04, 0],
    [{ head: 1, unit: 0 }, 0x04, 0],
  ] as const) {
    rig.dmaFor("read", 0x2000, 512);
    rig.transfer(READ, where);
    assert.deepEqual((await rig.result()).slice(1, 3), [st1, st2], JSON.stringify(where));
  }
  rig.dmaFor("read", 0x2000, 4096);
  rig.transfer(READ, { sector: 18, last: 20 });
  assert.deepEqual(await rig.result(), [0x40, 0x04, 0, 0, 0, 19, 2]);
});

test("without motor, disk, density or data rate there is no address mark", async () => {
  const missing = async (prepare: (rig: FloppyRig) => unknown, code = READ) => {
    const rig = await FloppyRig.with();
    await prepare(rig);
    rig.dmaFor("read", 0x2000, 512);
    rig.transfer(code);
    assert.deepEqual((await rig.result()).slice(0, 3), [0x40, 0x01, 0]);
  };
  await missing((rig) => rig.out(0x3f2, 0x0c));
  await missing((rig) => rig.fdc.changeMedium(0, undefined));
  await missing((rig) => rig.out(0x3f7, 1));
  await missing(() => {}, READ & ~0x40);
});

test("a 2.88 MB disk comes at 1 Mb/s", async () => {
  const rig = await FloppyRig.with(2 * KIB_1440, { type: "2.88M", rate: 3 });
  rig.dmaFor("read", 0x2000, 512);
  rig.out(0x3f7, 0);
  rig.transfer(READ, { sector: 36, last: 36 });
  assert.deepEqual((await rig.result()).slice(0, 2), [0x40, 0x01]);
  rig.out(0x3f7, 3);
  rig.transfer(READ, { sector: 36, last: 36 });
  assert.deepEqual(await rig.result(), [0, 0, 0, 1, 0, 1, 2]);
  assert.deepEqual(marks(rig, 0x2000, 1), [markOf(35)]);
});

test("without DMA the processor moves each byte, told by interrupts", async () => {
  const rig = await FloppyRig.with();
  rig.command(0x03, 0xdf, 0x03);
  const rises = rig.irq.rises;
  rig.transfer(READ, { sector: 18 });
  await settle();
  const read: number[] = [];
  while ((rig.in(0x3f4) & 0xe0) === 0xe0) {
    assert.equal(rig.irq.level, true);
    read.push(rig.in(0x3f5));
  }
  assert.equal(rig.irq.rises, rises + 513, "one for each byte without the FIFO, and one for the result");
  assert.deepEqual(read, new Array(512).fill(markOf(17)));
  assert.deepEqual(await rig.result(), [0x40, 0x80, 0, 1, 0, 1, 2]);

  rig.command(0x13, 0, 0x00, 0);
  rig.transfer(WRITE, { sector: 18 });
  let written = 0;
  while ((rig.in(0x3f4) & 0xe0) === 0xa0) {
    rig.out(0x3f5, written & 0xff);
    written++;
  }
  assert.equal(written, 512);
  assert.deepEqual((await rig.result()).slice(0, 2), [0x40, 0x80]);
  const bytes = await sectorOf(rig, 17);
  assert.deepEqual([bytes[0], bytes[1], bytes[511]], [0, 1, 0xff]);
});

test("VERIFY reads without moving data, and a DMA verify goes through READ DATA", async () => {
  const rig = await FloppyRig.with();
  rig.transfer(VERIFY);
  assert.deepEqual(await rig.result(), [0, 0, 0, 1, 0, 1, 2]);
  rig.transfer(VERIFY | MT, { unit: 0x80, length: 20 });
  assert.deepEqual(await rig.result(), [0x04, 0, 0, 0, 1, 3, 2]);
  rig.dmaFor(DMA_VERIFY, 0x3000, 1024);
  rig.transfer(READ);
  assert.deepEqual(await rig.result(), [0, 0, 0, 0, 0, 3, 2]);
  assert.equal(rig.memory.bytes[0x3000], 0);
});

test("READ TRACK starts at the first sector, whatever was asked for", async () => {
  const rig = await FloppyRig.with();
  rig.dmaFor("read", 0x4000, 2 * 512);
  rig.transfer(READ_TRACK, { sector: 9 });
  assert.deepEqual((await rig.result()).slice(0, 3), [0, 0, 0]);
  assert.deepEqual(marks(rig, 0x4000, 2), [markOf(0), markOf(1)]);
});

test("no sector has a deleted mark: asked for one, the chip tells that it found others", async () => {
  const rig = await FloppyRig.with();
  rig.dmaFor("read", 0x4000, 2 * 512);
  rig.transfer(READ_DELETED);
  assert.deepEqual((await rig.result()).slice(0, 3), [0, 0, 0x40]);
  assert.deepEqual(marks(rig, 0x4000, 1), [markOf(0)]);
});

test("FORMAT TRACK fills the sectors that it is given the IDs of", async () => {
  const rig = await FloppyRig.with();
  rig.seek(2);
  for (let sector = 1; sector <= 18; sector++) rig.memory.bytes.set([2, 1, sector, 2], 0x5000 + (sector - 1) * 4);
  rig.dmaFor("write", 0x5000, 18 * 4);
  rig.command(FORMAT, 0x04, 2, 18, 0x6c, 0xf6);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x04, 0, 0]);
  const first = (2 * 2 + 1) * 18;
  for (let sector = 0; sector < 18; sector++) {
    assert.ok((await sectorOf(rig, first + sector)).every((byte) => byte === 0xf6));
  }
  assert.equal((await sectorOf(rig, first - 1))[0], markOf(first - 1));
  assert.equal((await sectorOf(rig, first + 18))[0], markOf(first + 18));
  // The image has no room for another format.
  rig.memory.bytes[0x5000 + 2] = 40;
  rig.dmaFor("write", 0x5000, 18 * 4);
  rig.command(FORMAT, 0x04, 2, 18, 0x6c, 0xf6);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x44, 0x04, 0]);
});

test("implied seeks move the head to the cylinder of the command", async () => {
  const rig = await FloppyRig.with();
  rig.command(0x13, 0, 0x60, 0);
  rig.dmaFor("read", 0x4000, 512);
  rig.transfer(READ, { cylinder: 40 });
  assert.deepEqual((await rig.result()).slice(0, 4), [0, 0, 0, 40]);
  assert.deepEqual(marks(rig, 0x4000, 1), [markOf(40 * 36)]);
});

test("a channel in the wrong direction overruns", async () => {
  const rig = await FloppyRig.with();
  rig.dmaFor("write", 0x4000, 512);
  rig.transfer(READ);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x40, 0x10, 0]);
});

test("a transfer waits for its channel", async () => {
  const rig = await FloppyRig.with();
  rig.transfer(READ);
  await settle();
  assert.equal(rig.in(0x3f4), 0x10);
  rig.dmaFor("read", 0x4000, 512);
  assert.deepEqual(await rig.result(), [0, 0, 0, 0, 0, 2, 2]);
});

test("a failure of the host's storage is a data error", async () => {
  const rig = await FloppyRig.with();
  rig.disk.read = async () => {
    throw new BlockError("io", "broken");
  };
  rig.dmaFor("read", 0x4000, 512);
  rig.transfer(READ);
  assert.deepEqual((await rig.result()).slice(0, 3), [0x40, 0x20, 0x20]);
  assert.equal(rig.errors[0]?.message, "broken");
});

test("a reset drops a transfer, and what it would have brought", async () => {
  const rig = await FloppyRig.with();
  rig.dmaFor("read", 0x4000, 512);
  rig.transfer(READ);
  rig.start();
  await settle();
  assert.equal(rig.memory.bytes[0x4000], 0);
  rig.transfer(READ, { sector: 2 });
  assert.deepEqual(await rig.result(), [0, 0, 0, 0, 0, 3, 2]);
  assert.deepEqual(marks(rig, 0x4000, 1), [markOf(1)]);
});
