import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockError } from "../../disk/block-device.ts";
import { ImmediateWork } from "../../machine/testing/rig.ts";
import { Command } from "../ata/registers.ts";
import { Mmc } from "../scsi/cdrom-layout.ts";
import { settle } from "../scsi/testing/test-disc.ts";
import { Hba, Px, PxCmd, PxIs } from "./registers.ts";
import { ahciRig, Driver, type RigOptions } from "./testing/ahci-rig.ts";

const SECTOR = 512;
const READY = 0x50;
const DATA = 0x10_0000;

function diskRig(options: RigOptions = {}) {
  const rig = ahciRig(options);
  return { ...rig, driver: new Driver(rig, 0) };
}

async function cdRig() {
  const rig = ahciRig();
  const driver = new Driver(rig, 1);
  driver.prepare(0, Command.packet, { cdb: [Mmc.testUnitReady] });
  driver.issue(0);
  await settle();
  // The attention of the power-on.
  assert.equal(driver.read(Px.tfd), 0x6051);
  driver.restart();
  driver.interrupts();
  return { ...rig, driver };
}

test("the adapter tells its version, its ports, and what is connected", () => {
  const { read } = ahciRig();
  assert.equal(read(Hba.vs), 0x10301);
  assert.equal(read(Hba.pi), 0x3f);
  assert.equal(read(Hba.cap) & 0x1f, 5);
  const port = (number: number, register: number) => read(0x100 + 0x80 * number + register);
  assert.deepEqual([port(0, Px.ssts), port(1, Px.ssts), port(2, Px.ssts)], [0x133, 0x133, 0]);
  assert.deepEqual([port(0, Px.sig), port(1, Px.sig), port(2, Px.sig)], [0x101, 0xeb14_0101, 0xffff_ffff]);
  assert.deepEqual([port(0, Px.tfd), port(1, Px.tfd), port(2, Px.tfd)], [0x150, 0x100, 0x7f]);
});

test("a device's signature arrives where FISes are received, also after a COMRESET", () => {
  const { driver, ram } = diskRig();
  const signature = [0x34, 0x40, READY, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1];
  assert.deepEqual(driver.received(0x40, 13), signature);
  ram.bytes.fill(0, 0x1_0800, 0x1_0900);
  driver.write(Px.sctl, 0x301);
  assert.equal(driver.read(Px.ssts), 0);
  driver.write(Px.sctl, 0x300);
  assert.equal(driver.read(Px.ssts), 0x133);
  assert.deepEqual(driver.received(0x40, 13), signature);
  assert.equal(driver.read(Px.is) & PxIs.connectChange, PxIs.connectChange);
  driver.write(Px.serr, 0xffff_ffff);
  assert.equal(driver.read(Px.is) & PxIs.connectChange, 0);
});

test("IDENTIFY DEVICE comes by PIO, announced by a PIO Setup FIS, with native queueing", async () => {
  const { driver, ram, intx } = diskRig();
  driver.prepare(3, Command.identifyDevice, { regions: [[DATA, 512]] });
  driver.issue(3);
  await settle();
  assert.equal(driver.read(Px.ci), 0);
  assert.equal(intx.level, true);
  assert.equal(driver.interrupts(), PxIs.pioSetupFis);
  assert.equal(intx.level, false);
  const setup = driver.received(0x20, 20);
  assert.deepEqual([setup[0], setup[1], setup[2], setup[15], setup[16], setup[17]], [0x5f, 0x60, 0x58, READY, 0, 2]);
  assert.equal(driver.moved(3), 512);
  const words = new DataView(ram.bytes.buffer, DATA, 512);
  assert.equal(words.getUint16(2 * 76, true) & 0x100, 0x100);
  assert.equal(words.getUint16(2 * 75, true), 31);
  assert.equal(words.getUint16(2 * 93, true), 0);
});

