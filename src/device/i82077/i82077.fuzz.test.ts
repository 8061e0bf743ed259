import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { mediumFor } from "./medium.ts";
import { FloppyRig, numberedDisk, settle } from "./testing/node/floppy-rig.ts";

const COMMANDS = [
  0x46, 0xc6, 0x45, 0xc5, 0x4d, 0x4a, 0x42, 0x56, 0xd6, 0x07, 0x08, 0x0f, 0x8f, 0xcf, 0x03, 0x13, 0x12, 0x0e,
];

test("whatever a guest writes, the controller stays bounded, and a reset brings it back", async () => {
  const random = new SeededRandom(82077);
  const rig = await FloppyRig.with();
  const disks = [undefined, mediumFor(numberedDisk(720 * 1024).disk, "1.44M"), mediumFor(rig.disk, "1.44M")];
  for (let i = 0; i < 12_000; i++) {
    switch (random.below(12)) {
      case 0:
        rig.out(0x3f2 + random.below(6), random.next() & 0xff);
        break;
      case 1: {
        const value = rig.fdc.readPort(0x3f2 + random.below(6), random.pick([1, 2, 4]));
        assert.ok(Number.isInteger(value) && value >= 0);
        break;
      }
      case 2:
        rig.time.advance(random.below(20e6));
        break;
      case 3:
        rig.dmaFor(random.pick(["read", "write", 0x42, 0x56]), random.below(0x10_0000), 1 + random.below(20_000));
        break;
      case 4:
        await settle();
        break;
      case 5:
        if (random.below(50) === 0) await rig.fdc.changeMedium(0, random.pick(disks));
        break;
      case 6:
        for (let n = random.below(600); n > 0; n--) rig.in(0x3f5);
        break;
      case 7:
        for (let n = random.below(600); n > 0; n--) rig.out(0x3f5, random.next() & 0xff);
        break;
      case 8:
        rig.out(0x3f2, 0x1c);
        rig.out(0x3f7, 0);
        break;
      default:
        if ((rig.in(0x3f4) & 0xd0) !== 0x80) break;
        rig.out(0x3f5, random.pick(COMMANDS));
        for (let n = 0; n < 8; n++) rig.out(0x3f5, random.below(4) ? random.below(20) : random.next() & 0xff);
    }
    const { command, result, sensed, events, transfer } = rig.fdc.state;
    assert.ok(command.length <= 9 && result.length <= 10 && sensed.length <= 8 && events.length <= 10);
    assert.ok((transfer?.buffer.length ?? 0) <= 36 * 512);
  }
  await settle();
  rig.start();
  rig.out(0x3f7, 0);
  await rig.fdc.changeMedium(0, mediumFor(rig.disk, "1.44M"));
  rig.command(0x07, 0);
  rig.time.advance(1e6);
  rig.dmaFor("read", 0x1000, 512);
  rig.command(0x08);
  rig.results(2);
  rig.transfer(0x46);
  assert.deepEqual((await rig.result()).slice(0, 3), [0, 0, 0]);
});
