import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../disk/memory-store.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import { ImmediateWork, SeededRandom } from "../../machine/testing/rig.ts";
import { runCommand, type ScsiResult } from "./run-command.ts";
import { ScsiDisk } from "./scsi-disk.ts";

const CODES = [0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x41, 0x42, 0x55, 0x5a, 0x88, 0x8a];
const MORE_CODES = [0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa];

test("whatever the command and however small its buffers, it ends, and moves no more than there is room", async () => {
  const random = new SeededRandom(3);
  const unit = new ScsiDisk({ disk: new RawDisk(new MemoryStore(1024 * 512)), serial: "F" });
  for (let i = 0; i < 5000; i++) {
    const cdb = new Uint8Array(random.pick([0, 6, 10, 12, 16, 16, 16, 32]));
    if (random.below(3)) random.fill(cdb);
    if (cdb.length > 0 && random.below(10)) cdb[0] = random.pick([...CODES, ...MORE_CODES]);
    // Mostly near the start, so that blocks are there.
    if (random.below(2)) cdb.fill(0, 2, random.below(2) ? 8 : 4);
    const inLength = random.pick([0, 1, 36, 512, 100_000]);
    const outLength = random.pick([0, 1, 24, 512, 100_000]);
    const whole = random.below(20) !== 0;
    const result = await new Promise<ScsiResult>((resolve) => {
      runCommand({
        unit,
        cdb,
        work: new ImmediateWork(),
        buffers: {
          inLength,
          outLength,
          put: (at, bytes) => {
            assert.ok(at + bytes.length <= inLength);
            return whole;
          },
          take: (at, target) => {
            assert.ok(at + target.length <= outLength);
            random.fill(target.subarray(0, 64));
            return whole;
          },
        },
        done: resolve,
      });
    });
    assert.ok(result.transferred <= Math.max(inLength, outLength));
    assert.equal(result.status !== 0, result.sense !== undefined);
    assert.ok(unit.state.attentions.length <= 1);
  }
});