test("DMA brings sectors to the regions of the table, and takes them", async () => {
  const { driver, ram, disk } = diskRig();
  driver.prepare(0, Command.readDmaExt, {
    count: 20,
    lba: 123,
    regions: [
      [DATA, 1000],
      [DATA + 0x2000, 9240],
    ],
  });
  driver.issue(0);
  await settle();
  const expected = disk.content.slice(123 * SECTOR, 143 * SECTOR);
  assert.deepEqual(ram.bytes.slice(DATA, DATA + 1000), expected.slice(0, 1000));
  assert.deepEqual(ram.bytes.slice(DATA + 0x2000, DATA + 0x2000 + 9240), expected.slice(1000));
  assert.equal(driver.interrupts(), PxIs.registerFis);
  assert.deepEqual(driver.received(0x40, 4), [0x34, 0x40, READY, 0]);
  ram.bytes.fill(0x3c, DATA, DATA + 1024);
  driver.prepare(1, Command.writeDma, { count: 2, lba: 7, regions: [[DATA, 1024]], flags: { write: true } });
  driver.issue(1);
  await settle();
  assert.deepEqual(disk.bytes.slice(7 * SECTOR, 9 * SECTOR), new Uint8Array(1024).fill(0x3c));
  assert.equal(driver.moved(1), 1024);
});

test("commands that are not queued run one after the other", async () => {
  const { driver, disk } = diskRig();
  disk.held = [];
  for (const slot of [0, 1]) driver.prepare(slot, Command.readDma, { count: 1, lba: slot, regions: [[DATA, 512]] });
  driver.issue(0, 1);
  await settle();
  assert.equal(disk.held.length, 1);
  assert.equal(driver.read(Px.tfd) & 0x80, 0x80);
  assert.equal((driver.read(Px.cmd) >>> 8) & 31, 0);
  disk.held.splice(0)[0]?.();
  await settle();
  assert.equal(driver.read(Px.ci), 2);
  disk.held.splice(0)[0]?.();
  await settle();
  assert.equal(driver.read(Px.ci), 0);
});

test("queued commands run side by side and complete in any order", async () => {
  const { driver, disk, ram } = diskRig();
  disk.held = [];
  for (const slot of [0, 5, 31]) {
    const options = {
      features: 1,
      count: slot << 3,
      lba: 10 * slot,
      regions: [[DATA + slot * SECTOR, SECTOR]],
    } as const;
    driver.prepare(slot, Command.readFpdmaQueued, options);
  }
  driver.queue(0, 5, 31);
  await settle();
  assert.equal(disk.held.length, 3);
  assert.deepEqual([driver.read(Px.ci), driver.read(Px.sact)], [0, 0x8000_0021]);
  disk.held[1]?.();
  await settle();
  assert.equal(driver.read(Px.sact), 0x8000_0001);
  assert.equal(driver.interrupts(), PxIs.setDeviceBits);
  assert.deepEqual(driver.received(0x58, 8), [0xa1, 0x40, 0x50, 0, 0x20, 0, 0, 0]);
  disk.held[0]?.();
  disk.held[2]?.();
  await settle();
  assert.equal(driver.read(Px.sact), 0);
  for (const slot of [0, 5, 31]) {
    const at = DATA + slot * SECTOR;
    assert.deepEqual(
      ram.bytes.slice(at, at + SECTOR),
      disk.content.slice(10 * slot * SECTOR, (10 * slot + 1) * SECTOR),
    );
  }
});

test("a failed queued command stops the list, and the log names it", async () => {
  const { driver, disk, ram } = diskRig();
  disk.failure = new BlockError("io", "broken");
  driver.prepare(4, Command.readFpdmaQueued, { features: 1, count: 4 << 3, lba: 99, regions: [[DATA, SECTOR]] });
  driver.queue(4);
  await settle();
  assert.equal(driver.read(Px.sact), 0x10);
  assert.equal(driver.interrupts() & PxIs.taskFileError, PxIs.taskFileError);
  assert.equal(driver.read(Px.tfd), 0x4051);
  disk.failure = undefined;
  driver.prepare(5, Command.readLogExt, { count: 1, lba: 0x10, regions: [[DATA, SECTOR]] });
  driver.issue(5);
  await settle();
  assert.equal(driver.read(Px.ci), 0x20, "nothing is begun before a restart");
  driver.restart();
  assert.deepEqual([driver.read(Px.ci), driver.read(Px.sact)], [0, 0]);
  driver.issue(5);
  await settle();
  assert.deepEqual([...ram.bytes.subarray(DATA, DATA + 8)], [4, 0, 0x51, 0x40, 99, 0, 0, 0x40]);
  assert.equal(ram.bytes.slice(DATA, DATA + SECTOR).reduce((sum, byte) => sum + byte, 0) & 0xff, 0);
});

