import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainMemory, SeededRandom } from "../../machine/testing/rig.ts";
import { I8237Pair } from "./i8237.ts";

const SIZES = [1, 1, 1, 2, 4] as const;

test("random programs move no more than devices have, and end", () => {
  const random = new SeededRandom(8237);
  const memory = new PlainMemory(0x4_0000);
  const dma = new I8237Pair({ memory });
  const left = new Map<number, number>();
  const channels = [0, 1, 2, 3, 5, 6, 7].map((number) => {
    const channel = dma.channel(number);
    channel.connect({
      acknowledge({ bytes }) {
        const moved = Math.min(random.below(bytes.length + 1), left.get(number) ?? 0);
        left.set(number, (left.get(number) ?? 0) - moved);
        if (random.below(8) === 0) channel.request.set(random.below(2) === 1);
        return moved;
      },
    });
    return { number, channel };
  });
  for (let i = 0; i < 20_000; i++) {
    const port = random.pick([random.below(16), 0x80 + random.below(16), 0xc0 + random.below(32)]);
    const size = random.pick(SIZES);
    switch (random.below(4)) {
      case 0: {
        const value = dma.readPort(port, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 1:
      case 2:
        dma.writePort(port, size, random.next());
        break;
      case 3: {
        const { number, channel } = random.pick(channels);
        left.set(number, random.below(100_000));
        channel.request.set(random.below(2) === 1);
        assert.ok((left.get(number) ?? 0) >= 0);
        break;
      }
    }
    for (const { channels: states } of dma.state.controllers) {
      for (const { address, count } of states)
        assert.ok(address >= 0 && address < 0x1_0000 && count >= 0 && count < 0x1_0000);
    }
  }
});
