import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockError } from "../../disk/block-device.ts";
import { ImmediateWork } from "../../machine/testing/rig.ts";
import { Command } from "../ata/registers.ts";
import { Mmc } from "../scsi/cdrom-layout.ts";
import { settle } from "../scsi/testing/test-disc.ts";
import { IDETIM } from "./piix-ide.ts";
import { BLOCK, Driver, ideRig } from "./testing/ide-rig.ts";

const SECTOR = 512;
const READY = 0x50;
const ERR = 0x01;
const ABRT = 0x04;
const IDNF = 0x10;
const sector = () => SECTOR;

function diskRig(options: Parameters<typeof ideRig>[0] = {}) {
  const rig = ideRig(options);
  return { ...rig, driver: new Driver(rig, 0) };
}

/** A CD drive whose attention of the power-on is taken. */
async function cdRig() {
  const rig = ideRig();
  const driver = new Driver(rig, 1);
  await driver.packet([Mmc.testUnitReady]);
  assert.equal(await driver.ready(), READY | ERR);
  return { ...rig, driver };
}

const word = (data: Uint8Array, index: number) => data[2 * index]! | (data[2 * index + 1]! << 8);
const text = (data: Uint8Array, index: number, length: number) =>
  Array.from({ length }, (_, i) => String.fromCharCode(data[(2 * index + i) ^ 1]!)).join("");

test("channels are at the legacy ports once the function decodes them", () => {
  const { ports, ide } = ideRig();
  assert.equal(ports.read(BLOCK[0] + 7, 1), READY);
  ide.pci.writeConfig(IDETIM, 2, 0);
  assert.equal(ports.read(BLOCK[0] + 7, 1), 0xff);
  assert.equal(ports.read(BLOCK[1] + 7, 1), 0);
  ide.pci.writeConfig(0x04, 2, 0);
  assert.equal(ports.read(BLOCK[1] + 7, 1), 0xff);
});

test("a reset shows which drives are there", () => {
  const rig = ideRig();
  for (const [channel, signature] of [
    [0, [1, 1, 1, 0, 0, 0xa0]],
    [1, [1, 1, 1, 0x14, 0xeb, 0xa0]],
  ] as const) {
    const driver = new Driver(rig, channel);
    driver.writeControl(4);
    assert.equal(driver.status, 0x80);
    driver.writeControl(0);
    assert.deepEqual(driver.registers, signature);
    driver.write(6, 0xb0);
    assert.deepEqual([driver.status, driver.read(2)], [0, 0]);
  }
});

test("IDENTIFY DEVICE describes the disk", async () => {
  const { driver, irqs } = diskRig();
  driver.command(Command.identifyDevice);
  await settle();
  assert.equal(irqs[0].level, true);
  const { data, status } = await driver.receive(sector);
  assert.equal(irqs[0].level, false);
  assert.equal(status, READY);
  assert.equal(data.length, 512);
  assert.equal(text(data, 10, 20).trim(), "DISK-1");
  assert.equal(text(data, 27, 40).trim(), "BUNKHOUSE DISK");
  assert.equal(word(data, 60) + word(data, 61) * 65536, 20_000);
  assert.equal(word(data, 100), 20_000);
  assert.deepEqual([word(data, 1), word(data, 3), word(data, 6)], [Math.floor(20_000 / 1008), 16, 63]);
  assert.equal(data.reduce((sum, byte) => sum + byte, 0) & 0xff, 0);
});

