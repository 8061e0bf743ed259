import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { I8042 } from "./i8042.ts";
import { Ps2Keyboard, QUEUE_LIMIT } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";
import { KEYS } from "./scan-codes.ts";

const SIZES: AccessSize[] = [1, 1, 1, 2, 4];

test("random commands, keys and motion keep queues bounded, values in range and interrupts true to status", () => {
  const random = new SeededRandom(8042);
  const irq1 = new ProbeLine();
  const irq12 = new ProbeLine();
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  const kbc = new I8042({ keyboard, mouse, irq1, irq12, a20: new ProbeLine(), onReset: () => {} });
  const names = [...KEYS.keys()];
  for (let i = 0; i < 30_000; i++) {
    const size = SIZES[random.below(SIZES.length)]!;
    switch (random.below(6)) {
      case 0:
        kbc.writePort(0x64, size, random.next());
        break;
      case 1:
        kbc.writePort(0x60, size, random.below(3) ? 0xe0 | random.below(32) : random.next());
        break;
      case 2:
        kbc.writePort(0x64, 1, 0xd4);
        kbc.writePort(0x60, 1, random.below(3) ? 0xe0 | random.below(32) : random.next());
        break;
      case 3: {
        const value = kbc.readPort(random.below(2) ? 0x60 : 0x64, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 4:
        keyboard.key(names[random.below(names.length)]!, random.below(2) === 1);
        break;
      case 5:
        mouse.move({ dx: (random.next() | 0) / 1e6, dy: (random.next() | 0) / 1e3, wheel: random.below(20) - 10 });
        mouse.buttons(random.below(64));
        break;
    }
    assert.ok(keyboard.state.scanCodes.length <= QUEUE_LIMIT && keyboard.state.replies.length <= 4);
    assert.ok(mouse.state.reports.length <= 64 && mouse.state.replies.length <= 5);
    const full = (kbc.readPort(0x64, 1) & 0x21) as number;
    if (irq1.level) assert.equal(full, 0x01);
    if (irq12.level) assert.equal(full, 0x21);
  }
});