test("an address outside of the disk is a task file error", async () => {
  const { driver } = diskRig();
  driver.prepare(0, Command.readDmaExt, { count: 1, lba: 20_000, regions: [[DATA, SECTOR]] });
  driver.issue(0);
  await settle();
  assert.equal(driver.interrupts(), (PxIs.registerFis | PxIs.taskFileError) >>> 0);
  assert.equal(driver.read(Px.tfd), 0x1051);
  assert.equal(driver.read(Px.ci), 1);
});

test("regions and structures outside of memory are bus errors, too few regions an overflow or an abort", async () => {
  const { driver, write } = diskRig();
  driver.prepare(0, Command.readDma, { count: 1, regions: [[0xf000_0000, SECTOR]] });
  driver.issue(0);
  await settle();
  assert.equal(driver.interrupts(), PxIs.hostBusData);
  driver.restart({ override: true });
  driver.prepare(0, Command.readDma, { count: 2, regions: [[DATA, SECTOR]] });
  driver.issue(0);
  await settle();
  assert.equal(driver.interrupts(), PxIs.registerFis | PxIs.overflow);
  assert.equal(driver.moved(0), SECTOR);
  driver.prepare(0, Command.writeDma, { count: 2, regions: [[DATA, SECTOR]] });
  driver.issue(0);
  await settle();
  assert.equal(driver.interrupts() & PxIs.taskFileError, PxIs.taskFileError);
  driver.restart();
  driver.write(Px.clb, 0xf000_0000);
  driver.issue(0);
  assert.equal(driver.interrupts(), PxIs.hostBusFatal);
  write(Hba.ghc, 1);
  assert.equal(driver.read(Px.cmd) & PxCmd.mask.start, 0);
});

test("software resets a device with two FISes", () => {
  const { driver, ram } = diskRig();
  driver.prepare(0, 0, { control: 0x04, flags: { reset: true, clearBusy: true } });
  driver.issue(0);
  assert.equal(driver.read(Px.ci), 0);
  ram.bytes.fill(0, 0x1_0800, 0x1_0900);
  driver.prepare(0, 0, { control: 0 });
  driver.issue(0);
  assert.equal(driver.read(Px.ci), 0);
  assert.deepEqual(driver.received(0x40, 5), [0x34, 0x40, READY, 1, 1]);
});

test("stopping the list forgets its commands, and what comes next waits for what the host still does", async () => {
  const { driver, disk, ram } = diskRig();
  disk.held = [];
  driver.prepare(0, Command.readDma, { count: 1, lba: 1, regions: [[DATA, SECTOR]] });
  driver.issue(0);
  await settle();
  driver.restart();
  driver.write(Px.sctl, 1);
  driver.write(Px.sctl, 0);
  driver.prepare(0, Command.readDma, { count: 1, lba: 2, regions: [[DATA, SECTOR]] });
  driver.issue(0);
  await settle();
  assert.equal(disk.held.length, 1);
  disk.held.splice(0)[0]?.();
  await settle();
  assert.equal(disk.held.length, 1);
  disk.held.splice(0)[0]?.();
  await settle();
  assert.equal(driver.read(Px.ci), 0);
  assert.deepEqual(ram.bytes.slice(DATA, DATA + SECTOR), disk.content.slice(2 * SECTOR, 3 * SECTOR));
});

test("what the host has at hand is there at once, and the rest is waited for", async () => {
  const { driver, disk, ram } = diskRig({ work: Object.assign(new ImmediateWork(), { immediate: true }) });
  let turn = 0;
  disk.readsNow = () => turn++ % 2 === 0;
  for (const lba of [5, 6]) {
    driver.prepare(0, Command.readDma, { count: 1, lba, regions: [[DATA, SECTOR]] });
    driver.issue(0);
    assert.equal(driver.read(Px.ci), lba === 5 ? 0 : 1);
    await settle();
    assert.deepEqual(ram.bytes.slice(DATA, DATA + SECTOR), disk.content.slice(lba * SECTOR, (lba + 1) * SECTOR));
  }
  assert.deepEqual(disk.calls, ["read 3072+512"]);
});

