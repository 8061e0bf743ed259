import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { DMA_PORT, FwCfg, SELECTOR_PORT } from "./fw-cfg.ts";

const SIZES: AccessSize[] = [1, 2, 4];

test("random accesses and random requests in memory never throw and give unsigned values", () => {
  const random = new SeededRandom(0x510);
  const memory = new PlainMemory(0x1000);
  const fw = new FwCfg({ memory });
  fw.addFile("read", new Uint8Array(300));
  fw.addFile("write", {
    size: 200,
    read: () => new Uint8Array(random.below(400)),
    written: (offset, bytes) => assert.ok(offset + bytes.length <= 200),
  });
  for (let i = 0; i < 20_000; i++) {
    const port = SELECTOR_PORT + random.below(12);
    const size = SIZES[random.below(3)]!;
    switch (random.below(4)) {
      case 0:
        fw.writePort(port, size, random.below(2) ? random.below(0x24) : random.next());
        break;
      case 1: {
        const value = fw.readPort(port, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      default: {
        // A plausible request: key, length and target near the device's and the memory's ends.
        const view = new DataView(memory.bytes.buffer);
        const at = random.below(0x1000 - 16);
        view.setUint32(at, ((0x19 + random.below(10)) << 16) | random.below(32));
        view.setUint32(at + 4, random.below(2) ? random.below(600) : random.next());
        view.setUint32(at + 8, random.below(8) ? 0 : random.next());
        view.setUint32(at + 12, random.below(0x1100));
        const swapped = new DataView(new ArrayBuffer(4));
        swapped.setUint32(0, random.below(8) ? at : random.next());
        if (random.below(8) === 0) fw.writePort(DMA_PORT, 4, random.next());
        fw.writePort(DMA_PORT + 4, 4, swapped.getUint32(0, true));
      }
    }
  }
});
