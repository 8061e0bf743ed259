/** Starts firmware: the processor begins where RESET leaves it, and the firmware asks for all else. */
import { type GuestPhysical, guestPhysical, MIB } from "../bits/units.ts";
import { CMOS_DATA_PORT, CMOS_INDEX_PORT } from "../device/mc146818/mc146818.ts";
import { i440fxBoard, PC_HPET } from "../firmware/acpi/board.ts";
import { cmosBytes } from "../firmware/cmos.ts";
import { PCI_HOLE } from "../firmware/memory-map.ts";
import { addFirmwareItems } from "./firmware-items.ts";
import { type StartParts, smbiosSystem } from "./start.ts";

const COM1 = 0x3f8;
/** Where firmware begins to place PCI devices, if RAM ends before. */
const PCI_MEMORY = guestPhysical(2048 * MIB);

export function startFirmware({ definition, processor, board }: StartParts): void {
  const { memory } = definition;
  for (const { index, value } of cmosBytes(memory)) {
    board.ports.write(CMOS_INDEX_PORT, 1, index);
    board.ports.write(CMOS_DATA_PORT, 1, value);
  }
  const usual = i440fxBoard(1, { hpet: PC_HPET });
  const start: GuestPhysical = memory <= PCI_MEMORY ? PCI_MEMORY : PCI_HOLE;
  addFirmwareItems(board.fwCfg, {
    system: smbiosSystem(definition, processor),
    vcpus: 1,
    serialConsole: COM1,
    board: () => {
      const base = board.powerBase ?? usual.power.base;
      const gpe0 = { ...usual.power.gpe0, port: usual.power.gpe0.port - usual.power.base + base };
      return { ...usual, power: { ...usual.power, base, gpe0 }, pciMemory: { ...usual.pciMemory, start } };
    },
  });
}
