import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { NvmeRig, RAM, settle } from "./testing/node/nvme-rig.ts";

const IO = [0, 1, 2, 8, 9, 4];
const ADMIN = [0, 1, 2, 4, 5, 6, 8, 9, 0xa, 0xc];

test("whatever a guest writes, the controller stays bounded, and a reset brings it back", async () => {
  const random = new SeededRandom(108);
  const rig = await NvmeRig.ready();
  const address = () => BigInt(random.pick([0, random.below(RAM), random.next(), random.below(RAM) & ~0xfff]));
  for (let i = 0; i < 15_000; i++) {
    switch (random.below(10)) {
      case 0:
        rig.nvme.writeMemory(random.below(0x2000), random.pick([1, 2, 4]), random.next());
        break;
      case 1:
        rig.write32(random.pick([0x0c, 0x10, 0x14, 0x24, 0x28, 0x30]), random.next());
        break;
      case 2: {
        const size = random.pick([1, 2, 4] as const);
        const value = rig.nvme.readMemory(random.below(0x1000) & -size, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 3:
        rig.write32(0x1000 + random.below(20) * 4, random.below(12));
        break;
      case 4:
        if (random.below(20) === 0) rig.nvme.pci.writeConfig(4, 2, random.pick([0, 2, 6, 6, 6]));
        break;
      case 5:
        if (random.below(4) === 0) await settle();
        break;
      case 6:
        if (random.below(40) !== 0) break;
        rig.nvme.pci.writeConfig(4, 2, 6);
        rig.write32(0x14, 0);
        rig.enable();
        rig.createQueues(1).catch(() => {});
        break;
      default: {
        const qid = random.below(2);
        rig.submit(qid, {
          opcode: random.below(20) ? random.pick(qid ? IO : ADMIN) : random.below(256),
          flags: random.below(20) ? 0 : random.below(256),
          nsid: random.pick([1, 1, 1, 0, 0xffff_ffff]),
          prp1: address(),
          prp2: address(),
          cdw10: random.pick([random.below(16), random.next(), random.below(16) | (random.below(16) << 16)]),
          cdw11: random.pick([0, 3, 4, random.next(), 1 | (1 << 16)]),
          cdw12: random.pick([0, 7, 100, random.next()]),
        });
      }
    }
    const { inFlight, events, errors, eventRequests, cqs } = rig.nvme.state;
    assert.ok(inFlight.length <= 128 && events.length <= 8 && errors.length <= 16 && eventRequests.length <= 4);
    for (const queue of cqs) assert.ok((queue?.waiting.length ?? 0) <= 140);
  }
  await settle();
  rig.nvme.pci.writeConfig(4, 2, 6);
  rig.write32(0x14, 0);
  assert.equal(rig.read32(0x1c), 0);
  rig.enable();
  await rig.createQueues(1);
  assert.equal((await rig.run(1, rig.io(2, 0, 8, 0x10_0000))).status, 0);
});
