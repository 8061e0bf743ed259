/** SeaBIOS's drivers for floppy, NVMe and SCSI: they boot a sector, which reads and writes others by INT 13h. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { byteOffset } from "../../src/bits/units.ts";
import { driveTypeFor } from "../../src/device/i82077/medium.ts";
import type { BlockDevice } from "../../src/disk/block-device.ts";
import type { MachineDefinition } from "../../src/vm/definition.ts";
import { bootSector, diskOf, runSector, SECTOR } from "./bios-guest.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const OPTIONS = existsSync(SEABIOS) ? {} : { skip: "needs the package seabios" };
const PASSED = 2 * 0x2a + 1;

/**
 * Reads `sectors` sectors from cylinder 1, head 1, sector 3 on, writes them to cylinder 2, head 0, sector 1, and ends the
 * machine with 2Ah, or with the status of what failed.
 */
const copyByCylinders = (sectors: number) => `
  mov ax,0x1000
  mov es,ax
  xor bx,bx
  mov [drive],dl
  mov ax,0x0200+${sectors}
  mov cx,0x0103
  mov dh,1
  int 0x13
  jc failed
  mov dl,[drive]
  mov ax,0x0300+${sectors}
  mov cx,0x0201
  mov dh,0
  int 0x13
  jc failed
  mov al,0x2a
  out 0xf4,al
  failed: mov al,ah
  out 0xf4,al
  stop: jmp stop
  drive: db 0
`;

/** Copies 100 sectors from 1000 to 2000 by the packet services. */
const COPY_BY_PACKETS = `
  xor ax,ax
  mov ds,ax
  mov si,packet
  mov ah,0x42
  int 0x13
  jc failed
  mov word [packet+8],2000
  mov ax,0x4300
  mov si,packet
  int 0x13
  jc failed
  mov al,0x2a
  out 0xf4,al
  failed: mov al,ah
  out 0xf4,al
  stop: jmp stop
  packet: dw 0x10, 100, 0, 0x1000
  dd 1000, 0
`;

function numbered(code: string, size: number): BlockDevice {
  const bytes = new Uint8Array(size);
  for (let lba = 1; lba < size / SECTOR; lba++) bytes.fill((lba * 13 + 5) & 0xff, lba * SECTOR, (lba + 1) * SECTOR);
  bytes.set(bootSector(code));
  return diskOf(bytes, size);
}

async function sectors(disk: BlockDevice, first: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count * SECTOR);
  await disk.read(byteOffset(first * SECTOR), bytes);
  return bytes;
}

async function bootsBySeabios(code: string, definition: Partial<MachineDefinition>): Promise<void> {
  const firmware = { image: new Uint8Array(readFileSync(SEABIOS)) };
  const { end } = await runSector(code, { memory: 64 << 20, debugExit: true, firmware, disks: [], ...definition });
  assert.deepEqual(end, { kind: "debug-exit", status: PASSED });
}

for (const [kib, perTrack] of [
  [360, 9],
  [720, 9],
  [1200, 15],
  [1440, 18],
  [2880, 36],
] as const) {
  test(`SeaBIOS boots a floppy of ${kib} KiB, reads and writes`, OPTIONS, async () => {
    const count = 5;
    const code = copyByCylinders(count);
    const device = numbered(code, kib * 1024);
    const type = driveTypeFor(device.size);
    assert.ok(type);
    await bootsBySeabios(code, { floppies: [{ type, device }] });
    const source = await sectors(device, 3 * perTrack + 2, count);
    assert.deepEqual(await sectors(device, 4 * perTrack, count), source);
    assert.notEqual(source[0], (await sectors(device, 4 * perTrack + count, 1))[0]);
  });
}

for (const bus of ["nvme", "scsi"] as const) {
  test(`our BIOS boots a disk on ${bus}, reads and writes`, async () => {
    const device = numbered(COPY_BY_PACKETS, 4 << 20);
    const { end } = await runSector(COPY_BY_PACKETS, { debugExit: true, disks: [{ device, bus }] });
    assert.deepEqual(end, { kind: "debug-exit", status: PASSED });
    assert.deepEqual(await sectors(device, 2000, 100), await sectors(device, 1000, 100));
  });

  test(`SeaBIOS boots a disk on ${bus}, reads and writes`, OPTIONS, async () => {
    const device = numbered(COPY_BY_PACKETS, 4 << 20);
    await bootsBySeabios(COPY_BY_PACKETS, { disks: [{ device, bus }] });
    const source = await sectors(device, 1000, 100);
    assert.deepEqual(await sectors(device, 2000, 100), source);
  });
}
