import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { Command } from "../ata/registers.ts";
import { Mmc } from "../scsi/cdrom-layout.ts";
import { settle, TestDisk } from "../scsi/testing/test-disc.ts";
import { COMMAND_SLOTS, Px, PxCmd } from "./registers.ts";
import { ahciRig, Driver, listOf, MEMORY, tableOf } from "./testing/ahci-rig.ts";

const COMMANDS = Object.values(Command);
const PACKETS = Object.values(Mmc);
const REGISTERS = Object.values(Px);

test("random registers, command lists and tables never throw, hang, or begin more than the slots have", async () => {
  const random = new SeededRandom(0xa4c1);
  const rig = ahciRig({ sectors: 3000 });
  const { ram, ahci, cdrom, disk, read, write } = rig;
  const drivers = [new Driver(rig, 0), new Driver(rig, 1)];
  disk.held = [];
  for (let i = 0; i < 20_000; i++) {
    const driver = drivers[random.below(2)]!;
    const slot = random.below(COMMAND_SLOTS);
    switch (random.below(7)) {
      case 0:
        write(random.below(0x400) * 4, random.next());
        break;
      case 1:
        driver.write(REGISTERS[random.below(REGISTERS.length)]!, random.below(2) ? random.below(4) : random.next());
        break;
      case 2:
        rig.memory.write(0xfebf_0000 + random.below(0x400), random.below(2) ? 1 : 2, random.next());
        break;
      case 3:
        read(random.below(0x400) * 4);
        break;
      case 4: {
        // Noise in the structures of a command.
        const at = random.below(2) ? tableOf(slot) + random.below(0xa0) : listOf(driver.port) + random.below(1024);
        ram.bytes[at] = random.next();
        break;
      }
      case 5:
        if (random.below(40) === 0) cdrom.insert(new TestDisk(2048));
        if (random.below(40) === 0) cdrom.eject({ force: true });
        if (random.below(40) === 0) ahci.restored();
        break;
      case 6:
        driver.write(Px.clb, listOf(driver.port));
        driver.write(Px.clbu, 0);
        driver.write(Px.cmd, random.below(4) ? PxCmd.mask.start | PxCmd.mask.fisReceive : 0);
        driver.prepare(slot, COMMANDS[random.below(COMMANDS.length)]!, {
          features: random.below(3) ? random.below(20) : random.below(65536),
          count: random.below(3) ? random.below(20) : random.below(65536),
          lba: random.below(4000),
          cdb: [
            PACKETS[random.below(PACKETS.length)]!,
            0,
            0,
            0,
            0,
            random.below(5),
            0,
            random.below(3),
            random.below(9),
            0,
          ],
          regions: Array.from(
            { length: random.below(4) },
            () => [random.below(MEMORY + 4096), random.below(8192)] as const,
          ),
        });
        if (random.below(2)) driver.queue(slot);
        else driver.issue(slot);
        break;
    }
    assert.ok(disk.held.length <= COMMAND_SLOTS);
    for (const port of ahci.state.ports) assert.ok(port.active.length <= COMMAND_SLOTS);
    if (random.below(4) === 0) {
      for (const release of disk.held.splice(0)) release();
      await settle();
    }
  }
});
