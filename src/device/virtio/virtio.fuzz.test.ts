/** Hostile drivers against every virtio device: random rings, chains and registers. Nothing may throw or hang. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../disk/memory-store.ts";
import { OverlayDisk } from "../../disk/overlay/overlay-disk.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import type { AccessSize } from "../../machine/device.ts";
import { MemoryBus } from "../../machine/memory-bus.ts";
import { PortBus } from "../../machine/port-bus.ts";
import { ImmediateWork, PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { ETHERNET_HEADER, LARGEST_FRAME } from "../../net/link.ts";
import { VirtioBalloon } from "../virtio-balloon/virtio-balloon.ts";
import { BlkFeature, RangeSegment, RequestHeader, RequestType } from "../virtio-blk/layout.ts";
import { VirtioBlk } from "../virtio-blk/virtio-blk.ts";
import { VirtioConsole } from "../virtio-console/virtio-console.ts";
import { NetFeature, NetHeader } from "../virtio-net/layout.ts";
import { VirtioNet } from "../virtio-net/virtio-net.ts";
import { VirtioRng } from "../virtio-rng/virtio-rng.ts";
import { type Buffer, type DriverQueue, INDIRECT, NEXT, needsReset, start, WRITE } from "./testing/guest-driver.ts";
import { FEATURE, type VirtioDevice } from "./virtio-device.ts";
import { VirtioPci } from "./virtio-pci.ts";

const RAM = 0x4_0000;
/** Where the rings end and buffers may begin; indirect tables and request headers have their places in front. */
const TABLES = 0x1_0000;
const HEADERS = 0x1_8000;
const BUFFERS = 0x2_0000;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

interface Rig {
  device: VirtioDevice<object>;
  features?: readonly number[];
  /** The buffers of a request that makes sense to queue `index`. */
  request(index: number): Buffer[];
  /** What the host does with the device meanwhile. */
  poke?: () => void;
}

const devices: Record<string, (memory: PlainMemory, random: SeededRandom) => Rig> = {
  rng: (memory, random) => ({
    device: new VirtioRng({ memory, random }),
    request: () => [buffer(random, true), buffer(random, true)],
  }),
  console: (memory, random) => {
    const device = new VirtioConsole({ memory, output: { write: () => {} } });
    return {
      device,
      request: (index) => [buffer(random, index === 0), buffer(random, index === 0)],
      poke: () => void device.receive(new Uint8Array(random.below(3000))),
    };
  },
  balloon: (memory, random) => {
    const release = (address: number, length: number) => {
      assert.ok(address >= 0 && length > 0 && address + length <= RAM && address % 4096 === 0 && length % 4096 === 0);
    };
    const device = new VirtioBalloon({ memory, release });
    return {
      device,
      request: (index) => [buffer(random, index > 2)],
      poke: () => void device.requestStatistics(),
    };
  },
  blk: (memory, random) => {
    const disk = new OverlayDisk({ base: new RawDisk(new MemoryStore(1024 * 1024)), limit: 5 * 64 * 1024 });
    const types = Object.values(RequestType);
    const request = () => {
      const at = HEADERS + 16 * random.below(128);
      const type = random.below(10) === 0 ? random.next() : types[random.below(types.length)]!;
      const sector = random.below(20) === 0 ? BigInt(random.next()) << 32n : BigInt(random.below(2100));
      memory.bytes.set(RequestHeader.make({ type, sector }), at);
      const header = { address: at, length: 16 };
      const data: Buffer[] = [];
      if (type === RequestType.discard || type === RequestType.writeZeroes) {
        const place = HEADERS + 0x1000 + 16 * random.below(64);
        const numSectors = random.below(20) === 0 ? random.next() : random.below(500);
        const flags = random.below(10) === 0 ? random.next() : type === RequestType.writeZeroes ? random.below(2) : 0;
        memory.bytes.set(RangeSegment.make({ sector, numSectors, flags }), place);
        data.push({ address: place, length: 16 * (1 + random.below(2)) });
      } else {
        data.push({ ...buffer(random, type !== RequestType.out), length: 512 * random.below(8) });
      }
      return [header, ...data, { address: BUFFERS + random.below(0x1_0000), length: 1, writable: true }];
    };
    return {
      device: new VirtioBlk({ memory, disk, work: new ImmediateWork() }),
      features: [BlkFeature.flush, BlkFeature.discard, BlkFeature.writeZeroes],
      request,
    };
  },
  net: (memory, random) => {
    const address = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
    const port = {
      transmit: ({ length }: Uint8Array) => {
        assert.ok(length >= ETHERNET_HEADER && length <= LARGEST_FRAME);
        return random.below(4) !== 0;
      },
      roomAgain: () => void device.receive(new Uint8Array(60)),
    };
    const device: VirtioNet = new VirtioNet({ memory, connect: () => port, address });
    const transmit = () => {
      const at = HEADERS + 16 * random.below(128);
      const flags = random.below(2);
      const csumStart = random.below(200);
      const csumOffset = random.below(20);
      memory.bytes.set(NetHeader.make({ flags, gsoType: random.below(8) === 0 ? 1 : 0, csumStart, csumOffset }), at);
      return [
        { address: at, length: NetHeader.size },
        { ...buffer(random, false), length: random.below(1600) },
      ];
    };
    const command = () => {
      const at = HEADERS + 0x1000 + 8 * random.below(64);
      memory.bytes.set([random.below(3), random.below(7), random.below(100), 0, 0, 0], at);
      const data = { ...buffer(random, false), length: 4 + random.below(1000) };
      return [{ address: at, length: 2 + random.below(5) }, data, { ...data, length: 1, writable: true }];
    };
    const receive = () => [{ ...buffer(random, true), length: 12 + random.below(random.below(2) ? 200 : 3000) }];
    return {
      device,
      features: Object.values(NetFeature).filter((bit) => bit !== NetFeature.mrgRxbuf || random.below(4) !== 0),
      request: (index) => [receive, transmit, command][index]!(),
      poke: () => {
        if (random.below(10) === 0) device.setLink(random.below(2) === 0);
        for (let i = random.below(30); i > 0; i--) device.receive(frame(random));
      },
    };
  },
};