test("sectors are read by PIO with an interrupt for each block, by LBA, 48 bits, or CHS", async () => {
  const { driver, irqs, disk } = diskRig();
  driver.command(Command.readSectors, { count: 3, lba: 7 });
  const { data, blocks } = await driver.receive(sector);
  assert.deepEqual(data, disk.content.slice(7 * SECTOR, 10 * SECTOR));
  assert.equal(blocks.length, 3);
  assert.equal(irqs[0].rises, 3);
  driver.extended(Command.readSectorsExt, { count: 1, lba: 19_999 });
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(19_999 * SECTOR));
  // Cylinder 2, head 3, sector 4 of 16 heads and 63 sectors.
  driver.command(Command.readSectors, { count: 1, lba: (2 << 8) | 4, device: 0xa3 });
  const lba = (2 * 16 + 3) * 63 + 3;
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(lba * SECTOR, (lba + 1) * SECTOR));
  driver.command(Command.initializeParameters, { count: 17, device: 0xa3 });
  assert.equal(await driver.ready(), READY);
  driver.command(Command.readSectors, { count: 1, lba: (2 << 8) | 4, device: 0xa3 });
  const other = (2 * 4 + 3) * 17 + 3;
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(other * SECTOR, (other + 1) * SECTOR));
});

test("a count of zero is 256 sectors, and READ MULTIPLE interrupts once for its blocks", async () => {
  const { driver, irqs, disk } = diskRig();
  driver.command(Command.setMultipleMode, { count: 8 });
  await driver.ready();
  const before = irqs[0].rises;
  driver.command(Command.readMultiple, { count: 0, lba: 100 });
  let left = 256;
  const { data, blocks } = await driver.receive(() => {
    const count = Math.min(left, 8);
    left -= count;
    return count * SECTOR;
  });
  assert.deepEqual(data, disk.content.slice(100 * SECTOR, 356 * SECTOR));
  assert.equal(blocks.length, 32);
  assert.equal(irqs[0].rises - before, 32);
  driver.command(Command.setMultipleMode, { count: 3 });
  assert.equal((await driver.ready()) & ERR, ERR);
});

test("sectors are written by PIO, and the end interrupts", async () => {
  const { driver, irqs, disk } = diskRig();
  const data = Uint8Array.from({ length: 2 * SECTOR }, (_, i) => i * 7);
  driver.command(Command.writeSectors, { count: 2, lba: 50 });
  assert.equal(driver.status, READY | 0x08);
  assert.equal(irqs[0].rises, 0);
  driver.transmit(data.subarray(0, SECTOR));
  assert.equal(irqs[0].rises, 1);
  await driver.ready();
  driver.transmit(data.subarray(SECTOR));
  assert.equal(await driver.ready(), READY);
  assert.equal(irqs[0].rises, 2);
  assert.deepEqual(disk.bytes.slice(50 * SECTOR, 52 * SECTOR), data);
});

test("DMA brings sectors to the regions of the table", async () => {
  const { driver, irqs, disk, ram } = diskRig();
  driver.extended(Command.readDmaExt, { count: 200, lba: 1000 });
  driver.startDma(true, 0x1000, [0x2_0000, 0], [0x8_0000, 200 * SECTOR - 65536 - 512], [0x7000, 512]);
  assert.equal(await driver.ready(), READY);
  // Interrupt, and not active any more.
  assert.equal(driver.stopDma() & 0x07, 0x04);
  assert.equal(irqs[0].rises, 1);
  const expected = disk.content.slice(1000 * SECTOR, 1200 * SECTOR);
  assert.deepEqual(ram.bytes.slice(0x2_0000, 0x3_0000), expected.slice(0, 65536));
  assert.deepEqual(ram.bytes.slice(0x8_0000, 0x8_0000 + 200 * SECTOR - 66048), expected.slice(65536, -512));
  assert.deepEqual(ram.bytes.slice(0x7000, 0x7200), expected.slice(-512));
});

test("DMA takes sectors from memory, and may be started before the command", async () => {
  const { driver, disk, ram } = diskRig();
  ram.bytes.fill(0xa5, 0x5000, 0x5000 + 4 * SECTOR);
  driver.startDma(false, 0x1000, [0x5000, 4 * SECTOR]);
  driver.command(Command.writeDma, { count: 4, lba: 9 });
  assert.equal(await driver.ready(), READY);
  assert.deepEqual(disk.bytes.slice(9 * SECTOR, 13 * SECTOR), new Uint8Array(4 * SECTOR).fill(0xa5));
});

