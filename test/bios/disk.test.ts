/** INT 13h on the real processor, for disks, floppies and CDs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { byteOffset } from "../../src/bits/units.ts";
import type { BlockDevice } from "../../src/disk/block-device.ts";
import type { MachineDefinition } from "../../src/vm/definition.ts";
import { bootSector, diskOf, POWER_OFF, runMachine } from "./bios-guest.ts";

/** A second disk whose sectors are filled with their numbers. */
function numbered(sectors: number, options = {}): BlockDevice {
  const bytes = new Uint8Array(sectors * 512);
  const words = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length; i += 4) words.setUint32(i, i >> 9, true);
  return diskOf(bytes, bytes.length, options);
}

async function withDisk(code: string, second: BlockDevice, more: Partial<MachineDefinition> = {}) {
  const { ram, end } = await runMachine({
    disks: [{ device: diskOf(bootSector(`${code}\n ${POWER_OFF}`)) }, { device: second }],
    ...more,
  });
  assert.deepEqual(end, { kind: "power-off" });
  return ram;
}

const SECTORS = 63 * 16 * 40;

test("a disk is read by cylinder, head and sector, as far as its geometry says", async () => {
  const ram = await withDisk(
    `
    mov ah,8
    mov dl,0x81
    int 0x13
    mov [0x600],cx
    mov [0x602],dx
    mov ah,0x15
    mov dl,0x81
    int 0x13
    mov [0x604],ah
    mov [0x606],cx
    mov [0x608],dx
    mov ax,0
    mov es,ax
    mov bx,0x1000
    mov ax,0x0203
    mov cx,0x0b05
    mov dx,0x0781
    int 0x13
    mov [0x60a],ax
    setc [0x60c]
    mov ax,0x0201
    mov cx,0x0b01
    mov dx,0x1081
    int 0x13
    mov [0x60e],ax
    setc [0x60d]
    `,
    numbered(SECTORS),
  );
  const word = (at: number) => ram.getUint16(at, true);
  assert.equal(word(0x600), (39 << 8) | 63, "the last cylinder and 63 sectors");
  assert.equal(word(0x602), (15 << 8) | 2, "16 heads, two disks");
  assert.equal(ram.getUint8(0x604), 3);
  assert.equal(word(0x606) * 65536 + word(0x608), 39 * 16 * 63);
  assert.equal(word(0x60a), 3);
  assert.deepEqual([ram.getUint8(0x60c), ram.getUint8(0x60d)], [0, 1]);
  assert.equal(word(0x60e), 0x0400, "no such head");
  const first = (11 * 16 + 7) * 63 + 4;
  assert.deepEqual(
    [0, 512, 1024].map((at) => ram.getUint32(0x1000 + at, true)),
    [first, first + 1, first + 2],
  );
});

test("EDD reads and writes by block, and a packet's count tells what failed", async () => {
  const disk = numbered(SECTORS);
  const ram = await withDisk(
    `
    mov ah,0x41
    mov bx,0x55aa
    mov dl,0x81
    int 0x13
    mov [0x600],bx
    mov word [0x1000],30
    mov ah,0x48
    mov si,0x1000
    int 0x13
    mov ah,0x42
    mov si,packet
    int 0x13
    mov [0x602],ah
    mov dword [0x2000],0x12345678
    mov dword [packet+8],777
    mov ah,0x43
    int 0x13
    mov [0x603],ah
    mov dword [packet+8],${SECTORS - 1}
    mov ah,0x42
    int 0x13
    setc [0x604]
    mov ax,[packet+2]
    mov [0x606],ax
    jmp off
    align 4
  packet: db 16,0
    dw 2, 0x2000, 0
    dq 1234
  off:
    `,
    disk,
  );
  assert.equal(ram.getUint16(0x600, true), 0xaa55);
  assert.equal(ram.getUint32(0x1010, true), SECTORS);
  assert.equal(ram.getUint16(0x1018, true), 512);
  assert.deepEqual([ram.getUint8(0x602), ram.getUint8(0x603), ram.getUint8(0x604)], [0, 0, 1]);
  assert.equal(ram.getUint16(0x606, true), 0);
  assert.equal(ram.getUint32(0x2200, true), 1235);
  const written = new Uint8Array(4);
  await disk.read(byteOffset(777 * 512), written);
  assert.deepEqual([...written], [0x78, 0x56, 0x34, 0x12]);
});

