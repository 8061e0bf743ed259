import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockError } from "../../disk/block-device.ts";
import { LARGEST_CD, Mmc } from "./cdrom-layout.ts";
import { ScsiCdrom } from "./scsi-cdrom.ts";
import { send } from "./testing/initiator.ts";
import { TestDisk } from "./testing/test-disc.ts";

const BLOCKS = 400;
const BLOCK = 2048;
const be = (value: number, bytes: number) =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * (bytes - 1 - i))) & 0xff);
const ready = [Mmc.testUnitReady, 0, 0, 0, 0, 0];
const read10 = (lba: number, count: number) => [Mmc.read10, 0, ...be(lba, 4), 0, ...be(count, 2), 0];
const event = [Mmc.getEventStatusNotification, 1, 0, 0, 0x10, 0, 0, 0, 8, 0];
const eject = [Mmc.startStopUnit, 0, 0, 0, 2, 0];
const load = [Mmc.startStopUnit, 0, 0, 0, 3, 0];
const prevent = (on: number) => [Mmc.preventAllowMediumRemoval, 0, 0, 0, on, 0];
const toc = (format: number, { msf = 0, from = 0, length = 100 } = {}) => [
  Mmc.readTocPmaAtip,
  msf,
  format,
  0,
  0,
  0,
  from,
  ...be(length, 2),
  0,
];

/** A drive that the initiator knows already: the attention of the power-on is taken. */
async function rig({ blocks = BLOCKS, empty = false } = {}) {
  const disc = new TestDisk(blocks * BLOCK, { readOnly: true });
  const moves: boolean[] = [];
  const unit = new ScsiCdrom(
    { transport: "atapi", serial: "CD-1" },
    { ...(empty ? {} : { medium: disc }), trayMoved: (open) => void moves.push(open) },
  );
  await send(unit, ready);
  return { disc, unit, moves, ask: (cdb: readonly number[], out: readonly number[] = []) => send(unit, cdb, out) };
}

test("the first command after power-on is told of the reset, the next one works", async () => {
  const unit = new ScsiCdrom({ transport: "atapi" }, { medium: new TestDisk(BLOCK) });
  assert.equal((await send(unit, [Mmc.inquiry, 0, 0, 0, 36, 0])).refused, undefined);
  assert.equal((await send(unit, ready)).refused, "6 2900");
  assert.equal((await send(unit, ready)).refused, undefined);
});

test("a drive says what it is", async () => {
  const { ask } = await rig();
  const { data } = await ask([Mmc.inquiry, 0, 0, 0, 255, 0]);
  assert.equal(data.length, 36);
  assert.deepEqual([...data.subarray(0, 5)], [0x05, 0x80, 0x00, 0x32, 31]);
  assert.equal(new TextDecoder().decode(data.subarray(8)), "BUNKHSE Virtual DVD-ROM 1.0 ");
  assert.equal((await ask([Mmc.inquiry, 0, 0, 0, 5, 0])).data.length, 5);
  const serial = await ask([Mmc.inquiry, 1, 0x80, 0, 255, 0]);
  assert.equal(new TextDecoder().decode(serial.data.subarray(4)), "CD-1");
  assert.equal((await ask([Mmc.inquiry, 1, 0x42, 0, 255, 0])).refused, "5 2400");
});

test("blocks are read by either command, wherever they are", async () => {
  const { ask, disc } = await rig();
  assert.deepEqual((await ask(read10(3, 2))).data, disc.content.slice(3 * BLOCK, 5 * BLOCK));
  const read12 = [Mmc.read12, 0, ...be(BLOCKS - 1, 4), ...be(1, 4), 0, 0];
  assert.deepEqual((await ask(read12)).data, disc.content.slice((BLOCKS - 1) * BLOCK));
  assert.deepEqual((await ask(read10(0, 0))).data, new Uint8Array(0));
  assert.equal((await ask(read10(BLOCKS - 1, 2))).refused, "5 2100");
  assert.equal((await ask(read10(0xffff_ffff, 1))).refused, "5 2100");
});

test("a disc's last block may be incomplete, and reads as zeros behind its end", async () => {
  const disc = new TestDisk(3 * 512);
  const unit = new ScsiCdrom({ transport: "scsi" }, { medium: disc });
  await send(unit, ready);
  const { data } = await send(unit, read10(0, 1));
  assert.deepEqual(data.slice(0, 1536), disc.content);
  assert.deepEqual(data.slice(1536), new Uint8Array(512));
});

