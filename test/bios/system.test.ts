/** Services of the BIOS that boot sectors call on the real processor: memory, time, keys, power. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryMap } from "../../src/firmware/memory-map.ts";
import { biosGuest, bootSector, diskOf, POWER_OFF, runSector } from "./bios-guest.ts";

const MIB = 1024 * 1024;

test("E820 gives the memory map, entry by entry", async () => {
  const { end, ram } = await runSector(`
    mov di,0x1000
    xor ebx,ebx
  next: mov eax,0xe820
    mov edx,0x534d4150
    mov ecx,20
    int 0x15
    jc done
    add di,20
    inc word [0x600]
    test ebx,ebx
    jnz next
  done: ${POWER_OFF}
  `);
  assert.deepEqual(end, { kind: "power-off" });
  const expected = memoryMap(16 * MIB).entries;
  assert.equal(ram.getUint16(0x600, true), expected.length);
  expected.forEach(({ address, size, type }, i) => {
    const at = 0x1000 + 20 * i;
    const got = [ram.getBigUint64(at, true), ram.getBigUint64(at + 8, true), ram.getUint32(at + 16, true)];
    assert.deepEqual(got, [BigInt(address), BigInt(size), type]);
  });
});

test("conventional and extended memory, and the equipment, are told", async () => {
  const { ram } = await runSector(`
    int 0x12
    mov [0x600],ax
    int 0x11
    mov [0x602],ax
    mov ah,0x88
    int 0x15
    mov [0x604],ax
    mov ax,0xe801
    int 0x15
    mov [0x606],ax
    mov [0x608],bx
    ${POWER_OFF}
  `);
  const word = (at: number) => ram.getUint16(at, true);
  assert.equal(word(0x600), 639);
  // A coprocessor, a mouse, two serial ports, no floppy.
  assert.equal(word(0x602) & 0x0e07, 0x0406);
  assert.equal(word(0x604), 15 * 1024 - 64);
  assert.equal(word(0x606), 15 * 1024 - 64);
  assert.equal(word(0x608), 0);
});

test("a block move copies between conventional and extended memory", async () => {
  const { ram } = await runSector(`
    mov word [0x2000],0x1234
    mov word [0x2002],0x5678
    xor ax,ax
    mov es,ax
    mov si,table
    mov cx,2
    mov ah,0x87
    int 0x15
    mov [0x600],ah
    ${POWER_OFF}
  table: dq 0, 0
    dw 0xffff, 0x2000
    db 0, 0x93
    dw 0
    dw 0xffff, 0
    db 0x20, 0x93
    dw 0
    dq 0, 0
  `);
  assert.equal(ram.getUint8(0x600), 0);
  assert.equal(ram.getUint32(2 * MIB, true), 0x5678_1234);
});

test("the tick goes on at 18.2 Hz while the guest halts, and INT 1Ch is called", async () => {
  const { ram } = await runSector(`
    cli
    mov word [0x1c*4],hook
    mov word [0x1c*4+2],0
    sti
    mov ah,0
    int 0x1a
    mov bx,dx
    add bx,18
  wait: hlt
    mov ah,0
    int 0x1a
    cmp dx,bx
    jb wait
    ${POWER_OFF}
  hook: inc word [cs:0x600]
    iret
  `);
  assert.equal(ram.getUint16(0x600, true), 18);
});

test("time and date are those of the clock", async () => {
  const { ram } = await runSector(`
    mov ah,2
    int 0x1a
    mov [0x600],cx
    mov [0x602],dx
    mov ah,4
    int 0x1a
    mov [0x604],cx
    mov [0x606],dx
    ${POWER_OFF}
  `);
  // 1,700,000,000 seconds after 1970.
  assert.deepEqual([ram.getUint16(0x600, true), ram.getUint8(0x603)], [0x2213, 0x20]);
  assert.deepEqual([ram.getUint16(0x604, true), ram.getUint16(0x606, true)], [0x2023, 0x1114]);
});

test("INT 15h AH=86h waits as long as it was told, in guest time", async () => {
  const { ram, guest } = await runSector(`
    rdtsc
    mov [0x600],eax
    mov cx,3
    mov dx,0x0d40
    mov ah,0x86
    int 0x15
    setc [0x608]
    rdtsc
    mov [0x604],eax
    ${POWER_OFF}
  `);
  const nanoseconds = ram.getUint32(0x604, true) - ram.getUint32(0x600, true);
  assert.equal(ram.getUint8(0x608), 0);
  assert.ok(nanoseconds >= 200_000e3 && nanoseconds < 260_000e3, `${nanoseconds} ns`);
  assert.ok(guest.machine.instructions < 100_000, "the guest halted meanwhile");
});

test("address line 20 is told, held low and let through", async () => {
  const { ram } = await runSector(`
    mov ax,0x2402
    int 0x15
    mov [0x600],al
    mov ax,0x2400
    int 0x15
    mov ax,0x2402
    int 0x15
    mov [0x601],al
    mov ax,0xffff
    mov es,ax
    mov word [0x10],0x1111
    mov word [es:0x20],0x2222
    mov ax,[0x10]
    mov [0x602],ax
    mov ax,0x2401
    int 0x15
    mov word [0x10],0x3333
    mov word [es:0x20],0x4444
    mov ax,[0x10]
    mov [0x604],ax
    ${POWER_OFF}
  `);
  assert.deepEqual([ram.getUint8(0x600), ram.getUint8(0x601)], [1, 0]);
  assert.equal(ram.getUint16(0x602, true), 0x2222, "FFFF:0020 is 0000:0010 while the line is low");
  assert.equal(ram.getUint16(0x604, true), 0x3333);
});

/** Tells `type` that keys may come. */
const READY = `
    mov dx,0x3f8
    out dx,al
`;