test("what the host stores at once is stored at once, and the rest is waited for", async () => {
  const { driver, disk, ram } = diskRig({ work: Object.assign(new ImmediateWork(), { immediate: true }) });
  let turn = 0;
  disk.writesNow = () => turn++ % 2 === 0;
  for (const lba of [5, 6]) {
    ram.bytes.fill(lba, DATA, DATA + SECTOR);
    driver.prepare(0, Command.writeDma, { count: 1, lba, regions: [[DATA, SECTOR]] });
    driver.issue(0);
    assert.equal(driver.read(Px.ci), lba === 5 ? 0 : 1);
    ram.bytes.fill(0, DATA, DATA + SECTOR);
    await settle();
    assert.deepEqual(disk.bytes.slice(lba * SECTOR, (lba + 1) * SECTOR), new Uint8Array(SECTOR).fill(lba));
  }
  assert.deepEqual(disk.calls, ["write 3072+512"]);
});

test("packets reach a CD drive, whose data come by either protocol", async () => {
  const { driver, disc, ram } = await cdRig();
  for (const features of [0, 1]) {
    ram.bytes.fill(0, DATA, DATA + 4096);
    const cdb = [Mmc.read10, 0, 0, 0, 0, 17, 0, 0, 2, 0];
    driver.prepare(2, Command.packet, { features, cdb, regions: [[DATA, 4096]] });
    driver.issue(2);
    await settle();
    assert.deepEqual(ram.bytes.slice(DATA, DATA + 4096), disc.content.slice(17 * 2048, 19 * 2048));
    assert.equal(driver.interrupts(), PxIs.registerFis);
    assert.equal(driver.read(Px.tfd), READY);
    assert.equal(driver.moved(2), 4096);
  }
});

test("each interrupt is one message where software chose messages", async () => {
  const { driver, ahci, messages, intx, write } = diskRig();
  const capability = ahci.pci.readConfig(0x34, 1);
  ahci.pci.writeConfig(capability + 4, 4, 0xfee0_0000);
  ahci.pci.writeConfig(capability + 8, 4, 0);
  ahci.pci.writeConfig(capability + 12, 2, 0x41);
  ahci.pci.writeConfig(capability + 2, 2, 1);
  for (let i = 0; i < 3; i++) {
    driver.prepare(0, Command.flushCacheExt);
    driver.issue(0);
    await settle();
    if (i < 2) driver.interrupts();
  }
  assert.equal(messages.length, 3);
  assert.equal(intx.level, false);
  // The cause is still there when software thinks that it is done.
  write(Hba.is, 1);
  assert.equal(messages.length, 4);
});

test("a port goes on from a snapshot with the commands that were in flight", async () => {
  const saved = diskRig();
  saved.disk.held = [];
  saved.driver.prepare(6, Command.readFpdmaQueued, { features: 1, count: 6 << 3, lba: 33, regions: [[DATA, SECTOR]] });
  saved.driver.queue(6);
  await settle();
  const { ahci, ram, disk, driver } = diskRig();
  ram.bytes.set(saved.ram.bytes);
  Object.assign(ahci.state.ports[0]!, structuredClone(saved.ahci.state.ports[0]));
  ahci.restored();
  await settle();
  assert.deepEqual(ram.bytes.slice(DATA, DATA + SECTOR), disk.content.slice(33 * SECTOR, 34 * SECTOR));
  assert.equal(driver.read(Px.sact), 0);
});

test("without the bus master bit no memory is reached", () => {
  const { driver, ahci, ram } = diskRig();
  ahci.pci.writeConfig(0x04, 2, 2);
  driver.prepare(0, Command.flushCache);
  const before = ram.bytes.slice();
  driver.issue(0);
  assert.equal(driver.read(Px.is) & PxIs.hostBusFatal, PxIs.hostBusFatal);
  assert.deepEqual(ram.bytes, before);
});
