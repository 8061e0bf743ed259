import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ManualTime, ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { Piix4Pm } from "./piix4-pm.ts";

const SIZES: AccessSize[] = [1, 2, 4];

test("random accesses keep values in range and the SCI true to status and enables", () => {
  const random = new SeededRandom(0x7113);
  const time = new ManualTime();
  const sci = new ProbeLine();
  const pm = new Piix4Pm({ timerBits: 24 }, { time, sci, onSoftOff: () => {} });
  for (let i = 0; i < 20_000; i++) {
    const size = SIZES[random.below(3)]!;
    const apm = random.below(8) === 0;
    const device = apm ? pm : pm.block;
    const port = apm ? 0xb2 + random.below(2) : random.below(66);
    if (random.below(2)) device.writePort(port, size, random.below(4) ? random.next() : 0xf0 + random.below(2));
    else {
      const value = device.readPort(port, size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
    }
    if (random.below(4) === 0) pm.pressPowerButton();
    if (random.below(4) === 0) pm.raiseGeneralPurposeEvent(random.below(20));
    time.advance(random.below(10) ? random.below(1000) : random.below(3_000_000_000));
    const { pmsts, pmen, gpsts, gpen, pmcntrl } = pm.state;
    assert.equal(sci.level, (pmcntrl & 1) !== 0 && ((pmsts & pmen) !== 0 || (gpsts & gpen) !== 0));
  }
});
