import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../disk/memory-store.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import { ImmediateWork, PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { ScsiCdrom } from "../scsi/scsi-cdrom.ts";
import { ScsiDisk } from "../scsi/scsi-disk.ts";
import { type DriverQueue, ProbeTransport, start } from "../virtio/testing/guest-driver.ts";
import { VirtioScsi } from "./virtio-scsi.ts";

const RAM = 1 << 20;
const CODES = [0x00, 0x03, 0x08, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x55, 0x5a, 0xa0];

test("random requests and task management never throw, and what is in flight stays bounded", async () => {
  const random = new SeededRandom(56);
  const memory = new PlainMemory(RAM);
  const units = [
    new ScsiDisk({ disk: new RawDisk(new MemoryStore(1 << 18)), serial: "A" }),
    new ScsiCdrom({ transport: "scsi" }, { medium: new RawDisk(new MemoryStore(1 << 18), { readOnly: true }) }),
  ];
  const device = new VirtioScsi({ memory, work: new ImmediateWork(), units });
  device.attach(new ProbeTransport());
  let queues = start(device, memory, { size: 64 }) as [DriverQueue, DriverQueue, DriverQueue];
  const place = () => 0x1_0000 + random.below(RAM - 0x2_0000);
  for (let i = 0; i < 6000; i++) {
    const which = random.below(10) === 0 ? random.below(3) : 2;
    const request = place();
    random.fill(memory.bytes.subarray(request, request + 64));
    if (random.below(10)) memory.bytes.set([1, random.below(3), 0x40, 0, 0, 0, 0, 0], request);
    if (random.below(10)) memory.bytes[request + 19] = random.pick(CODES);
    if (random.below(2)) memory.bytes.fill(0, request + 20, request + 27);
    if (which === 0)
      memory.bytes.set([random.below(4), 0, 0, 0, random.below(9), 0, 0, 0, 1, random.below(3), 0x40, 0], request);
    const length = random.below(20) ? 51 : random.below(64) + 1;
    queues[which]!.add(
      { address: request, length },
      ...(random.below(2) ? [{ address: place(), length: 1 + random.below(5000) }] : []),
      { address: place(), length: random.below(20) ? 108 : 1 + random.below(200), writable: true },
      ...(random.below(2) ? [{ address: place(), length: 1 + random.below(5000), writable: true }] : []),
    );
    device.notified(which);
    if (random.below(4) === 0) await settle();
    if (random.below(30) === 0) device.writeConfig(20 + random.below(3) * 4, 4, random.next());
    if (!device.running || random.below(100) === 0) {
      queues = start(device, memory, { size: 64 }) as typeof queues;
    }
    assert.ok(device.state.device.inFlight.length <= 64);
  }
});

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