/** A frame to the device, a group or another station, and sometimes none. */
function frame(random: SeededRandom): Uint8Array {
  const bytes = new Uint8Array(random.below(10) === 0 ? random.below(2000) : 14 + random.below(1501));
  bytes.set(
    [[0x52, 0x54, 0, 0, 0, 1], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [1, 0, 0x5e, 0, 0, 1], [2]][
      random.below(4)
    ]!.slice(0, bytes.length),
  );
  return bytes;
}

function buffer(random: SeededRandom, writable: boolean): Buffer {
  return { address: BUFFERS + random.below(0x1_0000), length: random.below(5000), writable };
}

/** Fills a queue with requests, each field of each descriptor spoilt with the given chance in 1000. */
function fill(rig: Rig, index: number, queue: DriverQueue, random: SeededRandom, hostility: number): void {
  const spoil = (value: number, limit: number) => {
    if (random.below(1000) >= hostility) return value;
    return random.below(3) === 0 ? random.below(limit) : (value ^ (1 << random.below(Math.log2(limit)))) >>> 0;
  };
  const describe = (at: number, { address, length, writable }: Buffer, next: number | undefined, table?: number) => {
    const flags = (writable ? WRITE : 0) | (next === undefined ? 0 : NEXT);
    const high = 2 ** 32 * spoil(0, 2 ** 32);
    queue.describe(
      at,
      spoil(address, 2 ** 32) + high,
      spoil(length, 2 ** 32),
      spoil(flags, 8),
      spoil(next ?? 0, 2 ** 16),
      table,
    );
  };
  const indirect = rig.device.negotiated(FEATURE.indirectDesc);
  for (let free = 0; free < queue.size; ) {
    const buffers = rig.request(index);
    if (indirect && random.below(2) === 0) {
      const table = TABLES + 0x40 * (64 * index + free);
      for (const [i, part] of buffers.entries()) describe(i, part, i + 1 < buffers.length ? i + 1 : undefined, table);
      queue.describe(
        free,
        spoil(table, 2 ** 32),
        spoil(16 * buffers.length, 2 ** 32),
        spoil(INDIRECT, 8),
        spoil(0, 2 ** 16),
      );
      queue.makeAvailable(spoil(free, 2 ** 16));
      free++;
    } else {
      if (free + buffers.length > queue.size) break;
      for (const [i, part] of buffers.entries())
        describe(free + i, part, i + 1 < buffers.length ? free + i + 1 : undefined);
      queue.makeAvailable(spoil(free, 2 ** 16));
      free += buffers.length;
    }
  }
  queue.availableIndex = spoil(queue.availableIndex, 2 ** 16);
  queue.usedEvent = spoil(queue.usedIndex, 2 ** 16);
}

