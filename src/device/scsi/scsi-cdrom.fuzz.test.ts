import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { Mmc } from "./cdrom-layout.ts";
import { ScsiCdrom } from "./scsi-cdrom.ts";
import { MAX_PARAMETERS } from "./scsi-unit.ts";
import { send } from "./testing/initiator.ts";
import { TestDisk } from "./testing/test-disc.ts";

const CODES = Object.values(Mmc);

test("random commands and discs that come and go never throw, and every command ends", async () => {
  const random = new SeededRandom(0xcd);
  const unit = new ScsiCdrom({ transport: "atapi", serial: "FUZZ" });
  const discs = [512, 2048, 512 * 999].map((size) => new TestDisk(size));
  for (let i = 0; i < 5000; i++) {
    const cdb = new Uint8Array(random.below(33));
    random.fill(cdb);
    if (cdb.length > 0 && random.below(8) > 0) cdb[0] = CODES[random.below(CODES.length)]!;
    // Small addresses and lengths are hit often enough to get past the first check.
    for (let at = 2; at < cdb.length; at++) if (random.below(3) > 0) cdb[at] = random.below(3);
    const out = Array.from({ length: random.below(40) }, () => random.below(64));
    const { status, data } = await send(unit, [...cdb], out);
    assert.ok(status === 0 || status === 2);
    assert.ok(data.length <= 1 << 16);
    assert.ok(unit.state.attentions.length <= 2);
    const task = unit.begin(cdb);
    assert.ok(task.kind !== "parameters" || task.length <= MAX_PARAMETERS);
    if (random.below(50) === 0) unit.insert(discs[random.below(discs.length)]!);
    if (random.below(100) === 0) unit.eject({ force: random.below(2) === 0 });
    if (random.below(500) === 0) unit.reset();
  }
});