test("a table with too much room leaves the bus master active, one with too little the drive busy", async () => {
  const { driver } = diskRig();
  driver.command(Command.readDma, { count: 1, lba: 0 });
  driver.startDma(true, 0x1000, [0x5000, 2 * SECTOR]);
  assert.equal(await driver.ready(), READY);
  assert.equal(driver.stopDma() & 0x07, 0x05);
  driver.command(Command.readDma, { count: 3, lba: 0 });
  driver.startDma(true, 0x1000, [0x5000, SECTOR]);
  assert.equal((await driver.ready()) & 0x80, 0x80);
  assert.equal(driver.stopDma() & 0x07, 0);
  driver.writeControl(4);
  driver.writeControl(0);
  assert.equal(driver.status, READY);
});

test("descriptors and regions outside of memory are errors of the bus master that abort the command", async () => {
  const { driver } = diskRig();
  driver.command(Command.readDma, { count: 1, lba: 0 });
  driver.startDma(true, 0x1000, [0xfff0_0000, SECTOR]);
  assert.equal((await driver.ready()) & ERR, ERR);
  assert.equal(driver.stopDma() & 0x07, 0x06);
});

test("addresses outside of the disk are not found, and unknown commands are aborted", async () => {
  const { driver, disk } = diskRig();
  for (const [lba, count] of [
    [20_000, 1],
    [19_999, 2],
    [0xfff_ffff, 1],
  ] as const) {
    driver.command(Command.readSectors, { count, lba });
    assert.equal(await driver.ready(), READY | ERR);
    assert.equal(driver.read(1), IDNF);
  }
  driver.extended(Command.readDmaExt, { count: 1, lba: 2 ** 47 });
  assert.equal(await driver.ready(), READY | ERR);
  // CHS with sector 0.
  driver.command(Command.readSectors, { count: 1, lba: 0, device: 0xa0 });
  assert.equal(await driver.ready(), READY | ERR);
  // SMART, READ NATIVE MAX, SECURITY SET PASSWORD, PACKET, queued reading, which PATA has not.
  for (const command of [0xb0, 0xf8, 0xf1, Command.packet, Command.readFpdmaQueued, Command.nop]) {
    driver.command(command);
    assert.equal(await driver.ready(), READY | ERR);
    assert.equal(driver.read(1), ABRT);
  }
  assert.deepEqual(disk.calls, []);
});

test("the cache is flushed on request, and writes are stable at once without it or with FUA", async () => {
  const { driver, disk, ram } = diskRig();
  const write = async (command: number) => {
    driver.extended(command, { count: 1, lba: 0 });
    driver.startDma(false, 0x1000, [0x5000, SECTOR]);
    assert.equal(await driver.ready(), READY);
    driver.stopDma();
  };
  ram.bytes.fill(1);
  driver.command(Command.flushCache);
  assert.equal(await driver.ready(), READY);
  await write(Command.writeDmaExt);
  await write(Command.writeDmaFuaExt);
  driver.command(Command.setFeatures, { features: 0x82 });
  await driver.ready();
  await write(Command.writeDmaExt);
  assert.deepEqual(disk.calls, ["flush", "write 0+512", "write 0+512", "flush", "write 0+512", "flush"]);
});

test("TRIM gives up the ranges that its data name, or nothing", async () => {
  const { driver, disk, ram } = diskRig();
  const trim = async (...ranges: [lba: number, count: number][]) => {
    const view = new DataView(ram.bytes.buffer);
    ram.bytes.fill(0, 0x5000, 0x5200);
    for (const [index, [lba, count]] of ranges.entries()) {
      view.setUint32(0x5000 + 8 * index, lba, true);
      view.setUint16(0x5000 + 8 * index + 6, count, true);
    }
    driver.extended(Command.dataSetManagement, { features: 1, count: 1 });
    driver.startDma(false, 0x1000, [0x5000, SECTOR]);
    const status = await driver.ready();
    driver.stopDma();
    return status;
  };
  assert.equal(await trim([8, 16], [0, 0], [100, 1]), READY);
  assert.deepEqual(disk.calls, ["discard 4096+8192", "discard 51200+512"]);
  assert.equal(await trim([0, 1], [19_999, 2]), READY | ERR);
  assert.equal(disk.calls.length, 2);
});