test("a read-only disk is not written, and a drive that is not there fails", async () => {
  const ram = await withDisk(
    `
    mov bx,0x1000
    mov ax,0x0301
    mov cx,1
    mov dx,0x0081
    int 0x13
    mov [0x600],ah
    mov ax,0x0201
    mov dx,0x0085
    int 0x13
    mov [0x601],ah
    mov ah,1
    int 0x13
    mov ax,0x0201
    mov dx,0
    int 0x13
    mov [0x602],ah
    mov ah,0x15
    mov dl,0x82
    int 0x13
    mov [0x603],ah
    `,
    numbered(SECTORS, { readOnly: true }),
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => ram.getUint8(0x600 + i)),
    [0x03, 0x01, 0x80, 0],
  );
});

test("a floppy has its own geometry and no block numbers", async () => {
  const ram = await withDisk(
    `
    mov ah,8
    mov dl,0
    int 0x13
    mov [0x600],cx
    mov [0x602],dx
    mov [0x604],bl
    mov al,[es:di+4]
    mov [0x605],al
    xor ax,ax
    mov es,ax
    mov bx,0x1000
    mov ax,0x0202
    mov cx,0x4f12
    mov dx,0x0100
    int 0x13
    mov [0x606],ah
    mov ax,0x0201
    int 0x13
    mov [0x607],ah
    mov ah,0x41
    mov bx,0x55aa
    mov dl,0
    int 0x13
    setc [0x608]
    `,
    numbered(100),
    { floppies: [{ type: "1.44M", device: numbered(2880) }] },
  );
  assert.equal(ram.getUint16(0x600, true), (79 << 8) | 18);
  assert.equal(ram.getUint16(0x602, true), 0x0101);
  assert.deepEqual([ram.getUint8(0x604), ram.getUint8(0x605)], [4, 18]);
  assert.equal(ram.getUint8(0x606), 4, "two sectors from the last are too many");
  assert.equal(ram.getUint8(0x607), 0);
  assert.equal(ram.getUint32(0x1000, true), 2879);
  assert.equal(ram.getUint8(0x608), 1);
});

test("CDs have sectors of 2048 bytes", async () => {
  const ram = await withDisk(
    `
    mov word [0x1000],30
    mov ah,0x48
    mov si,0x1000
    mov dl,0xe0
    int 0x13
    mov ah,0x42
    mov si,packet
    int 0x13
    mov [0x600],ah
    mov ah,0x43
    int 0x13
    mov [0x601],ah
    jmp off
    align 4
  packet: db 16,0
    dw 1, 0x2000, 0
    dq 7
  off:
    `,
    numbered(100),
    { cdroms: [{ medium: numbered(400) }] },
  );
  assert.equal(ram.getUint16(0x1018, true), 2048);
  assert.deepEqual([ram.getUint8(0x600), ram.getUint8(0x601)], [0, 3]);
  assert.deepEqual([ram.getUint32(0x2000, true), ram.getUint32(0x27fc, true)], [28, 31]);
});

test("a disk is the same on every bus", async () => {
  for (const bus of ["virtio", "ide", "ahci"] as const) {
    const { ram } = await runMachine({
      disks: [
        {
          device: diskOf(
            bootSector(`
              mov bx,0x1000
              mov ax,0x0201
              mov cx,1
              mov dh,0
              int 0x13
              mov [0x600],ah
              ${POWER_OFF}
            `),
          ),
          bus,
        },
      ],
    });
    assert.equal(ram.getUint8(0x600), 0, bus);
    assert.equal(ram.getUint16(0x11fe, true), 0xaa55, bus);
  }
});