/** Runs a boot sector, and types when it says so. */
async function type(code: string, keys: readonly (readonly [name: string, down: boolean])[]) {
  const guest = await biosGuest({
    disks: [{ device: diskOf(bootSector(code)) }],
    serial: {
      write: () => {
        for (const [name, down] of keys) guest.machine.board.keyboard.key(name, down);
      },
    },
  });
  const end = await guest.machine.run();
  const { bytes } = guest.machine.ram;
  return { end, ram: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

const READ_KEYS = (count: number) => `
    ${READY}
    mov di,0x600
    mov cx,${count}
  next: mov ah,0x10
    int 0x16
    mov [di],ax
    add di,2
    loop next
    ${POWER_OFF}
`;

test("keys come with scan code and character, with Shift, Ctrl, Alt and Caps Lock", async () => {
  const strokes = (names: string) =>
    names.split(" ").map((name) => {
      const down = name[0] !== "-";
      return [down ? name : name.slice(1), down] as const;
    });
  const { ram } = await type(
    READ_KEYS(9),
    strokes(
      "KeyA -KeyA ShiftLeft KeyA -KeyA Digit1 -Digit1 -ShiftLeft ControlLeft KeyC -KeyC -ControlLeft AltLeft KeyX -KeyX -AltLeft " +
        "CapsLock -CapsLock KeyZ -KeyZ CapsLock -CapsLock F1 -F1 ArrowUp -ArrowUp Enter -Enter",
    ),
  );
  const words = Array.from({ length: 9 }, (_, i) => ram.getUint16(0x600 + 2 * i, true));
  assert.deepEqual(words, [0x1e61, 0x1e41, 0x0221, 0x2e03, 0x2d00, 0x2c5a, 0x3b00, 0x48e0, 0x1c0d]);
});

test("the hook of INT 15h AH=4Fh may take a key away or change it", async () => {
  const { ram } = await type(
    `
    cli
    mov word [0x15*4],hook
    mov word [0x15*4+2],0
    sti
    ${READY}
    mov ah,0
    int 0x16
    mov [0x600],ax
    mov word [0x15*4],old
    jmp off
  hook: cmp ah,0x4f
    jne old
    cmp al,0x1e
    jne other
    clc
    retf 2
  other: cmp al,0x30
    jne keep
    mov al,0x2e
  keep: stc
    retf 2
  old: db 0xea
    dw 0xe014, 0xf000
  off: ${POWER_OFF}
  `,
    [
      ["KeyA", true],
      ["KeyA", false],
      ["KeyB", true],
      ["KeyB", false],
    ],
  );
  assert.equal(ram.getUint16(0x600, true), 0x2e63, "A is taken, B becomes C");
});

test("Ctrl-Alt-Del resets the machine", async () => {
  const { end } = await type(`${READY}\n sti\n loop: hlt\n jmp loop`, [
    ["ControlLeft", true],
    ["AltLeft", true],
    ["Delete", true],
  ]);
  assert.equal(end.kind, "reset");
});

test("a jump to F000:FFF0 resets the machine", async () => {
  const { end } = await runSector("db 0xea\n dw 0xfff0, 0xf000");
  assert.deepEqual(end, { kind: "reset", cause: "reset control register" });
});

test("PCI BIOS finds functions and reads their configuration", async () => {
  const { ram } = await runSector(`
    mov ax,0xb101
    int 0x1a
    setc [0x600]
    mov [0x604],edx
    mov ax,0xb102
    mov dx,0x8086
    mov cx,0x1237
    xor si,si
    int 0x1a
    setc [0x601]
    mov [0x608],bx
    mov ax,0xb10a
    mov di,8
    int 0x1a
    mov [0x60c],ecx
    mov ax,0xb102
    mov dx,0x1234
    mov cx,0x5678
    int 0x1a
    mov [0x602],ah
    ${POWER_OFF}
  `);
  assert.deepEqual([ram.getUint8(0x600), ram.getUint8(0x601), ram.getUint8(0x602)], [0, 0, 0x86]);
  assert.equal(ram.getUint32(0x604, true), 0x2049_4350);
  assert.equal(ram.getUint16(0x608, true), 0);
  assert.equal(ram.getUint32(0x60c, true) >>> 8, 0x06_0000);
});

test("services keep the caller's flags but for carry and zero, on any stack", async () => {
  const { ram } = await runSector(`
    cli
    mov ax,0x3000
    mov ss,ax
    mov sp,2
    std
    mov ah,0x88
    int 0x15
    pushf
    pop ax
    mov [0x600],ax
    mov [0x602],sp
    cld
    xor ax,ax
    mov ss,ax
    mov sp,0x7000
    sti
    ${POWER_OFF}
  `);
  assert.equal(ram.getUint16(0x600, true) & 0x601, 0x400, "DF stays, IF is clear, CF was cleared");
  assert.equal(ram.getUint16(0x602, true), 2);
});

test("PCI functions have addresses that do not overlap, and interrupt lines", async () => {
  const { guest } = await runSector(POWER_OFF, {
    disks: [
      { device: diskOf(bootSector(POWER_OFF)), bus: "virtio" },
      { device: diskOf(new Uint8Array(512)), bus: "ahci" },
    ],
  });
  const { ports } = guest.machine.board;
  const read = (at: number, register: number) => {
    ports.write(0xcf8, 4, (0x8000_0000 | (at << 8) | register) >>> 0);
    return ports.read(0xcfc, 4);
  };
  const write = (at: number, register: number, value: number) => {
    ports.write(0xcf8, 4, (0x8000_0000 | (at << 8) | register) >>> 0);
    ports.write(0xcfc, 4, value);
  };
  const ranges: { io: boolean; start: number; end: number }[] = [];
  let lines = 0;
  for (let at = 0; at < 256; at++) {
    if (read(at, 0) === 0xffff_ffff) continue;
    const pin = (read(at, 0x3c) >> 8) & 0xff;
    if (pin !== 0) {
      assert.ok(
        [5, 10, 11].includes(read(at, 0x3c) & 0xff),
        `${at.toString(16)} has the line ${read(at, 0x3c) & 0xff}`,
      );
      lines++;
    }
    for (let register = 0x10; register < 0x28; register += 4) {
      const base = read(at, register);
      if (base === 0 || (read(at, 0x0c) >> 16) & 0x7f) continue;
      write(at, register, 0xffff_ffff);
      const mask = read(at, register);
      write(at, register, base);
      const io = (mask & 1) !== 0;
      const bits = io ? mask & 0xfffc : mask & 0xffff_fff0;
      const start = (base & (io ? 0xfffc : 0xffff_fff0)) >>> 0;
      ranges.push({ io, start, end: start + ((bits & -bits) >>> 0) });
      assert.equal(read(at, 4) & (io ? 1 : 2), io ? 1 : 2, "the function answers");
      if ((mask & 7) === 4) register += 4;
    }
  }
  assert.ok(lines >= 3 && ranges.length >= 5, `${lines} lines, ${ranges.length} ranges`);
  for (const a of ranges) {
    assert.ok(a.io ? a.start >= 0xc000 : a.start >= 0xe000_0000, a.start.toString(16));
    for (const b of ranges) assert.ok(a === b || a.io !== b.io || a.end <= b.start || b.end <= a.start);
  }
});
