import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../../disk/block-device.ts";
import { MemoryStore } from "../../disk/memory-store.ts";
import type { Parts } from "../../disk/parts.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import type { AsyncWork } from "../../machine/device.ts";
import { ImmediateWork, PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import {
  type Buffer,
  type DriverQueue,
  needsReset,
  ProbeTransport,
  start,
  textIn,
} from "../virtio/testing/guest-driver.ts";
import { FEATURE } from "../virtio/virtio-device.ts";
import { BlkConfig, BlkFeature, RangeSegment, RequestHeader, RequestStatus, RequestType } from "./layout.ts";
import { MAX_IN_FLIGHT, MAX_RANGES, PIECE, VirtioBlk } from "./virtio-blk.ts";

const SECTORS = 8192;
const HEADER = 0x8000;
const STATUS = 0x8800;
const DATA = 0x10_0000;
const ALL = [
  FEATURE.version1,
  FEATURE.indirectDesc,
  ...Object.values(BlkFeature).filter((bit) => bit !== BlkFeature.readOnly),
];

/** Lets every host operation that was begun end. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A disk that counts flushes, can fail, and holds operations back until told. */
class TestDisk implements BlockDevice {
  readonly size: number;
  readonly readOnly: boolean;
  readonly calls: string[] = [];
  failure: BlockError | undefined;
  held: (() => void)[] | undefined;
  /** Whether reads and writes are made at once. */
  isAtOnce = false;
  readonly #inner: BlockDevice;
  constructor(inner: BlockDevice) {
    this.#inner = inner;
    this.size = inner.size;
    this.readOnly = inner.readOnly;
  }
  async #call(name: string, operation: () => Promise<void>): Promise<void> {
    this.calls.push(name);
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (this.failure) throw this.failure;
    await operation();
  }
  read(offset: ByteOffset, target: Uint8Array) {
    return this.#call("read", () => this.#inner.read(offset, target));
  }
  write(offset: ByteOffset, source: Uint8Array) {
    return this.#call("write", () => this.#inner.write(offset, source));
  }
  readNow(offset: ByteOffset, targets: Parts) {
    return this.isAtOnce && (this.#inner.readNow?.(offset, targets) ?? false);
  }
  writeNow(offset: ByteOffset, sources: Parts) {
    return this.isAtOnce && (this.#inner.writeNow?.(offset, sources) ?? false);
  }
  flush() {
    return this.#call("flush", () => this.#inner.flush());
  }
  discard(offset: ByteOffset, length: number) {
    return this.#call(`discard ${offset} ${length}`, () => this.#inner.discard(offset, length));
  }
  writeZeroes(offset: ByteOffset, length: number) {
    return this.#call(`zero ${offset} ${length}`, () => this.#inner.writeZeroes(offset, length));
  }
  close() {
    return this.#inner.close();
  }
}

function rig({ readOnly = false, features = ALL as readonly number[], work = new ImmediateWork() as AsyncWork } = {}) {
  const memory = new PlainMemory(0x40_0000);
  const content = new Uint8Array(SECTORS * 512);
  new SeededRandom(9).fill(content);
  const store = MemoryStore.of(content, { readOnly });
  const disk = new TestDisk(new RawDisk(store));
  const errors: Error[] = [];
  const device = new VirtioBlk({
    memory,
    disk,
    work,
    serial: "bunkhouse-disk-0",
    events: { ioError: (error) => void errors.push(error) },
  });
  const transport = new ProbeTransport();
  device.attach(transport);
  const queue = start(device, memory, { features, size: 128 })[0]!;
  return { memory, content, store, disk, device, transport, queue, errors };
}

type Rig = Pick<ReturnType<typeof rig>, "memory" | "queue" | "device">;

/** Puts a request with its own header and status byte into the queue; `slot` keeps those of several apart. */
function request(
  { memory, queue, device }: Rig,
  type: number,
  sector: number | bigint,
  data: Buffer[],
  slot = 0,
): number {
  memory.bytes.set(RequestHeader.make({ type, sector: BigInt(sector) }), HEADER + 16 * slot);
  memory.bytes[STATUS + slot] = 0xee;
  const head = queue.add({ address: HEADER + 16 * slot, length: 16 }, ...data, {
    address: STATUS + slot,
    length: 1,
    writable: true,
  });
  device.notified(0);
  return head;
}

/** Sends one request; returns its status byte and used length. */
async function ask(r: Rig, type: number, sector: number | bigint, ...data: Buffer[]) {
  request(r, type, sector, data);
  for (let i = 0; i < 20 && r.memory.bytes[STATUS] === 0xee; i++) await settle();
  const [used] = r.queue.takeUsed();
  return [r.memory.bytes[STATUS], used?.length];
}

const into = (length: number, address = DATA): Buffer => ({ address, length, writable: true });
const from = (length: number, address = DATA): Buffer => ({ address, length });

function putRanges(memory: PlainMemory, ...ranges: [sector: number, numSectors: number, flags?: number][]): Buffer {
  for (const [i, [sector, numSectors, flags = 0]] of ranges.entries()) {
    memory.bytes.set(RangeSegment.make({ sector: BigInt(sector), numSectors, flags }), DATA + RangeSegment.size * i);
  }
  return from(RangeSegment.size * ranges.length);
}

test("a read brings sectors into the guest's buffers, whatever their sizes", async () => {
  const r = rig();
  assert.deepEqual(await ask(r, RequestType.in, 3, into(100), into(924, DATA + 0x1000)), [RequestStatus.ok, 1025]);
  assert.deepEqual(r.memory.bytes.slice(DATA, DATA + 100), r.content.slice(1536, 1636));
  assert.deepEqual(r.memory.bytes.slice(DATA + 0x1000, DATA + 0x1000 + 924), r.content.slice(1636, 2560));
  assert.deepEqual(r.transport.notifications, [0]);
});

test("a write stores the guest's bytes of the moment it was made available", async () => {
  const r = rig();
  r.memory.bytes.fill(0x5a, DATA, DATA + 1024);
  request(r, RequestType.out, 10, [from(512), from(512, DATA + 512)]);
  r.memory.bytes.fill(0, DATA, DATA + 1024);
  await settle();
  assert.deepEqual(r.queue.takeUsed(), [{ head: 0, length: 1 }]);
  assert.equal(r.memory.bytes[STATUS], RequestStatus.ok);
  r.content.fill(0x5a, 5120, 6144);
  assert.deepEqual(r.store.toBytes(), r.content);
});

for (const buffers of [[1024], [100, 924]]) {
  const where = buffers.length === 1 ? "in one buffer" : "in several";
  test(`what the host does at once is done before the notification ends, and the rest is waited for, ${where}`, async () => {
    const r = rig({ work: Object.assign(new ImmediateWork(), { immediate: true }) });
    const lay = (make: (length: number, address: number) => Buffer) =>
      buffers.map((length, i) => make(length, DATA + 0x1000 * i));
    const bytes = () =>
      buffers.flatMap((length, i) => [...r.memory.bytes.subarray(DATA + 0x1000 * i).subarray(0, length)]);
    for (const [turn, isAtOnce] of [true, false, true].entries()) {
      r.disk.isAtOnce = isAtOnce;
      request(r, RequestType.in, 3 + turn, lay(into));
      assert.equal(r.memory.bytes[STATUS], isAtOnce ? RequestStatus.ok : 0xee);
      await settle();
      assert.deepEqual(Uint8Array.from(bytes()), r.content.slice(512 * (3 + turn), 512 * (5 + turn)));
      for (const { address, length } of lay(from)) r.memory.bytes.fill(0x40 + turn, address, address + length);
      request(r, RequestType.out, 20 + turn, lay(from));
      assert.equal(r.memory.bytes[STATUS], isAtOnce ? RequestStatus.ok : 0xee);
      r.memory.bytes.fill(0, DATA, DATA + 0x2000);
      await settle();
      r.content.fill(0x40 + turn, 512 * (20 + turn), 512 * (22 + turn));
      assert.deepEqual(r.store.toBytes(), r.content);
    }
    assert.deepEqual(r.disk.calls, ["read", "write"]);
  });
}

test("a header and a status byte may lie in several buffers or share them with data", async () => {
  const r = rig();
  r.memory.bytes.set(RequestHeader.make({ type: RequestType.in, sector: 1n }), HEADER);
  r.queue.add({ address: HEADER, length: 5 }, { address: HEADER + 5, length: 11 }, into(513));
  r.device.notified(0);
  await settle();
  assert.deepEqual(r.queue.takeUsed(), [{ head: 0, length: 513 }]);
  assert.deepEqual(r.memory.bytes.slice(DATA, DATA + 512), r.content.slice(512, 1024));
  assert.equal(r.memory.bytes[DATA + 512], RequestStatus.ok);
});

test("a request larger than a piece arrives whole, by way of an indirect table", async () => {
  const r = rig();
  const length = 2 * PIECE + 512;
  r.memory.bytes.set(RequestHeader.make({ type: RequestType.in, sector: 0n }), HEADER);
  r.queue.addIndirect(
    0x9000,
    { address: HEADER, length: 16 },
    into(PIECE - 100),
    into(length - PIECE + 100, DATA + PIECE - 100),
    { address: STATUS, length: 1, writable: true },
  );
  r.device.notified(0);
  for (let i = 0; i < 5; i++) await settle();
  assert.deepEqual(r.queue.takeUsed(), [{ head: 0, length: length + 1 }]);
  assert.deepEqual(r.disk.calls, ["read", "read", "read"]);
  assert.deepEqual(r.memory.bytes.slice(DATA, DATA + length), r.content.slice(0, length));
});

test("requests run side by side and complete in any order", async () => {
  const r = rig();
  r.disk.held = [];
  const heads = [0, 1, 2].map((i) => request(r, RequestType.in, i, [into(512, DATA + 512 * i)], i));
  await settle();
  assert.equal(r.disk.held.length, 3);
  r.disk.held[2]?.();
  await settle();
  assert.deepEqual(
    r.queue.takeUsed().map(({ head }) => head),
    [heads[2]],
  );
  r.disk.held[0]?.();
  r.disk.held[1]?.();
  await settle();
  assert.deepEqual(
    r.queue.takeUsed().map(({ head }) => head),
    [heads[0], heads[1]],
  );
});

test("requests beyond the limit wait and are taken as others complete", async () => {
  const r = rig();
  r.disk.held = [];
  // A status byte and nothing else to write: each chain has two descriptors, and the queue has room for 64.
  for (let i = 0; i < MAX_IN_FLIGHT; i++) request(r, RequestType.flush, 0, [], i);
  await settle();
  for (const release of r.disk.held.splice(0, 3)) release();
  await settle();
  for (let i = 0; i < 5; i++) request(r, RequestType.flush, 0, [], i);
  await settle();
  assert.equal(r.disk.held.length, MAX_IN_FLIGHT);
  for (const release of r.disk.held.splice(0)) release();
  await settle();
  assert.equal(r.disk.held.length, 2);
});

test("transfers outside the disk or not of whole sectors are I/O errors and reach nothing", async () => {
  const r = rig();
  assert.deepEqual(await ask(r, RequestType.in, SECTORS, into(512)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.in, SECTORS - 1, into(1024)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.in, 2n ** 64n - 1n, into(512)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.in, 2n ** 55n, into(512)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.in, 0, into(100)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.out, SECTORS, from(512)), [RequestStatus.ioError, 1]);
  assert.deepEqual(await ask(r, RequestType.out, 0, from(513)), [RequestStatus.ioError, 1]);
  assert.deepEqual(r.disk.calls, []);
  assert.deepEqual(r.errors, []);
});

test("the last sector can be read", async () => {
  const r = rig();
  assert.deepEqual(await ask(r, RequestType.in, SECTORS - 1, into(512)), [RequestStatus.ok, 513]);
});

test("an error of the host's storage is an I/O error to the guest and an event with the details", async () => {
  const r = rig();
  r.disk.failure = new BlockError("no-space", "no space left");
  assert.deepEqual(await ask(r, RequestType.in, 0, into(512)), [RequestStatus.ioError, 0]);
  assert.deepEqual(await ask(r, RequestType.flush, 0), [RequestStatus.ioError, 1]);
  assert.deepEqual(r.errors, [r.disk.failure, r.disk.failure]);
  r.disk.failure = undefined;
  assert.deepEqual(await ask(r, RequestType.in, 0, into(512)), [RequestStatus.ok, 513]);
});

test("a request type that is not there is unsupported", async () => {
  assert.deepEqual(await ask(rig(), 99, 0, into(512)), [RequestStatus.unsupported, 0]);
});

test("the serial comes padded with zeros", async () => {
  const r = rig();
  r.memory.bytes.fill(0xff, DATA, DATA + 20);
  assert.deepEqual(await ask(r, RequestType.getId, 0, into(20)), [RequestStatus.ok, 21]);
  assert.equal(textIn(r.memory, DATA, 20), "bunkhouse-disk-0\0\0\0\0");
});

test("a flush reaches the disk", async () => {
  const r = rig();
  assert.deepEqual(await ask(r, RequestType.flush, 0), [RequestStatus.ok, 1]);
  assert.deepEqual(r.disk.calls, ["flush"]);
});

test("writes are flushed one by one for a driver without FLUSH, and not for one with it", async () => {
  const plain = rig({ features: [FEATURE.version1] });
  await ask(plain, RequestType.out, 0, from(512));
  assert.deepEqual(plain.disk.calls, ["write", "flush"]);
  assert.equal(plain.device.readConfig(BlkConfig.offset.writeback, 1), 0);
  const able = rig();
  await ask(able, RequestType.out, 0, from(512));
  assert.deepEqual(able.disk.calls, ["write"]);
  assert.equal(able.device.readConfig(BlkConfig.offset.writeback, 1), 1);
});

test("a driver can turn the write-back cache off and on", async () => {
  const r = rig();
  r.device.writeConfig(BlkConfig.offset.writeback, 1, 0);
  assert.equal(r.device.readConfig(BlkConfig.offset.writeback, 1), 0);
  await ask(r, RequestType.out, 0, from(512));
  r.device.writeConfig(BlkConfig.offset.writeback, 1, 1);
  await ask(r, RequestType.out, 0, from(512));
  assert.deepEqual(r.disk.calls, ["write", "flush", "write"]);
});

test("discard and write zeroes act on every range of the request", async () => {
  const r = rig();
  const { discard, writeZeroes } = RequestType;
  assert.deepEqual(await ask(r, discard, 0, putRanges(r.memory, [8, 8], [100, 1])), [RequestStatus.ok, 1]);
  assert.deepEqual(await ask(r, writeZeroes, 0, putRanges(r.memory, [16, 2, 1], [20, 1])), [RequestStatus.ok, 1]);
  assert.deepEqual(r.disk.calls, ["discard 4096 4096", "discard 51200 512", "zero 8192 1024", "zero 10240 512"]);
  assert.ok(
    r.store
      .toBytes()
      .subarray(8192, 9216)
      .every((byte) => byte === 0),
  );
});

test("impossible ranges and flags are refused before anything is touched", async () => {
  const r = rig();
  const { discard, writeZeroes } = RequestType;
  const { ioError, unsupported } = RequestStatus;
  const statusOf = async (type: number, buffer: Buffer) => (await ask(r, type, 0, buffer))[0];
  assert.equal(await statusOf(discard, putRanges(r.memory, [0, 1, 1])), unsupported);
  assert.equal(await statusOf(discard, putRanges(r.memory, [0, 1], [0, 1, 0x80])), unsupported);
  assert.equal(await statusOf(writeZeroes, putRanges(r.memory, [0, 1, 2])), unsupported);
  assert.equal(await statusOf(writeZeroes, putRanges(r.memory, [0, 1], [SECTORS - 1, 2])), ioError);
  assert.equal(await statusOf(writeZeroes, putRanges(r.memory, [0, 0xffff_ffff])), ioError);
  assert.equal(await statusOf(discard, from(8)), ioError);
  assert.equal(await statusOf(discard, from(RangeSegment.size + 1)), ioError);
  assert.equal(await statusOf(discard, from(RangeSegment.size * (MAX_RANGES + 1))), ioError);
  assert.deepEqual(r.disk.calls, []);
});

test("discard and write zeroes are unsupported where they were not negotiated", async () => {
  const r = rig({ features: [FEATURE.version1] });
  const ranges = putRanges(r.memory, [0, 1]);
  assert.deepEqual(await ask(r, RequestType.discard, 0, ranges), [RequestStatus.unsupported, 1]);
  assert.deepEqual(await ask(r, RequestType.writeZeroes, 0, ranges), [RequestStatus.unsupported, 1]);
});

test("a read-only disk says so and fails every write", async () => {
  const r = rig({ readOnly: true, features: [FEATURE.version1, BlkFeature.readOnly, BlkFeature.flush] });
  assert.notEqual(r.device.deviceFeatures(0) & (1 << BlkFeature.readOnly), 0);
  assert.equal(r.device.deviceFeatures(0) & (1 << BlkFeature.discard), 0);
  assert.deepEqual(await ask(r, RequestType.out, 0, from(512)), [RequestStatus.ioError, 1]);
  assert.deepEqual(await ask(r, RequestType.in, 0, into(512)), [RequestStatus.ok, 513]);
  assert.deepEqual(r.disk.calls, ["read"]);
});

test("the configuration tells capacity, segments and geometry", () => {
  const { device } = rig();
  const read = (name: keyof typeof BlkConfig.offset, size: number) => device.readConfig(BlkConfig.offset[name], size);
  assert.equal(read("capacity", 4), SECTORS);
  assert.equal(device.readConfig(4, 4), 0);
  assert.equal(read("segMax", 4), 254);
  assert.deepEqual([read("cylinders", 2), read("heads", 1), read("sectors", 1)], [8, 16, 63]);
  assert.equal(read("blkSize", 4), 512);
  assert.equal(device.readConfig(1000, 4), 0);
});

test("requests that cannot even be answered ask for a reset", () => {
  const noStatus = rig();
  noStatus.queue.add({ address: HEADER, length: 16 });
  noStatus.device.notified(0);
  assert.equal(needsReset(noStatus.device), true);

  const twice = rig();
  twice.disk.held = [];
  twice.queue.makeAvailable(request(twice, RequestType.flush, 0, []));
  twice.device.notified(0);
  assert.equal(needsReset(twice.device), true);
});

test("a request with half a header is an I/O error", async () => {
  const r = rig();
  r.queue.add({ address: HEADER, length: 8 }, { address: STATUS, length: 1, writable: true });
  r.device.notified(0);
  await settle();
  assert.equal(r.memory.bytes[STATUS], RequestStatus.ioError);
});

test("after a reset nothing of the earlier requests reaches memory, and new ones wait for the host to end those", async () => {
  const r = rig();
  r.disk.held = [];
  request(r, RequestType.in, 0, [into(512)]);
  request(r, RequestType.out, 5, [from(512, DATA + 0x1000)], 1);
  await settle();
  const queue: DriverQueue = start(r.device, r.memory, { features: ALL, size: 128 })[0]!;
  const again = { ...r, queue };
  r.memory.bytes.fill(1, DATA, DATA + 0x2000);
  request(again, RequestType.out, 5, [from(512)]);
  await settle();
  const [read, write, ...rest] = r.disk.held;
  assert.equal(rest.length, 0);
  read?.();
  write?.();
  await settle();
  assert.equal(r.memory.bytes[DATA], 1);
  assert.equal(queue.usedIndex, 0);
  r.disk.held.at(-1)?.();
  await settle();
  assert.deepEqual(queue.takeUsed(), [{ head: 0, length: 1 }]);
  assert.equal(r.store.toBytes()[5 * 512], 1);
});

test("requests in flight when a snapshot is taken are made again when it is loaded", async () => {
  const r = rig();
  r.disk.held = [];
  const head = request(r, RequestType.in, 2, [into(512)]);
  await settle();
  const snapshot = structuredClone(r.device.state);
  assert.deepEqual(snapshot.device.inFlight, [head]);

  const disk = new TestDisk(new RawDisk(MemoryStore.of(r.content)));
  const copy = new VirtioBlk({ memory: r.memory, disk, work: new ImmediateWork() });
  copy.attach(new ProbeTransport());
  Object.assign(copy.state, snapshot);
  copy.restored();
  await settle();
  assert.deepEqual(r.queue.takeUsed(), [{ head, length: 513 }]);
  assert.deepEqual(r.memory.bytes.slice(DATA, DATA + 512), r.content.slice(1024, 1536));
  assert.deepEqual(copy.state.device.inFlight, []);
});
