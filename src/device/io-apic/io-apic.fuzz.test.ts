import assert from "node:assert/strict";
import { test } from "node:test";
import { ApicBus } from "../../machine/apic-bus.ts";
import type { AccessSize } from "../../machine/device.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { IoApic } from "./io-apic.ts";

test("random accesses and levels keep registers in range and never serve one level twice", () => {
  const random = new SeededRandom(5);
  const bus = new ApicBus();
  let sent = 0;
  bus.attachLocalApic({
    addressedBy: ({ destination }) => (destination & 1) !== 0,
    takesInterrupts: true,
    processorPriority: 0,
    accept: () => void sent++,
  });
  const ioApic = new IoApic({ bus });
  const sizes: readonly AccessSize[] = [1, 2, 4];
  for (let step = 0; step < 20_000; step++) {
    const size = sizes[random.below(3)]!;
    const offset = random.below(3) === 0 ? random.below(0x1000) : random.below(5) * 0x10;
    switch (random.below(5)) {
      case 0: {
        const value = ioApic.readMemory(offset, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 1:
        ioApic.writeMemory(0, 4, random.below(0x48));
        break;
      case 2:
        ioApic.writeMemory(offset, size, random.below(2) ? random.next() : random.next() & 0xa0ff);
        break;
      case 3:
        ioApic.pins[random.below(24)]!.set(random.below(2) === 1);
        break;
      case 4:
        bus.endOfInterrupt(random.below(256));
        break;
    }
    assert.ok(sent <= 24, "one message a pin at most for each access");
    sent = 0;
  }
});
