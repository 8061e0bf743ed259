import assert from "node:assert/strict";
import { test } from "node:test";
import { driveTypeFor, mediumFor } from "./medium.ts";
import { FloppyRig, KIB_1440, markOf, numberedDisk, settle } from "./testing/node/floppy-rig.ts";

test("leaving reset interrupts, and four sensed interrupts tell of polling", () => {
  const rig = new FloppyRig([{ type: "1.44M" }]);
  assert.equal(rig.in(0x3f4), 0, "in reset");
  rig.out(0x3f2, 0x0c);
  rig.time.advance(1e6);
  assert.equal(rig.irq.level, true);
  for (let drive = 0; drive < 4; drive++) {
    rig.command(0x08);
    assert.deepEqual(rig.results(2), [0xc0 | drive, 0]);
    assert.equal(rig.irq.level, false);
  }
  rig.command(0x08);
  assert.deepEqual(rig.results(1), [0x80], "nothing is left to be sensed");
});

test("without the gate of the digital output register no interrupt comes through", () => {
  const rig = new FloppyRig([{ type: "1.44M" }]);
  rig.out(0x3f2, 0x04);
  rig.time.advance(1e6);
  assert.equal(rig.irq.level, false);
  rig.out(0x3f2, 0x0c);
  assert.equal(rig.irq.level, true);
});

test("the chip is an 82077AA: version, lock and perpendicular mode are there, an 82078's part ID is not", async () => {
  const rig = await FloppyRig.with();
  rig.command(0x10);
  assert.deepEqual(rig.results(1), [0x90]);
  rig.command(0x18);
  assert.deepEqual(rig.results(1), [0x80]);
  rig.command(0x94);
  assert.deepEqual(rig.results(1), [0x10]);
  rig.command(0x14);
  assert.deepEqual(rig.results(1), [0x00]);
});

test("DUMPREG shows what was set; LOCK keeps the FIFO's setting through a software reset", async () => {
  const rig = await FloppyRig.with();
  rig.seek(7);
  rig.command(0x13, 0, 0x5a, 0x21);
  rig.command(0x12, 0x80 | 0x04 | 0x03);
  const dump = () => {
    rig.command(0x0e);
    return rig.results(10);
  };
  assert.deepEqual(dump(), [7, 0, 0, 0, 0xdf, 0x02, 0, 0x07, 0x5a, 0x21]);
  rig.command(0x94);
  rig.results(1);
  rig.out(0x3f4, 0x80);
  assert.deepEqual(dump().slice(7), [0x84, 0x0a, 0x21]);
  rig.command(0x14);
  rig.results(1);
  rig.out(0x3f4, 0x80);
  assert.deepEqual(dump().slice(7), [0x04, 0x20, 0]);
});

test("seeks tell their end by an interrupt each, and the status register which drives are on their way", () => {
  const rig = new FloppyRig([{ type: "1.44M" }, { type: "1.2M" }]);
  rig.start();
  rig.command(0x0f, 0, 10);
  rig.command(0x0f, 1, 20);
  assert.equal(rig.in(0x3f4), 0x83);
  rig.time.advance(1e6);
  assert.equal(rig.in(0x3f4), 0x80);
  assert.equal(rig.irq.level, true);
  const rises = rig.irq.rises;
  rig.command(0x08);
  assert.equal(rig.irq.rises, rises + 1, "another edge for the other drive");
  assert.deepEqual(rig.results(2), [0x20, 10]);
  rig.command(0x08);
  assert.deepEqual(rig.results(2), [0x21, 20]);
  assert.equal(rig.irq.level, false);
});

test("relative seeks go from where the head is, recalibrating to cylinder 0", () => {
  const rig = new FloppyRig([{ type: "1.44M" }]);
  rig.start();
  for (const [bytes, cylinder] of [
    [[0xcf, 0, 12], 12],
    [[0x8f, 0, 2], 10],
    [[0x8f, 0, 200], 0],
    [[0xcf, 0, 200], 83],
  ] as const) {
    rig.command(...bytes);
    rig.time.advance(1e6);
    rig.command(0x08);
    assert.deepEqual(rig.results(2), [0x20, cylinder]);
  }
  rig.command(0x07, 0);
  rig.time.advance(1e6);
  rig.command(0x08);
  assert.deepEqual(rig.results(2), [0x70, 4], "79 steps were not enough");
  rig.command(0x07, 0);
  rig.time.advance(1e6);
  rig.command(0x08);
  assert.deepEqual(rig.results(2), [0x20, 0]);
});

test("a drive that is not there does not find its track 0", () => {
  const rig = new FloppyRig([{ type: "1.44M" }]);
  rig.start();
  rig.command(0x07, 1);
  rig.time.advance(1e6);
  rig.command(0x08);
  assert.deepEqual(rig.results(2), [0x71, 0]);
});