test("a disk that the host opened for reading aborts writes", async () => {
  const { driver } = diskRig({ readOnly: true });
  driver.command(Command.writeSectors, { count: 1, lba: 0 });
  assert.equal(await driver.ready(), READY | ERR);
  assert.equal(driver.read(1), ABRT);
});

test("an error of the host's storage is an error at the sector where it happened, and an event", async () => {
  const { driver, disk, errors } = diskRig();
  disk.failure = new BlockError("io", "broken");
  driver.command(Command.readSectors, { count: 4, lba: 0x12_3456 % 20_000 });
  assert.equal(await driver.ready(), READY | ERR);
  assert.equal(driver.read(1), 0x40);
  const lba = driver.read(3) | (driver.read(4) << 8) | (driver.read(5) << 16);
  assert.equal(lba, 0x12_3456 % 20_000);
  assert.deepEqual(errors, [disk.failure]);
});

test("what the host has at hand is there at once, by PIO and by DMA, and the rest is waited for", async () => {
  const { driver, disk, ram } = diskRig({ work: Object.assign(new ImmediateWork(), { immediate: true }) });
  let turn = 0;
  disk.readsNow = () => turn++ % 2 === 0;
  driver.command(Command.readSectors, { count: 1, lba: 3 });
  assert.equal(driver.status, READY | 0x08);
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(3 * SECTOR, 4 * SECTOR));
  for (const lba of [5, 6]) {
    driver.command(Command.readDma, { count: 1, lba });
    driver.startDma(true, 0x1000, [0x5000, SECTOR]);
    assert.equal(driver.status, lba === 6 ? READY : 0x80);
    assert.equal(await driver.ready(), READY);
    assert.equal(driver.stopDma() & 0x07, 0x04);
    assert.deepEqual(ram.bytes.slice(0x5000, 0x5200), disk.content.slice(lba * SECTOR, (lba + 1) * SECTOR));
  }
  assert.deepEqual(disk.calls, ["read 2560+512"]);
});

test("what the host stores at once is stored at once, and the rest is waited for", async () => {
  const { driver, disk, ram } = diskRig({ work: Object.assign(new ImmediateWork(), { immediate: true }) });
  let turn = 0;
  disk.writesNow = () => turn++ % 2 === 0;
  for (const lba of [5, 6]) {
    ram.bytes.fill(lba, 0x5000, 0x5200);
    driver.command(Command.writeDma, { count: 1, lba });
    driver.startDma(false, 0x1000, [0x5000, SECTOR]);
    assert.equal(driver.status, lba === 5 ? READY : 0x80);
    assert.equal(await driver.ready(), READY);
    driver.stopDma();
    assert.deepEqual(disk.bytes.slice(lba * SECTOR, (lba + 1) * SECTOR), new Uint8Array(SECTOR).fill(lba));
  }
  assert.deepEqual(disk.calls, ["write 3072+512"]);
});

test("nIEN keeps the interrupt from the line until it is allowed again", async () => {
  const { driver, irqs } = diskRig();
  driver.writeControl(2);
  driver.command(Command.flushCache);
  await settle();
  assert.equal(irqs[0].level, false);
  driver.writeControl(0);
  assert.equal(irqs[0].level, true);
  driver.read(7);
  assert.equal(irqs[0].level, false);
});

test("a reset forgets a command, and what comes next waits for what the host still does", async () => {
  const { driver, disk } = diskRig();
  disk.held = [];
  driver.command(Command.readSectors, { count: 1, lba: 1 });
  driver.writeControl(4);
  driver.writeControl(0);
  driver.command(Command.readSectors, { count: 1, lba: 2 });
  await settle();
  assert.equal(disk.held.length, 1);
  disk.held.splice(0)[0]?.();
  await settle();
  disk.held.splice(0)[0]?.();
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(2 * SECTOR, 3 * SECTOR));
});

