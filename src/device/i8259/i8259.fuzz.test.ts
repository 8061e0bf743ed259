import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { ELCR_PORT, I8259Pair, MASTER_PORT, SLAVE_PORT } from "./i8259.ts";

const PORTS = [MASTER_PORT, MASTER_PORT + 1, SLAVE_PORT, SLAVE_PORT + 1, ELCR_PORT, ELCR_PORT + 1];
const SIZES: AccessSize[] = [1, 1, 1, 2, 4];

test("random accesses and requests keep every register in range and INTR true to the resolver", () => {
  const random = new SeededRandom(8259);
  const intr = new ProbeLine();
  const pic = new I8259Pair({ intr });
  for (let i = 0; i < 20_000; i++) {
    const port = PORTS[random.below(PORTS.length)]!;
    const size = SIZES[random.below(SIZES.length)]!;
    switch (random.below(4)) {
      case 0:
        pic.writePort(port, size, random.next());
        break;
      case 1: {
        const value = pic.readPort(port, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 2:
        pic.raise(random.below(16), random.below(2) === 1);
        break;
      case 3: {
        const asked = intr.level;
        const before = pic.state.master.isr | pic.state.slave.isr;
        const vector = pic.acknowledge();
        assert.ok(vector >= 0 && vector <= 0xff);
        if (!asked) {
          assert.equal(vector & 7, 7);
          assert.equal(pic.state.master.isr | pic.state.slave.isr, before);
        }
        break;
      }
    }
    for (const chip of [pic.state.master, pic.state.slave]) {
      for (const value of [chip.irr, chip.isr, chip.imr, chip.ir]) assert.ok(value >= 0 && value <= 0xff);
      assert.equal(chip.irr & ~chip.ir, 0, "no request without a high input");
    }
  }
});
