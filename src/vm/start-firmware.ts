/** Starts firmware: the processor begins where RESET leaves it, and the firmware asks for all else. */
import { type GuestPhysical, guestPhysical, MIB } from "../bits/units.ts";
import { writeCmos } from "../firmware/bios/chips.ts";
import { cmosBytes } from "../firmware/cmos.ts";
import { PCI_HOLE } from "../firmware/memory-map.ts";
import { addFirmwareItems } from "./firmware-items.ts";
import { describedBoard, type StartParts, smbiosSystem } from "./start.ts";

const COM1 = 0x3f8;
/** Where firmware begins to place PCI devices, if RAM ends before. */
const PCI_MEMORY = guestPhysical(2048 * MIB);

export function startFirmware({ definition, processor, board }: StartParts): void {
  const { memory, bios = {} } = definition;
  for (const { index, value } of cmosBytes(memory, bios.order)) writeCmos(board.ports, index, value);
  const usual = describedBoard(board);
  const start: GuestPhysical = memory <= PCI_MEMORY ? PCI_MEMORY : PCI_HOLE;
  addFirmwareItems(board.fwCfg, {
    system: smbiosSystem(definition, processor),
    vcpus: 1,
    optionRoms: definition.firmware?.optionRoms ?? [],
    bootMenu: bios.menu ?? false,
    hasScreen: board.display !== undefined,
    serialScreen: (bios.serialScreen ?? board.display === undefined) ? COM1 : undefined,
    board: () => {
      const base = board.powerBase ?? usual.power.base;
      const gpe0 = { ...usual.power.gpe0, port: usual.power.gpe0.port - usual.power.base + base };
      return { ...usual, power: { ...usual.power, base, gpe0 }, pciMemory: { ...usual.pciMemory, start } };
    },
  });
}