for (const [name, create] of Object.entries(devices)) {
  for (const hostility of [0, 3, 30, 300]) {
    test(`${name} survives rings of which ${hostility} fields in 1000 are spoilt`, async () => {
      const random = new SeededRandom(hostility + 17);
      const memory = new PlainMemory(RAM);
      const rig = create(memory, random);
      const { device } = rig;
      let resets = 0;
      let used = 0;
      for (let round = 0; round < 300; round++) {
        const features = [
          FEATURE.version1,
          ...[FEATURE.indirectDesc, FEATURE.eventIdx].filter(() => random.below(2) === 0),
        ];
        for (let i = 0; i < 500; i++) memory.bytes[BUFFERS + random.below(RAM - BUFFERS)] = random.next();
        const size = 2 ** (2 + random.below(5));
        const queues = start(device, memory, { features: [...features, ...(rig.features ?? [])], size });
        for (let kick = 0; kick < 4 && !needsReset(device); kick++) {
          for (const [index, queue] of queues.entries()) {
            if (queue.usedIndex === queue.availableIndex) fill(rig, index, queue, random, hostility);
          }
          rig.poke?.();
          for (const index of queues.keys()) device.notified(index);
          // The longest request takes a handful of host operations, each of a few turns.
          for (let turn = 0; turn < 6; turn++) await settle();
        }
        used += queues.reduce((total, queue) => total + queue.usedIndex, 0);
        if (needsReset(device)) resets++;
      }
      // The balloon's driver must keep one statistics buffer only, which this one does not.
      if (hostility === 0 && name !== "balloon") assert.equal(resets, 0);
      if (hostility === 300) assert.ok(resets > 250, `only ${resets} rounds ended in DEVICE_NEEDS_RESET`);
      if (hostility < 10) assert.ok(used > 1000, `only ${used} requests were answered`);
    });
  }
}

for (const [name, create] of Object.entries(devices)) {
  test(`${name} over PCI survives random register accesses`, async () => {
    const random = new SeededRandom(99);
    const memory = new PlainMemory(RAM);
    const bus = new MemoryBus();
    const { device, poke } = create(memory, random);
    const card = new VirtioPci({ name, device, ports: new PortBus(), memory: bus });
    card.reset();
    card.pci.writeConfig(0x10, 4, 0xfe00_0000);
    card.pci.writeConfig(0x14, 4, 0xfe01_0000);
    for (let i = 0; i < 20_000; i++) {
      if (i % 50 === 0) card.pci.writeConfig(0x04, 2, 6);
      if (i % 400 === 0) start(device, memory, { size: 8 });
      const size = [1, 2, 4][random.below(3)] as AccessSize;
      const value = random.below(4) === 0 ? random.next() : random.below(256);
      const structure = random.below(5) * 0x1000;
      const at = 0xfe00_0000 + (structure === 0x4000 ? 0x1_0000 : structure) + random.below(0x60);
      const offset = 0x40 + random.below(0xc0);
      const limit = 2 ** (8 * size);
      switch (random.below(5)) {
        case 0:
          bus.write(at, size, value);
          break;
        case 1:
          card.pci.writeConfig(offset, size, value);
          break;
        case 2:
          poke?.();
          break;
        case 3: {
          const found = bus.read(at, size);
          assert.ok(Number.isInteger(found) && found >= 0 && found < limit);
          break;
        }
        default: {
          const found = card.pci.readConfig(offset, size);
          assert.ok(Number.isInteger(found) && found >= 0 && found < limit);
        }
      }
      if (i % 100 === 0) await settle();
    }
  });
}
