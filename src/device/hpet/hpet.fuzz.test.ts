import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ManualTime, ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { Hpet } from "./hpet.ts";

const SIZES: AccessSize[] = [4, 4, 4, 4, 2, 1];
const OFFSETS = [0x10, 0x20, 0xf0, 0xf4, 0x100, 0x108, 0x10c, 0x120, 0x128, 0x12c, 0x140, 0x148, 0x14c];

test("random accesses at random times give unsigned values and a bounded number of edges", () => {
  const random = new SeededRandom(0x4e7);
  const time = new ManualTime();
  const lines: ProbeLine[] = [];
  const probe = () => {
    const line = new ProbeLine();
    lines.push(line);
    return line;
  };
  const hpet = new Hpet({ routes: 0xff00_0000 }, { time, irq0: probe(), irq8: probe(), route: probe });
  let edges = 0;
  for (let i = 0; i < 20_000; i++) {
    const size = SIZES[random.below(SIZES.length)]!;
    const offset = random.below(4) ? OFFSETS[random.below(OFFSETS.length)]! : random.below(0x400);
    if (random.below(3)) hpet.writeMemory(offset, size, random.below(2) ? random.next() : random.below(0x10000));
    else {
      const value = hpet.readMemory(offset, size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
    }
    if (random.below(20) === 0) hpet.writeMemory(0x10, 4, 1 + 2 * random.below(2));
    const step = random.below(10) ? random.below(5000) : random.below(1_000_000);
    time.advance(step);
    const now = lines.reduce((sum, line) => sum + line.rises, 0);
    assert.ok(now - edges <= 3 * (2 + step / 10_000) + 12, `${now - edges} edges in ${step} ns`);
    edges = now;
    for (const { low, high } of hpet.state.comparators) {
      assert.ok(low >= 0 && low < 2 ** 32 && high >= 0 && high < 2 ** 32);
    }
  }
});