test("SENSE DRIVE STATUS tells track 0 and write protection", async () => {
  const writable = await FloppyRig.with();
  writable.command(0x04, 0x04);
  assert.deepEqual(writable.results(1), [0x3c]);
  writable.seek(5);
  writable.command(0x04, 0x00);
  assert.deepEqual(writable.results(1), [0x28]);
  const readOnly = await FloppyRig.with(KIB_1440, { readOnly: true });
  readOnly.command(0x04, 0x00);
  assert.deepEqual(readOnly.results(1), [0x78]);
});

test("the disk change line falls with a step once a disk is in, and rises when it is taken out", async () => {
  const rig = await FloppyRig.with();
  const changed = () => (rig.in(0x3f7) & 0x80) !== 0;
  assert.equal(changed(), true, "after power-on");
  rig.seek(0);
  assert.equal(changed(), true, "no step was made");
  rig.seek(1);
  assert.equal(changed(), false);
  await rig.fdc.changeMedium(0, undefined);
  assert.equal(changed(), true);
  rig.seek(2);
  assert.equal(changed(), true, "there is no disk");
  const { disk } = numberedDisk(720 * 1024);
  await rig.fdc.changeMedium(0, mediumFor(disk, "1.44M"));
  assert.equal(changed(), true);
  rig.seek(1);
  assert.equal(changed(), false);
});

test("READ ID gives the headers as they come round, and nothing at another data rate", async () => {
  const rig = await FloppyRig.with();
  rig.seek(3);
  const seen = new Set<number>();
  for (let i = 0; i < 36; i++) {
    rig.command(0x4a, 0x04);
    assert.equal(rig.in(0x3f4), 0x10, "busy");
    rig.time.advance(12e6);
    assert.equal(rig.irq.level, true);
    const [st0, st1, st2, cylinder, head, sector, size] = rig.results(7);
    assert.deepEqual([st0, st1, st2, cylinder, head, size], [0x04, 0, 0, 3, 1, 2]);
    seen.add(sector as number);
  }
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    Array.from({ length: 18 }, (_, i) => i + 1),
  );
  rig.out(0x3f7, 2);
  rig.command(0x4a, 0x00);
  rig.time.advance(12e6);
  assert.deepEqual(rig.results(7).slice(0, 2), [0x40, 0x01]);
});

test("each size of image has its drive, and each drive the disks that it takes", () => {
  const sizes = { "360": "1.2M", "720": "1.44M", "1200": "1.2M", "1440": "1.44M", "2880": "2.88M" } as const;
  for (const [kib, type] of Object.entries(sizes)) assert.equal(driveTypeFor(Number(kib) * 1024), type);
  assert.equal(driveTypeFor(1000), undefined);
  const rate = (kib: number, type: Parameters<typeof mediumFor>[1]) =>
    mediumFor(numberedDisk(kib * 1024).disk, type)?.rate;
  assert.deepEqual([rate(360, "360K"), rate(360, "1.2M"), rate(360, "1.44M")], [250, 300, undefined]);
  assert.deepEqual([rate(720, "2.88M"), rate(1440, "2.88M"), rate(2880, "2.88M")], [250, 500, 1000]);
  assert.equal(rate(2880, "1.44M"), undefined);
});

test("stopping the motor puts what was written on stable storage", async () => {
  const rig = await FloppyRig.with();
  let flushes = 0;
  const flush = rig.disk.flush.bind(rig.disk);
  rig.disk.flush = () => {
    flushes++;
    return flush();
  };
  rig.out(0x3f2, 0x0c);
  await settle();
  assert.equal(flushes, 0, "nothing was written");
  rig.out(0x3f2, 0x1c);
  rig.memory.bytes.fill(0x55, 0x1000, 0x1200);
  rig.dmaFor("write", 0x1000, 512);
  rig.transfer(0x45);
  assert.deepEqual((await rig.result()).slice(0, 3), [0, 0, 0]);
  rig.out(0x3f2, 0x0c);
  await settle();
  assert.equal(flushes, 1);
});

test("a controller that goes on from a snapshot finishes what it was at", async () => {
  const before = await FloppyRig.with();
  before.dmaFor("read", 0x4000, 1024);
  before.transfer(0x46, { sector: 3 });
  const after = await FloppyRig.with();
  Object.assign(after.fdc.state, structuredClone(before.fdc.state));
  Object.assign(after.dma.state, structuredClone(before.dma.state));
  after.fdc.restored();
  assert.deepEqual(await after.result(), [0, 0, 0, 0, 0, 5, 2]);
  assert.equal(after.memory.bytes[0x4000], markOf(2));
  assert.equal(after.memory.bytes[0x43ff], markOf(3));
});