test("a channel goes on from a snapshot in the middle of a transfer", async () => {
  const saved = diskRig();
  saved.disk.held = [];
  saved.driver.command(Command.readSectors, { count: 2, lba: 5 });
  const { driver, ide, disk } = diskRig();
  for (const [index, state] of structuredClone(saved.ide.state).channels.entries()) {
    Object.assign(ide.state.channels[index as 0 | 1], state);
  }
  ide.restored();
  assert.deepEqual((await driver.receive(sector)).data, disk.content.slice(5 * SECTOR, 7 * SECTOR));
});

test("a CD drive identifies itself, and a disk's command shows its signature", async () => {
  const { driver } = await cdRig();
  driver.command(Command.identifyPacketDevice);
  const { data } = await driver.receive(sector);
  assert.equal(word(data, 0), 0x85c0);
  driver.command(Command.identifyDevice, { device: 0xa0 });
  assert.equal(await driver.ready(), READY | ERR);
  assert.deepEqual(driver.registers.slice(1, 5), [1, 1, 0x14, 0xeb]);
});

test("packet data come in blocks of the byte count, with the reason, and the end interrupts", async () => {
  const { driver, disc, irqs } = await cdRig();
  const before = irqs[1].rises;
  await driver.packet([Mmc.read10, 0, 0, 0, 0, 4, 0, 0, 2], { limit: 1500 });
  const { data, blocks, status } = await driver.receive((offered) => offered);
  assert.deepEqual(data, disc.content.slice(4 * 2048, 6 * 2048));
  assert.deepEqual(blocks, [1500, 1500, 1096]);
  assert.equal(status, READY);
  assert.equal(driver.read(2), 3);
  assert.equal(irqs[1].rises - before, 4);
  // An odd number of bytes is told as it is.
  await driver.packet([Mmc.inquiry, 0, 0, 0, 5]);
  assert.deepEqual([...(await driver.receive((offered) => offered)).data], [0x05, 0x80, 0x00, 0x32, 31]);
});

test("packet data come by DMA", async () => {
  const { driver, disc, ram } = await cdRig();
  await driver.packet([Mmc.read10, 0, 0, 0, 0, 9, 0, 0, 3], { dma: true });
  driver.startDma(true, 0x1000, [0x6000, 3 * 2048]);
  assert.equal(await driver.ready(), READY);
  assert.equal(driver.stopDma() & 0x07, 0x04);
  assert.deepEqual(ram.bytes.slice(0x6000, 0x6000 + 6144), disc.content.slice(9 * 2048, 12 * 2048));
});

test("a refused packet has its sense key in the error register", async () => {
  const { driver } = await cdRig();
  await driver.packet([Mmc.read10, 0, 0, 0, 0xff, 0, 0, 0, 1]);
  assert.equal(await driver.ready(), READY | ERR);
  assert.equal(driver.read(1), 0x54);
  await driver.packet([Mmc.requestSense, 0, 0, 0, 18]);
  const { data } = await driver.receive((offered) => offered);
  assert.deepEqual([data[2], data[12]], [5, 0x21]);
});

test("a parameter list is taken by PIO", async () => {
  const { driver, cdrom } = await cdRig();
  await driver.packet([Mmc.modeSelect10, 0x10, 0, 0, 0, 0, 0, 0, 16]);
  await driver.ready();
  assert.deepEqual([driver.read(2), driver.read(4)], [0, 16]);
  driver.transmit(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 6, 0, 9, 0, 0, 0, 0));
  assert.equal(await driver.ready(), READY);
  assert.deepEqual([...cdrom.state.errorRecovery], [0, 9]);
});

test("DEVICE RESET ends what a CD drive does", async () => {
  const { driver, disc } = await cdRig();
  disc.held = [];
  await driver.packet([Mmc.read10, 0, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(driver.status, 0x80);
  driver.write(7, Command.deviceReset);
  assert.equal(driver.status, 0);
  assert.deepEqual(driver.registers.slice(1, 5), [1, 1, 0x14, 0xeb]);
});
