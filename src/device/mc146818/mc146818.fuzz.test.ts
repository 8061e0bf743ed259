import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ManualTime, ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { Mc146818 } from "./mc146818.ts";

const SIZES: AccessSize[] = [1, 1, 1, 2, 4];

test("random accesses at random times keep values in range and the line true to the flags", () => {
  const random = new SeededRandom(146818);
  const time = new ManualTime();
  const irq8 = new ProbeLine();
  const rtc = new Mc146818({ unixSeconds: 1_700_000_000 }, { time, irq8, nmiMask: new ProbeLine() });
  for (let i = 0; i < 20_000; i++) {
    const size = SIZES[random.below(SIZES.length)]!;
    if (random.below(2)) rtc.writePort(0x70, 1, random.below(4) ? random.below(0x0e) : random.below(256));
    const port = 0x70 + random.below(4);
    if (random.below(2)) rtc.writePort(port, size, random.next());
    else {
      const value = rtc.readPort(port, size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
    }
    time.advance(random.below(10) === 0 ? random.below(3_000_000_000) : random.below(1000));
    const flags = rtc.state.cmos[0x0c]! & rtc.state.cmos[0x0b]! & 0x70;
    assert.equal(irq8.level, flags !== 0);
    assert.ok(Number.isSafeInteger(rtc.state.epoch));
  }
});
