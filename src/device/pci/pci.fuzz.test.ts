import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { PciFunction } from "./function.ts";
import { rig, Scratch } from "./testing/pci-rig.ts";

test("random configuration accesses, BARs over everything included, leave values in range and buses consistent", () => {
  const random = new SeededRandom(3);
  const board = rig();
  const { ports, memory, bus, buses, pirq, msi, read, write } = board;
  const functions = [2, 3].map((slot) => {
    const pci = new PciFunction(
      {
        name: `slot ${slot}`,
        identity: { vendor: 1, device: 2, revision: 3, classCode: 4 },
        interruptPin: 1,
        rom: new Uint8Array(4096),
        bars: [
          { kind: "io", index: 0, size: 256, device: new Scratch(256) },
          { kind: "memory", width: 32, index: 1, size: 0x1000, device: new Scratch(0x1000) },
          { kind: "memory", width: 64, index: 2, size: 2 ** 33, device: new Scratch(16) },
          { kind: "memory", width: 64, index: 4, size: 2 ** 20 },
        ],
        msix: { bar: 4, vectors: 64, tableOffset: 0, pendingOffset: 0x8000 },
        msiVectors: 32,
      },
      { ...buses, msi, intx: pirq.pin(slot, 0, 1) },
    );
    bus.attach(slot, 0, pci);
    return pci;
  });
  const sizes: readonly AccessSize[] = [1, 2, 4];
  const places = [0, 0xcf8, 0xcfc, 0x600, 0xe0000000, 0xffffffff, 0xfffff000, 2 ** 40, 2 ** 52 - 4];
  for (let step = 0; step < 20_000; step++) {
    const size = sizes[random.below(3)]!;
    const [slot, fn] = [random.below(4), random.below(2) * 3];
    const offset = random.below(2) ? random.below(256) : 4 + random.below(0x30);
    const value = random.below(2) ? places[random.below(7)]! : random.next();
    switch (random.below(6)) {
      case 0:
      case 1:
        write(slot, fn, offset, size, value);
        break;
      case 2: {
        const got = read(slot, fn, offset, size);
        assert.ok(Number.isInteger(got) && got >= 0 && got < 2 ** (8 * size));
        break;
      }
      case 3: {
        const got = memory.read(places[random.below(places.length)]! + random.below(64), size);
        assert.ok(got >= 0 && got < 2 ** (8 * size));
        memory.write(places[random.below(places.length)]! + random.below(0x100), size, value);
        break;
      }
      case 4:
        ports.write(random.below(0x10000), size, value);
        assert.ok(ports.read(random.below(0x10000), size) >= 0);
        break;
      case 5:
        functions[random.below(2)]!.signal(random.below(70));
        functions[random.below(2)]!.interrupt.set(random.below(2) === 1);
        board.messages.length = 0;
        break;
    }
    assert.ok(memory.ranges().length <= 8 && ports.ranges().length <= 5);
  }
});
