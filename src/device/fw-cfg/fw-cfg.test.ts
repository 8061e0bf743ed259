import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { DATA_PORT, DMA_PORT, FwCfg, FwCfgKey, SELECTOR_PORT } from "./fw-cfg.ts";

const ERROR = 1;
const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;
const REQUEST = 0x1000;

const ascii = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | number[]) => String.fromCharCode(...bytes);

function rig() {
  const memory = new PlainMemory(0x10000);
  const fw = new FwCfg({ memory });
  const select = (key: number) => fw.writePort(SELECTOR_PORT, 2, key);
  const read = (count: number) => Array.from({ length: count }, () => fw.readPort(DATA_PORT, 1));
  const item = (key: number, count: number) => {
    select(key);
    return read(count);
  };
  const view = new DataView(memory.bytes.buffer);
  /** Starts a transfer as a guest does: request in memory, its address big-endian in the register. */
  const dma = (control: number, length: number, address: number, request = REQUEST) => {
    view.setUint32(request, control);
    view.setUint32(request + 4, length);
    view.setBigUint64(request + 8, BigInt(address));
    const swapped = new DataView(new ArrayBuffer(4));
    swapped.setUint32(0, request);
    fw.writePort(DMA_PORT, 4, 0);
    fw.writePort(DMA_PORT + 4, 4, swapped.getUint32(0, true));
    return view.getUint32(request);
  };
  return { fw, memory, select, read, item, dma, view };
}

test("the signature, then the interface with its DMA bit", () => {
  const { item } = rig();
  assert.equal(textOf(item(FwCfgKey.signature, 4)), "QEMU");
  assert.deepEqual(item(FwCfgKey.id, 4), [3, 0, 0, 0]);
});

test("without memory there is no DMA interface", () => {
  const fw = new FwCfg();
  fw.writePort(SELECTOR_PORT, 2, FwCfgKey.id);
  assert.equal(fw.readPort(DATA_PORT, 1), 1);
  assert.equal(fw.readPort(DMA_PORT, 4), 0xffffffff);
});

test("the DMA register reads as QEMU CFG in memory order", () => {
  const { fw } = rig();
  assert.equal(fw.readPort(DMA_PORT, 4), 0x554d4551);
  assert.equal(fw.readPort(DMA_PORT + 4, 4), 0x47464320);
});

test("an item is read byte by byte from its start, with zeros beyond its end and for keys without item", () => {
  const { fw, item, read } = rig();
  fw.addItem(FwCfgKey.cpuCount, Uint8Array.of(4, 0));
  assert.deepEqual(item(FwCfgKey.cpuCount, 4), [4, 0, 0, 0]);
  assert.deepEqual(item(0x4000 | FwCfgKey.cpuCount, 1), [4], "the old write bit is not part of the key");
  assert.deepEqual(read(1), [0]);
  assert.deepEqual(item(0x1234, 2), [0, 0]);
});

test("the directory lists the files, big-endian, with keys that select them", () => {
  const { fw, item } = rig();
  fw.addFile("etc/e820", ascii("abc"));
  const key = fw.addFile("bootorder", ascii("disk\0"));
  const directory = Uint8Array.from(item(FwCfgKey.fileDirectory, 4 + 2 * 64));
  const view = new DataView(directory.buffer);
  assert.equal(view.getUint32(0), 2);
  assert.deepEqual([view.getUint32(4), view.getUint16(8), view.getUint16(10)], [3, 0x20, 0]);
  assert.equal(textOf(directory.subarray(12, 68)), "etc/e820".padEnd(56, "\0"));
  assert.deepEqual([view.getUint32(68), view.getUint16(72)], [5, key]);
  assert.equal(textOf(item(key, 4)), "disk");
});

test("a file of the same name replaces the first and keeps its key; bad names are refused", () => {
  const { fw, item } = rig();
  const key = fw.addFile("opt/a", ascii("1"));
  assert.equal(fw.addFile("opt/a", ascii("22")), key);
  assert.equal(item(FwCfgKey.fileDirectory, 8)[7], 2);
  assert.throws(() => fw.addFile("x".repeat(56), ascii("")), RangeError);
  assert.throws(() => fw.addFile("", ascii("")), RangeError);
});