test("capacity, table of contents, and disc and track information agree on the disc's end", async () => {
  const { ask } = await rig();
  const { data: capacity } = await ask([Mmc.readCapacity, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...capacity], [...be(BLOCKS - 1, 4), ...be(BLOCK, 4)]);
  const { data } = await ask(toc(0));
  assert.deepEqual([...data.subarray(0, 4)], [0, 18, 1, 1]);
  assert.deepEqual([...data.subarray(4, 12)], [0, 0x14, 1, 0, 0, 0, 0, 0]);
  assert.deepEqual([...data.subarray(12, 20)], [0, 0x14, 0xaa, 0, ...be(BLOCKS, 4)]);
  // 400 blocks behind two seconds: 7 seconds and 25 frames.
  assert.deepEqual([...(await ask(toc(0, { msf: 2, from: 0xaa }))).data.subarray(4)], [0, 0x14, 0xaa, 0, 0, 0, 7, 25]);
  assert.deepEqual([...(await ask(toc(1))).data], [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
  const raw = (await ask(toc(2))).data;
  assert.deepEqual([...raw.subarray(0, 4)], [0, 46, 1, 1]);
  assert.deepEqual([...raw.subarray(4 + 22, 4 + 33)], [1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 7, 25]);
  assert.equal((await ask(toc(0, { from: 2 }))).refused, "5 2400");
  assert.equal((await ask(toc(4))).refused, "5 2400");
  const track = await ask([Mmc.readTrackInformation, 1, ...be(1, 4), 0, ...be(100, 2), 0]);
  assert.deepEqual([...track.data.subarray(24, 28)], be(BLOCKS, 4));
  const disc = await ask([Mmc.readDiscInformation, 0, 0, 0, 0, 0, 0, ...be(100, 2), 0]);
  assert.deepEqual([...disc.data.subarray(0, 7)], [0, 32, 0x0e, 1, 1, 1, 1]);
});

test("READ CD brings raw sectors whose header, EDC and parities are right", async () => {
  const { ask, disc } = await rig();
  const readCd = (flags: number, { type = 0, sub = 0 } = {}) => [
    Mmc.readCd,
    type << 2,
    ...be(16, 4),
    ...be(2, 3),
    flags,
    sub,
    0,
  ];
  assert.deepEqual((await ask(readCd(0x10))).data, disc.content.slice(16 * BLOCK, 18 * BLOCK));
  const { data } = await ask(readCd(0xf8));
  assert.equal(data.length, 2 * 2352);
  const sector = data.subarray(2352);
  assert.deepEqual([...sector.subarray(0, 12)], [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
  // Block 17 is at 2 seconds and 17 frames, in BCD.
  assert.deepEqual([...sector.subarray(12, 16)], [0x00, 0x02, 0x17, 1]);
  assert.deepEqual(sector.slice(16, 2064), disc.content.slice(17 * BLOCK, 18 * BLOCK));
  checkSector(sector);
  assert.equal((await ask(readCd(0x10, { type: 1 }))).refused, "5 6400");
  assert.equal((await ask(readCd(0x10, { sub: 1 }))).refused, "5 2400");
  const msf = [Mmc.readCdMsf, 0, 0, 0, 2, 16, 0, 2, 18, 0xf8, 0, 0];
  assert.deepEqual((await ask(msf)).data, data);
});

/** A right sector leaves no remainder of its polynomials. @spec ECMA-130 §14.3 and annex A */
function checkSector(sector: Uint8Array): void {
  // Bits of each byte come least significant first; what is divided ends with the CRC.
  let remainder = 0;
  for (let bit = 0; bit < 2068 * 8; bit++) {
    const next = (sector[bit >> 3]! >> (bit & 7)) & 1;
    const out = remainder >>> 31;
    remainder = ((remainder << 1) | next) >>> 0;
    if (out) remainder = (remainder ^ 0x8001_801b) >>> 0;
  }
  assert.equal(remainder, 0, "EDC");
  const body = sector.subarray(12);
  const double = (x: number) => ((x << 1) ^ (x & 0x80 ? 0x11d : 0)) & 0xff;
  const syndromes = (vector: number[]) => {
    const sum = vector.reduce((a, b) => a ^ b, 0);
    const weighted = vector.reduce((a, b) => double(a) ^ b, 0);
    return [sum, weighted];
  };
  for (let byte = 0; byte < 2; byte++) {
    for (let n = 0; n < 43; n++) {
      const vector = Array.from({ length: 26 }, (_, m) => body[2 * (43 * m + n) + byte]!);
      assert.deepEqual(syndromes(vector), [0, 0], `P ${n}`);
    }
    for (let n = 0; n < 26; n++) {
      const vector = Array.from({ length: 43 }, (_, m) => body[2 * ((44 * m + 43 * n) % 1118) + byte]!);
      vector.push(body[2 * (1118 + n) + byte]!, body[2 * (1118 + 26 + n) + byte]!);
      assert.deepEqual(syndromes(vector), [0, 0], `Q ${n}`);
    }
  }
}

test("the profile follows the disc: a CD, a DVD, none", async () => {
  const profile = async (unit: ScsiCdrom) =>
    [...(await send(unit, [Mmc.getConfiguration, 0, 0, 0, 0, 0, 0, ...be(255, 2), 0])).data.subarray(6, 8)][1];
  assert.equal(await profile((await rig()).unit), 0x08);
  assert.equal(await profile((await rig({ empty: true })).unit), 0);
  const disc = new TestDisk(BLOCK);
  Object.defineProperty(disc, "size", { value: (LARGEST_CD + 1) * BLOCK });
  const unit = new ScsiCdrom({ transport: "atapi" }, { medium: disc });
  assert.equal(await profile(unit), 0x10);
  await send(unit, ready);
  const structure = (format: number) => [Mmc.readDiscStructure, 0, 0, 0, 0, 0, 0, format, ...be(2052, 2), 0, 0];
  const { data } = await send(unit, structure(0));
  assert.deepEqual([...data.subarray(4, 12)], [1, 0x0f, 1, 0, 0, 0x03, 0, 0]);
  assert.deepEqual([...data.subarray(12, 16)], [0, ...be(0x3_0000 + LARGEST_CD, 3)]);
  assert.equal((await send(unit, structure(0x20))).refused, "5 2400");
  assert.equal((await (await rig()).ask(structure(0))).refused, "5 3002");
});

test("features are listed in order, all of them, the current ones, or one", async () => {
  const { ask } = await rig();
  const codes = async (requested: number, from: number) => {
    const { data } = await ask([Mmc.getConfiguration, requested, ...be(from, 2), 0, 0, 0, ...be(1000, 2), 0]);
    const found: number[] = [];
    assert.equal(((data[2]! << 8) | data[3]!) + 4, data.length);
    for (let at = 8; at < data.length; at += 4 + data[at + 3]!) found.push((data[at]! << 8) | data[at + 1]!);
    return found;
  };
  assert.deepEqual(await codes(0, 0), [0, 1, 2, 3, 0x10, 0x1d, 0x1e, 0x1f, 0x100, 0x105]);
  assert.deepEqual(await codes(1, 0x10), [0x10, 0x1d, 0x1e, 0x100, 0x105]);
  assert.deepEqual(await codes(2, 0x1e), [0x1e]);
  assert.deepEqual(await codes(2, 0x20), []);
});

test("an eject by the guest opens the tray and a load closes it, with the disc changed for all that is known", async () => {
  const { ask, moves, disc } = await rig();
  await ask(event);
  assert.equal((await ask(eject)).refused, undefined);
  assert.equal((await ask(ready)).refused, "2 3a02");
  assert.deepEqual([...(await ask(event)).data], [0, 6, 4, 0x12, 3, 1, 0, 0]);
  assert.deepEqual(
    [...(await ask([Mmc.mechanismStatus, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0])).data].slice(0, 2),
    [0, 0x10],
  );
  assert.equal((await ask(load)).refused, undefined);
  assert.deepEqual([...(await ask(event)).data], [0, 6, 4, 0x12, 2, 2, 0, 0]);
  assert.deepEqual([...(await ask(event)).data], [0, 6, 4, 0x12, 0, 2, 0, 0]);
  assert.equal((await ask(read10(0, 1))).refused, "6 2800");
  assert.deepEqual((await ask(read10(0, 1))).data, disc.content.slice(0, BLOCK));
  assert.deepEqual(moves, [true, false]);
});

test("a locked drive lets nobody take the disc but by force, and tells the guest who asks for it", async () => {
  const { ask, unit } = await rig();
  await ask(event);
  await ask(prevent(1));
  assert.equal((await ask(eject)).refused, "5 5302");
  assert.equal(unit.eject(), false);
  assert.deepEqual([...(await ask(event)).data], [0, 6, 4, 0x12, 1, 2, 0, 0]);
  await ask(prevent(0));
  assert.equal(unit.eject(), true);
  assert.equal((await ask(ready)).refused, "6 2800");
  assert.equal((await ask(ready)).refused, "2 3a01");
  unit.insert(new TestDisk(7 * BLOCK));
  await ask(prevent(1));
  assert.equal(unit.eject({ force: true }), true);
});

test("a disc that is put in is another one: the next command is told, and reads its content", async () => {
  const { ask, unit } = await rig({ empty: true });
  assert.equal((await ask(ready)).refused, "2 3a01");
  const disc = new TestDisk(9 * BLOCK, { seed: 5 });
  unit.insert(disc);
  assert.equal((await ask(ready)).refused, "6 2800");
  assert.deepEqual((await ask(read10(8, 1))).data, disc.content.slice(8 * BLOCK));
});

test("REQUEST SENSE tells of the last error once", async () => {
  const { ask } = await rig();
  const sense = [Mmc.requestSense, 0, 0, 0, 18, 0];
  await ask(read10(BLOCKS, 1));
  const { data } = await ask(sense);
  assert.deepEqual([data[0], data[2], data[7], data[12], data[13]], [0x70, 5, 10, 0x21, 0]);
  assert.deepEqual([...(await ask(sense)).data.subarray(2, 3)], [0]);
});

test("mode pages are there, and the error recovery can be chosen and nothing else", async () => {
  const { ask } = await rig();
  const modeSense = (page: number) => [Mmc.modeSense10, 0, page, 0, 0, 0, 0, ...be(255, 2), 0];
  const select = (list: number[]) => ask([Mmc.modeSelect10, 0x10, 0, 0, 0, 0, 0, ...be(list.length, 2), 0], list);
  const header = [0, 0, 0, 0, 0, 0, 0, 0];
  const { data } = await ask(modeSense(0x2a));
  assert.deepEqual([...data.subarray(0, 3)], [0, data.length - 2, 1]);
  assert.deepEqual([data[8], data[9]], [0x2a, data.length - 10]);
  assert.equal((await select([...header, 1, 6, 0x20, 9, 0, 0, 0, 0])).refused, undefined);
  assert.deepEqual([...(await ask(modeSense(0x01))).data.subarray(8)], [1, 6, 0x20, 9, 0, 0, 0, 0]);
  assert.deepEqual([...(await ask(modeSense(0x81))).data.subarray(8)], [1, 6, 0, 5, 0, 0, 0, 0]);
  assert.equal((await select([...header, 0x1a, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])).refused, "5 2600");
  assert.equal((await select([...header, 1, 6, 0])).refused, "5 2600");
  assert.equal((await ask(modeSense(0x05))).refused, "5 2400");
  assert.equal((await ask(modeSense(0xc1))).refused, "5 3900");
  assert.equal((await ask([Mmc.modeSense6, 0, 0x3f, 0, 255, 0])).data[0], 4 + 8 + 12 + 20 - 1);
});

test("audio, recording, and what is not there are refused as unknown commands", async () => {
  const { ask } = await rig();
  // PLAY AUDIO (10), (12) and MSF, PAUSE/RESUME, STOP PLAY/SCAN, WRITE(10), BLANK, REPORT KEY.
  for (const code of [0x45, 0xa5, 0x47, 0x4b, 0x4e, 0x2a, 0xa1, 0xa4]) {
    assert.equal((await ask([code, ...new Array(11).fill(0)])).refused, "5 2000", code.toString(16));
  }
});

test("an error of the host's storage is a medium error at the block", async () => {
  const { ask, disc } = await rig();
  disc.failure = new BlockError("io", "broken");
  const { refused, sense } = await ask(read10(5, 2));
  assert.equal(refused, "3 1100");
  assert.equal(sense?.information, 5);
});
