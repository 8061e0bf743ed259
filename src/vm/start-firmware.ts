/** Starts firmware: the processor begins where RESET leaves it, and the firmware asks for all else. */
import { type GuestPhysical, guestPhysical, MIB } from "../bits/units.ts";
import { writeCmos } from "../firmware/bios/chips.ts";
import { BootError } from "../firmware/boot-error.ts";
import { cmosBytes } from "../firmware/cmos.ts";
import { PCI_HOLE } from "../firmware/memory-map.ts";
import type { FirmwareDefinition } from "./definition.ts";
import { addFirmwareItems } from "./firmware-items.ts";
import { describedBoard, type Start, type StartParts, smbiosSystem } from "./start.ts";
import { addKernelItems, isUefi } from "./uefi-kernel.ts";

const COM1 = 0x3f8;
/** Where firmware begins to place PCI devices, if RAM ends before. */
const PCI_MEMORY = guestPhysical(2048 * MIB);

/** Throws BootError where the firmware cannot start the definition's kernel. */
export function firmwareStart(parts: StartParts, { image }: FirmwareDefinition): Start {
  const { kernel } = parts.definition;
  if (kernel !== undefined) {
    if (!isUefi(image)) {
      const advice = "leave out either of the two, or take UEFI firmware";
      throw new BootError("bad-argument", `a BIOS starts no kernel that is not on a disk; ${advice}`);
    }
    addKernelItems(parts.board.fwCfg, kernel);
  }
  return () => startFirmware(parts);
}

function startFirmware({ definition, processor, board }: StartParts): void {
  const { memory, bios = {} } = definition;
  for (const { index, value } of cmosBytes(memory, bios.order)) writeCmos(board.ports, index, value);
  // A BIOS shows nothing on a graphics card without that card's own BIOS.
  const hasScreen = board.display !== undefined && definition.firmware?.vgaBios !== undefined;
  const usual = describedBoard(board);
  const start: GuestPhysical = memory <= PCI_MEMORY ? PCI_MEMORY : PCI_HOLE;
  addFirmwareItems(board.fwCfg, {
    system: smbiosSystem(definition, processor),
    vcpus: 1,
    optionRoms: definition.firmware?.optionRoms ?? [],
    bootMenu: bios.menu === true,
    hasScreen: board.display !== undefined,
    serialScreen: (bios.serialScreen ?? !hasScreen) ? COM1 : undefined,
    board: () => {
      const base = board.powerBase ?? usual.power.base;
      const gpe0 = { ...usual.power.gpe0, port: usual.power.gpe0.port - usual.power.base + base };
      return { ...usual, power: { ...usual.power, base, gpe0 }, pciMemory: { ...usual.pciMemory, start } };
    },
  });
}
