/**
 * The ways to bring a machine from power-on, or from a reset, to its first instruction: a kernel directly, or the
 * machine's BIOS, which boots from its media.
 */

import { crc32 } from "../bits/crc32.ts";
import type { GuestPhysical } from "../bits/units.ts";
import type { Processor } from "../cpu/processor.ts";
import { type AcpiBoard, i440fxBoard, PC_HPET } from "../firmware/acpi/board.ts";
import { boardSetup } from "../firmware/board-setup.ts";
import { installTables } from "../firmware/install-tables.ts";
import { type MemoryMap, memoryMap } from "../firmware/memory-map.ts";
import type { SmbiosSystem } from "../firmware/smbios.ts";
import type { Completion, RandomSource, TimeSource } from "../machine/device.ts";
import type { Board } from "./board.ts";
import type { Host, MachineDefinition, MachineEnd } from "./definition.ts";
import type { GuestRam } from "./guest-ram.ts";

/** What a start works with. */
export interface StartParts {
  readonly definition: MachineDefinition;
  readonly processor: Processor;
  readonly board: Board;
  readonly ram: GuestRam;
  readonly random: RandomSource;
  readonly time: TimeSource;
  /**
   * Keeps the processor from its next block of code until `operation` ends and `complete` was called with its result.
   * Guest time goes on, devices with it; a reset drops the operation.
   */
  hold<T>(operation: Promise<T>, complete: Completion<T>): void;
  /** The same until the returned function is called, by what happens at a time of the guest's. */
  holdInTime(): () => void;
  /** Whether a host operation may be done at once, where the host can. */
  readonly immediate: boolean;
  /** Must be called when a register of the processor was set while guest code runs or is held. */
  registerSet(): void;
  /** Ends the machine. */
  end(end: MachineEnd): void;
}

/** Bytes at each end of an image that its name tells: a kernel's version is among them. */
const NAMED_BYTES = 16 * 1024;

/** Sets the machine up for its first instruction; the board and the processor have just been reset. */
export type Start = () => void;

export interface LoadedStart {
  of(parts: StartParts): Start;
  /** Whether the start writes tens of MiB to the guest's memory. */
  readonly fillsMemory: boolean;
  /** The same for machines that run the same code first. */
  readonly name: string;
}

/** Whether the machine has a graphics card. */
export const hasDisplay = ({ display, kernel }: MachineDefinition): boolean => display ?? kernel === undefined;

/** Whether the machine's own BIOS starts it. */
export const startsByBios = ({ kernel, firmware }: MachineDefinition): boolean =>
  kernel === undefined && firmware === undefined;

/** Loads what starts this definition's machine, and starts it again after each reset. */
export async function loadStart(definition: MachineDefinition, host: Host): Promise<LoadedStart> {
  const { kernel, firmware, bios = {} } = definition;
  if (firmware) {
    const { firmwareStart } = await import("./start-firmware.ts");
    const name = nameOf("firmware", firmware.image);
    return { of: (parts) => firmwareStart(parts, firmware), fillsMemory: false, name };
  }
  if (kernel) {
    const { loadUnpacking, startKernel } = await import("./start-kernel.ts");
    const unpack = await loadUnpacking(kernel, host);
    const setUpScreen = hasDisplay(definition) ? (await import("./start-screen.ts")).setUpScreen : undefined;
    const of = (parts: StartParts) => () => startKernel(parts, kernel, { unpack, setUpScreen });
    return { of, fillsMemory: unpack !== undefined, name: nameOf("kernel", kernel.image) };
  }
  const { biosStart } = await import("./start-bios.ts");
  const network = definition.nics?.length ? await import("../firmware/bios/net/network.ts") : undefined;
  return { of: (parts) => biosStart(parts, bios, network?.Network), fillsMemory: false, name: "bios" };
}

/** Names an image by its ends and its length: looking at all of it would take as long as a start. */
function nameOf(kind: string, image: Uint8Array): string {
  const ends = [image.subarray(0, NAMED_BYTES), image.subarray(-NAMED_BYTES)];
  return [kind, ...ends.map((end) => crc32(end).toString(16)), image.length.toString(16)].join("-");
}

/** The board as tables describe it. */
export const describedBoard = (board: Board): AcpiBoard =>
  i440fxBoard(1, { hpet: PC_HPET, floppy: board.floppy !== undefined });

/** What SMBIOS tells of a machine. */
export function smbiosSystem({ memory }: MachineDefinition, processor: Processor): SmbiosSystem {
  return {
    ramSize: memory,
    sockets: 1,
    coresPerSocket: 1,
    processorId: processor.system.processorId,
    uuid: "00000000-0000-4000-8000-000000000001",
    version: "0.1",
  };
}

/** The chips of the board and the tables that describe them, as firmware leaves them. */
export function setUpBoard(parts: StartParts): { map: MemoryMap; rsdp: GuestPhysical; end: GuestPhysical } {
  const { definition, processor, board, ram } = parts;
  const { memory } = definition;
  const map = memoryMap(memory);
  const described = describedBoard(board);
  const system = smbiosSystem(definition, processor);
  const tables = installTables(ram, map, { board: described, system });
  const setup = boardSetup(described, { mtrrs: processor.system.has("mtrr") });
  for (const { port, size, value } of setup.ports) board.ports.write(port, size, value);
  for (const { address, value } of setup.memory) board.memory.write(address, 4, value);
  for (const { msr, value } of setup.msrs) processor.system.writeMsr(msr, value);
  return { map, ...tables };
}
