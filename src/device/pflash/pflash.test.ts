import assert from "node:assert/strict";
import { test } from "node:test";
import { SwitchedMemory } from "../../machine/testing/switched-memory.ts";
import { Command, Pflash, Status } from "./pflash.ts";

const ADDRESS = 0xffc0_0000;
const LENGTH = 0x2_0000;

function rig() {
  const memory = new SwitchedMemory(LENGTH, ADDRESS);
  memory.bytes.fill(0xff);
  const changes: [number, number][] = [];
  let settled = 0;
  const flash = new Pflash(
    { address: ADDRESS, length: LENGTH },
    { memory, changed: (offset, length) => void changes.push([offset, length]), settled: () => void settled++ },
  );
  flash.reset();
  const command = (offset: number, ...values: number[]) => {
    for (const value of values) flash.writeMemory(offset, 1, value);
  };
  return { memory, flash, command, changes, settled: () => settled, status: () => Status(flash.readMemory(0, 1)) };
}

test("the array is ROM until a command, and again after the one that gives it back", () => {
  const { memory, command, flash } = rig();
  assert.equal(memory.kindOf(ADDRESS), "rom");
  command(0, Command.readStatus);
  assert.equal(memory.kindOf(ADDRESS + LENGTH - 1), "device");
  command(0, Command.readArray);
  assert.equal(memory.kindOf(ADDRESS), "rom");
  command(0, Command.readStatus);
  flash.reset();
  assert.equal(memory.kindOf(ADDRESS), "rom");
});

test("UEFI firmware finds a flash: a cleared status reads as zero, and commands leave the array alone", () => {
  const { memory, command, flash } = rig();
  command(0x10, Command.clearStatus);
  assert.equal(memory.bytes[0x10], 0xff);
  command(0x10, Command.readStatus);
  assert.equal(flash.readMemory(0x10, 1), 0);
});

test("a byte is programmed by clearing bits, and a block becomes ones by erasing", () => {
  const { memory, command, status, changes } = rig();
  command(0x1234, Command.program, 0x3c);
  command(0x1234, Command.programAlternate, 0xf0);
  assert.equal(memory.bytes[0x1234], 0x30);
  assert.ok(status().ready);
  memory.bytes[0x0fff] = 1;
  memory.bytes[0x2000] = 2;
  command(0x1800, Command.erase, Command.confirm);
  assert.ok(memory.bytes.subarray(0x1000, 0x2000).every((byte) => byte === 0xff));
  assert.equal(memory.bytes[0x0fff], 1);
  assert.equal(memory.bytes[0x2000], 2);
  assert.deepEqual(changes, [
    [0x1234, 1],
    [0x1234, 1],
    [0x1000, 0x1000],
  ]);
});

test("an erase that is not confirmed does nothing and says so until the status is cleared", () => {
  const { memory, command, status } = rig();
  memory.bytes[0] = 5;
  command(0, Command.erase, Command.readArray);
  assert.equal(memory.bytes[0], 5);
  assert.ok(status().eraseError && status().programError);
  command(0, Command.clearStatus, Command.readStatus);
  assert.ok(!status().eraseError);
});

test("a buffered write puts its bytes where they were given, once it is confirmed", () => {
  const { memory, flash, command } = rig();
  command(0x40, Command.writeBuffer, 7);
  flash.writeMemory(0x44, 4, 0x4433_2211);
  flash.writeMemory(0x48, 4, 0x8877_6655);
  assert.equal(memory.bytes[0x44], 0xff);
  command(0x40, Command.confirm);
  assert.deepEqual(
    [...memory.bytes.subarray(0x43, 0x4d)],
    [0xff, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xff],
  );
});

test("a buffered write beyond the buffer, or without a confirmation, is an error", () => {
  for (const end of [
    (r: ReturnType<typeof rig>) => r.command(0x60, 1),
    (r: ReturnType<typeof rig>) => r.command(0x40, 1, Command.readArray),
  ]) {
    const r = rig();
    r.command(0x40, Command.writeBuffer, 0);
    end(r);
    r.command(0, Command.readStatus);
    assert.ok(r.status().programError);
    assert.ok(r.memory.bytes.every((byte) => byte === 0xff));
  }
});

test("it tells what it is: the query table, and the identifiers of Intel's", () => {
  const { flash, command } = rig();
  command(0x55, Command.query);
  const query = Array.from({ length: 0x40 }, (_, i) => flash.readMemory(i, 1));
  assert.equal(String.fromCharCode(...query.slice(0x10, 0x13)), "QRY");
  assert.deepEqual(query.slice(0x13, 0x15), [1, 0]);
  assert.equal(2 ** (query[0x27] as number), LENGTH);
  assert.equal(((query[0x2d] as number) + 1) * (query[0x2f] as number) * 256, LENGTH);
  assert.equal(String.fromCharCode(...query.slice(0x31, 0x34)), "PRI");
  command(0, Command.readIdentifiers);
  assert.equal(flash.readMemory(0, 1), 0x89);
});

test("what has changed is told together, when the array is given back", () => {
  const { command, settled, changes } = rig();
  const before = settled();
  command(0, Command.program, 0xaa);
  command(1, Command.program, 0xbb);
  assert.equal(settled(), before);
  command(1, Command.readArray);
  assert.equal(settled(), before + 1);
  assert.equal(changes.length, 2);
});

test("a flash that goes on from a snapshot is where it was in the middle of a command", () => {
  const saved = rig();
  saved.command(0, Command.program);
  const { flash, memory, command } = rig();
  Object.assign(flash.state, structuredClone(saved.flash.state));
  flash.restored();
  assert.equal(memory.kindOf(ADDRESS), "device");
  command(5, 0x12);
  assert.equal(memory.bytes[5], 0x12);
});
