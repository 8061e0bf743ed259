/** Machines that the BIOS starts, for tests: boot sectors in assembly, and what the machine shows. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { TestContext } from "node:test";
import type { BlockDevice } from "../../src/disk/block-device.ts";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { RawDisk } from "../../src/disk/raw/raw-disk.ts";
import { assemble } from "../../src/isa/assemble.ts";
import type { MachineDefinition, MachineEnd } from "../../src/vm/definition.ts";
import { Machine } from "../../src/vm/machine.ts";
import { nodeHost } from "../../src/vm/node/host.ts";

export const SECTOR = 512;

/** A boot sector at 0000:7C00 with its signature; `code` has room for 510 bytes. */
export function bootSector(code: string): Uint8Array {
  const { bytes } = assemble(code, { bits: 16, origin: 0x7c00n });
  if (bytes.length > SECTOR - 2) throw new RangeError(`a boot sector of ${bytes.length} bytes`);
  const sector = new Uint8Array(SECTOR);
  sector.set(bytes);
  sector.set([0x55, 0xaa], SECTOR - 2);
  return sector;
}

/** A disk in memory that begins with these bytes. */
export function diskOf(content: Uint8Array, size = 1 << 20, { readOnly = false } = {}): BlockDevice {
  const bytes = new Uint8Array(Math.max(size, Math.ceil(content.length / SECTOR) * SECTOR));
  bytes.set(content);
  return new RawDisk(MemoryStore.of(bytes, { readOnly }));
}

/** Switches the machine off by APM. */
export const POWER_OFF = `
  mov ax,0x5301
  xor bx,bx
  int 0x15
  mov ax,0x5307
  mov bx,1
  mov cx,3
  int 0x15
`;

export interface BiosGuest {
  readonly machine: Machine;
  /** What came out of COM1. */
  serial(): string;
}

export async function biosGuest(definition: Partial<MachineDefinition>): Promise<BiosGuest> {
  let serial = "";
  const machine = await Machine.create(
    {
      memory: 16 << 20,
      cpu: "max",
      clock: "icount",
      disks: [],
      serial: {
        write: (bytes) => {
          serial += String.fromCharCode(...bytes);
        },
      },
      debugExit: false,
      noReboot: true,
      ...definition,
    },
    nodeHost(),
  );
  return { machine, serial: () => serial };
}

/** Runs a boot sector to the machine's end. */
export const runSector = (code: string, definition: Partial<MachineDefinition> = {}) =>
  runMachine({ disks: [{ device: diskOf(bootSector(code)) }], ...definition });

/** Runs a machine to its end. */
export async function runMachine(
  definition: Partial<MachineDefinition>,
): Promise<{ end: MachineEnd; guest: BiosGuest; ram: DataView }> {
  const guest = await biosGuest(definition);
  const end = await guest.machine.run();
  const { bytes } = guest.machine.ram;
  return { end, guest, ram: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** Rows of the text screen, as the display shows them, without what is blank at their ends. */
export const screenText = ({ machine }: BiosGuest): string[] =>
  (machine.board.display?.text() ?? []).map((row) => row.trimEnd());

/** Instructions within which a boot loader has its prompt, several times what it takes. */
export const PATIENCE = 600_000_000;

/** Skips the test where a file of a Debian package is missing. */
export function needs(t: TestContext, file: string, debianPackage: string): boolean {
  if (existsSync(file)) return true;
  t.skip(`${file} is missing: apt install ${debianPackage}`);
  return false;
}

/** Runs until the screen shows the text; what it shows then. */
export async function screenWith(guest: BiosGuest, text: RegExp): Promise<string> {
  const { machine } = guest;
  let seen: string | undefined;
  const look = setInterval(() => {
    const shown = screenText(guest).join("\n");
    if (text.test(shown)) seen = shown;
    if (seen !== undefined || machine.instructions > PATIENCE) machine.stop();
  }, 20);
  try {
    const end = await machine.run();
    const shown = screenText(guest).join("\n");
    assert.deepEqual(end, { kind: "stopped" }, shown);
    assert.ok(seen, `the screen never showed ${text}:\n${shown}`);
    return seen;
  } finally {
    clearInterval(look);
  }
}
