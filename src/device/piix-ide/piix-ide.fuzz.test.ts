import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { Command } from "../ata/registers.ts";
import { settle, TestDisk } from "../scsi/testing/test-disc.ts";
import { BLOCK, BUS_MASTER, CONTROL, ideRig, MEMORY } from "./testing/ide-rig.ts";

const COMMANDS = Object.values(Command);

test("random accesses to ports and memory never throw, hang, or leave more than one host operation", async () => {
  const random = new SeededRandom(0x1de);
  const rig = ideRig({ sectors: 3000 });
  const { ports, ram, ide, cdrom, disk } = rig;
  disk.held = [];
  for (let i = 0; i < 30_000; i++) {
    const base = BLOCK[random.below(2)]!;
    const size = ([1, 2, 4] as const)[random.below(3)]!;
    switch (random.below(9)) {
      case 0:
        ports.write(base + 7, 1, random.below(3) ? COMMANDS[random.below(COMMANDS.length)]! : random.below(256));
        break;
      case 1:
        ports.write(base + random.below(8), size, random.below(2) ? random.below(4) : random.next());
        break;
      case 2:
        for (let n = random.below(300); n > 0; n--) ports.write(base, size, random.below(2) ? 0 : random.next());
        break;
      case 3:
        for (let n = random.below(300); n > 0; n--) ports.read(base, size);
        break;
      case 4:
        ports.read(base + random.below(8), size);
        break;
      case 5:
        ports.write(CONTROL[random.below(2)]!, 1, random.below(20) ? 0 : random.below(256));
        break;
      case 6:
        ports.write(BUS_MASTER + random.below(16), size, random.below(2) ? random.next() : random.below(16));
        break;
      case 7: {
        const table = random.below(MEMORY / 8) * 8;
        const view = new DataView(ram.bytes.buffer);
        view.setUint32(table, random.below(4) ? random.below(MEMORY) : random.next(), true);
        view.setUint32(table + 4, random.below(4) ? random.below(4096) + 2 ** 31 : random.next(), true);
        ports.write(BUS_MASTER + 8 * random.below(2) + 4, 4, table);
        break;
      }
      case 8:
        if (random.below(40) === 0) cdrom.insert(new TestDisk(2048));
        if (random.below(40) === 0) cdrom.eject({ force: true });
        if (random.below(40) === 0) ide.restored();
        break;
    }
    assert.ok(disk.held.length <= 1);
    if (random.below(4) === 0) {
      for (const release of disk.held.splice(0)) release();
      await settle();
    }
  }
  for (const channel of ide.state.channels) assert.ok(channel.buffer.length <= 1 << 20);
});
