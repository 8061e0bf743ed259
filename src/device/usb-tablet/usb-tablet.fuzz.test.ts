import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { STALL } from "../usb/usb-device.ts";
import { UsbTablet } from "./usb-tablet.ts";

test("whatever a guest asks, answers are bounded", () => {
  const random = new SeededRandom(627);
  const tablet = new UsbTablet();
  for (let i = 0; i < 20_000; i++) {
    const answer = tablet.control({
      bmRequestType: random.pick([0, 1, 2, 0x21, 0x80, 0x81, 0x82, 0xa1, random.below(256)]),
      bRequest: random.below(16),
      wValue: random.pick([0, 1, random.below(0x10000)]),
      wIndex: random.pick([0, 0x81, random.below(0x10000)]),
      wLength: random.below(0x10000),
    });
    assert.ok(answer === STALL || answer.length <= 255);
    tablet.interruptIn(random.below(3));
    tablet.move({ x: random.next(), y: -random.next(), wheel: random.next() });
    tablet.buttons(random.next());
    assert.ok(tablet.state.reports.length <= 32);
  }
});
