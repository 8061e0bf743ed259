/**
 * SeaBIOS finds drives on IDE and AHCI with drivers of its own, boots from them, and reads them for the boot sector; its
 * driver for USB controllers is no hindrance.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import type { BlockDevice } from "../disk/block-device.ts";
import { MemoryStore } from "../disk/memory-store.ts";
import { RawDisk } from "../disk/raw/raw-disk.ts";
import { assemble } from "../isa/assemble.ts";
import type { MachineDefinition } from "./definition.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const OPTIONS = existsSync(SEABIOS) ? {} : { skip: "needs the package seabios" };
const ORIGIN = 0x7c00;
const BUFFER = 0x8000;
/** What a boot sector reads from the block behind it, and ends the machine with. */
const VALUE = 0x2a;

/** Reads a block of the drive that it was booted from by its number, and ends the machine with the first byte. */
function bootSector(block: number): Uint8Array {
  const code = `
    xor ax,ax
    mov ds,ax
    mov ah,0x42
    mov si,packet
    int 0x13
    mov al,0xff
    jc done
    mov al,[${BUFFER}]
    done: out 0xf4,al
    stop: jmp stop
    packet: dw 0x10, 1, ${BUFFER}, 0
    dd ${block}, 0
  `;
  const sector = new Uint8Array(512);
  sector.set(assemble(code, { bits: 16, origin: BigInt(ORIGIN) }).bytes);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

function disk(): BlockDevice {
  const content = new Uint8Array(1 << 20);
  content.set(bootSector(7));
  content[7 * 512] = VALUE;
  return new RawDisk(MemoryStore.of(content));
}

/** A disc with nothing but an El Torito boot record. @spec El Torito 1.0 §2 */
function disc(): BlockDevice {
  const [BLOCK, CATALOG, IMAGE, DATA] = [2048, 19, 20, 21];
  const content = new Uint8Array(64 * BLOCK);
  const text = (at: number, value: string) => content.set(new TextEncoder().encode(value), at);
  const view = new DataView(content.buffer);
  text(16 * BLOCK, "\x01CD001\x01");
  text(17 * BLOCK, "\x00CD001\x01EL TORITO SPECIFICATION");
  view.setUint32(17 * BLOCK + 0x47, CATALOG, true);
  text(18 * BLOCK, "\xffCD001\x01");
  // The validation entry, whose words add up to zero, and the entry of an image without emulation.
  content.set([1, 0], CATALOG * BLOCK);
  content.set([0xaa, 0x55, 0x55, 0xaa], CATALOG * BLOCK + 28);
  content.set([0x88, 0], CATALOG * BLOCK + 32);
  view.setUint16(CATALOG * BLOCK + 38, 4, true);
  view.setUint32(CATALOG * BLOCK + 40, IMAGE, true);
  content.set(bootSector(DATA), IMAGE * BLOCK);
  content[DATA * BLOCK] = VALUE;
  return new RawDisk(MemoryStore.of(content), { readOnly: true });
}

async function boot(drives: Pick<MachineDefinition, "disks" | "cdroms" | "pointer">): Promise<string> {
  let log = "";
  const machine = await Machine.create(
    {
      memory: 64 << 20,
      cpu: "max",
      clock: "icount",
      firmware: {
        image: new Uint8Array(readFileSync(SEABIOS)),
        log: {
          write: (bytes) => {
            log += String.fromCharCode(...bytes);
          },
        },
      },
      serial: { write: () => {} },
      debugExit: true,
      noReboot: true,
      ...drives,
    },
    nodeHost(),
  );
  assert.deepEqual(await machine.run(), { kind: "debug-exit", status: 2 * VALUE + 1 }, log);
  return log;
}

test("SeaBIOS boots from a disk on IDE", OPTIONS, async () => {
  assert.match(await boot({ disks: [{ device: disk(), bus: "ide" }] }), /^ata0-0: BUNKHOUSE DISK ATA-8 Hard-Disk/m);
});

test("SeaBIOS boots from a disk on AHCI", OPTIONS, async () => {
  assert.match(await boot({ disks: [{ device: disk(), bus: "ahci" }] }), /"AHCI\/0: BUNKHOUSE DISK ATA-8 Hard-Disk/);
});

test("SeaBIOS boots from a disc on IDE", OPTIONS, async () => {
  const log = await boot({ disks: [], cdroms: [{ medium: disc() }] });
  assert.match(log, /^DVD\/CD \[ata1-0: BUNKHOUSE DVD-ROM ATAPI-8 DVD\/CD\]/m);
});

test("SeaBIOS boots from a disc on AHCI", OPTIONS, async () => {
  const log = await boot({ disks: [], cdroms: [{ medium: disc(), bus: "ahci" }] });
  assert.match(log, /"DVD\/CD \[AHCI\/0: BUNKHOUSE DVD-ROM ATAPI-8 DVD\/CD\]"/);
});

test("SeaBIOS starts the USB controller with the tablet, and boots all the same", OPTIONS, async () => {
  const log = await boot({ disks: [{ device: disk(), bus: "ide" }], pointer: "tablet" });
  assert.match(log, /^XHCI init: regs @ 0x[0-9a-f]+, 4 ports, 8 slots, 32 byte contexts$/m);
  assert.match(log, /^XHCI port #1: 0x[0-9a-f]+, powered, enabled, pls 0, speed 1 \[Full\]$/m);
});
