import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ManualTime, ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { I8254 } from "./i8254.ts";

const PORTS = [0x40, 0x41, 0x42, 0x43, 0x61];
const SIZES: AccessSize[] = [1, 1, 1, 1, 2, 4];

test("random accesses at random times give unsigned values and a bounded number of edges", () => {
  const random = new SeededRandom(8254);
  const time = new ManualTime();
  const irq0 = new ProbeLine();
  const pit = new I8254({ time, irq0, speaker: (hertz) => assert.ok(hertz >= 0 && Number.isFinite(hertz)) });
  for (let i = 0; i < 20_000; i++) {
    const port = PORTS[random.below(PORTS.length)]!;
    const size = SIZES[random.below(SIZES.length)]!;
    const before = irq0.rises;
    const step = random.below(10) === 0 ? random.below(1_000_000) : random.below(2000);
    time.advance(step);
    assert.ok(irq0.rises - before <= 2 + step / 838, "no more edges than clocks");
    if (random.below(2)) pit.writePort(port, size, random.next());
    else {
      const value = pit.readPort(port, size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
    }
  }
});