test("contents by callback are made at each selection, and cut or filled to their size", () => {
  const { fw, item } = rig();
  let made = 0;
  const key = fw.addFile("etc/table", {
    size: 4,
    read: () => Uint8Array.of(++made, 7, 7, 7, 7, 7).subarray(0, made + 2),
  });
  assert.deepEqual(item(key, 5), [1, 7, 7, 0, 0]);
  assert.deepEqual(item(key, 5), [2, 7, 7, 7, 0]);
});

test("DMA selects and reads in one go, and clears the control field", () => {
  const { fw, memory, dma } = rig();
  const key = fw.addFile("kernel", ascii("hello, world"));
  assert.equal(dma((key << 16) | SELECT | READ, 5, 0x2000), 0);
  assert.equal(textOf(memory.bytes.subarray(0x2000, 0x2005)), "hello");
  assert.equal(dma(SKIP, 2, 0), 0);
  memory.bytes.fill(0xff, 0x2000, 0x2010);
  assert.equal(dma(READ, 8, 0x2000), 0);
  assert.equal(textOf(memory.bytes.subarray(0x2000, 0x2009)), "world\0\0\0\xff", "zeros beyond the end");
  assert.equal(dma(SKIP, 0xffffffff, 0), 0);
  assert.equal(fw.state.offset, 12);
});

test("DMA to what is not RAM fails, and a request that is not in RAM is ignored", () => {
  const { fw, dma } = rig();
  assert.equal(dma(SELECT | READ, 4, 0xfff0_0000), ERROR);
  assert.equal(dma(SELECT | READ, 0xffff_ffff, 0x2000), ERROR);
  assert.equal(dma(SELECT | READ, 4, 2 ** 62), ERROR);
  fw.writePort(DMA_PORT, 4, 0xffffffff);
  fw.writePort(DMA_PORT + 4, 4, 0xffffffff);
});

test("DMA writes reach items that allow it, whole and within their size", () => {
  const { fw, memory, dma } = rig();
  const written: [number, string][] = [];
  const contents = new Uint8Array(8);
  const key = fw.addFile("etc/address", {
    size: 8,
    read: () => contents,
    written: (offset, bytes) => {
      written.push([offset, textOf(bytes)]);
      contents.set(bytes, offset);
    },
  });
  memory.bytes.set(ascii("ABCDEFGH"), 0x3000);
  assert.equal(dma((key << 16) | SELECT | WRITE, 3, 0x3000), 0);
  assert.equal(dma(WRITE, 5, 0x3003), 0);
  assert.equal(dma(WRITE, 1, 0x3000), ERROR);
  assert.deepEqual(written, [
    [0, "ABC"],
    [3, "DEFGH"],
  ]);
  assert.equal(dma((key << 16) | SELECT | READ, 8, 0x4000), 0);
  assert.equal(textOf(memory.bytes.subarray(0x4000, 0x4008)), "ABCDEFGH");
  assert.equal(dma((FwCfgKey.signature << 16) | SELECT | WRITE, 1, 0x3000), ERROR);
});

test("a transfer over its own request still leaves the outcome there", () => {
  const { fw, dma } = rig();
  fw.addItem(FwCfgKey.kernelData, new Uint8Array(64).fill(0xee));
  assert.equal(dma((FwCfgKey.kernelData << 16) | SELECT | READ, 16, REQUEST), 0);
});

test("a restored device goes on reading where it was", () => {
  const { fw, item } = rig();
  item(FwCfgKey.signature, 2);
  const copy = new FwCfg();
  Object.assign(copy.state, structuredClone(fw.state));
  copy.restored();
  assert.equal(copy.readPort(DATA_PORT, 1), "M".charCodeAt(0));
  copy.reset();
  assert.equal(copy.readPort(DATA_PORT, 1), "Q".charCodeAt(0));
});
