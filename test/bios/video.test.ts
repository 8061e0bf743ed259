/** The BIOS's video services, as the display shows them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VGA_MODES } from "../../src/firmware/vga/modes.ts";
import { type BiosGuest, biosGuest, bootSector, diskOf, POWER_OFF, runSector, screenText } from "./bios-guest.ts";

/** The picture as rows of 0x00RRGGBB. */
function picture({ machine }: BiosGuest) {
  const { display } = machine.board;
  assert.ok(display);
  const { width, height } = display.size;
  const surface = { width, height, pixels: new Uint32Array(width * height) };
  display.draw(surface);
  return { width, height, at: (x: number, y: number) => surface.pixels[y * width + x] as number };
}

const PRINT = `
  print: lodsb
    or al,al
    jz printed
    mov ah,0x0e
    mov bx,7
    int 0x10
    jmp print
  printed: ret
`;

test("teletype output goes to the screen, wraps, and scrolls it", async () => {
  const { guest } = await runSector(`
    mov cx,26
  next: push cx
    mov al,'Z'
    sub al,cl
    inc al
    mov ah,0x0e
    int 0x10
    mov si,end
    call print
    pop cx
    loop next
    mov ax,0x0e58
    mov cx,81
  more: int 0x10
    loop more
    ${POWER_OFF}
  ${PRINT}
  end: db " line",13,10,0
  `);
  const rows = screenText(guest);
  assert.equal(rows.length, 25);
  assert.equal(rows[22], "Z line");
  assert.equal(rows[23], "X".repeat(80));
  assert.equal(rows[24], "X");
  assert.equal(rows[0], "D line");
});

test("characters with attributes, the cursor, and what is on the screen", async () => {
  const { guest, ram } = await runSector(`
    mov ax,3
    int 0x10
    mov ah,2
    mov bh,0
    mov dx,0x050a
    int 0x10
    mov ax,0x0941
    mov bx,0x1e
    mov cx,3
    int 0x10
    mov ah,8
    int 0x10
    mov [0x600],ax
    mov ah,3
    int 0x10
    mov [0x602],dx
    mov [0x604],cx
    mov ah,0x0f
    int 0x10
    mov [0x606],ax
    mov bp,text
    mov ax,0x1301
    mov bx,0x4f
    mov cx,5
    mov dx,0x0600
    int 0x10
    mov ah,3
    int 0x10
    mov [0x608],dx
    ${POWER_OFF}
  text: db "Hello"
  `);
  const word = (at: number) => ram.getUint16(at, true);
  assert.equal(word(0x600), 0x1e41);
  assert.equal(word(0x602), 0x050a, "the cursor stays");
  assert.equal(word(0x604), 0x0607);
  assert.equal(word(0x606), 0x5003);
  assert.equal(word(0x608), 0x0605);
  assert.equal(screenText(guest)[5], `${" ".repeat(10)}AAA`);
  assert.equal(screenText(guest)[6], "Hello");
});

test("a window scrolls up and down, and is cleared", async () => {
  const { guest } = await runSector(`
    mov ax,3
    int 0x10
    mov si,text
    call print
    mov ax,0x0601
    mov bh,7
    mov cx,0x0001
    mov dx,0x0203
    int 0x10
    mov ax,0x0701
    mov bh,7
    mov cx,0x0304
    mov dx,0x0405
    int 0x10
    mov ax,0x0600
    mov bh,7
    mov cx,0x0500
    mov dx,0x0501
    int 0x10
    ${POWER_OFF}
  ${PRINT}
  text: db "abcdef",13,10,"ghijkl",13,10,"mnopqr",13,10,"ABCDEF",13,10,"GHIJKL",13,10,"MNOPQR",0
  `);
  assert.deepEqual(screenText(guest).slice(0, 6), ["ahijef", "gnopkl", "m   qr", "ABCD", "GHIJEF", "  OPQR"]);
});

for (const { number, kind, columns, rows, characterHeight } of VGA_MODES.filter((mode) => mode.kind !== "text")) {
  test(`mode ${number.toString(16)}: dots and characters are drawn and read`, async () => {
    const { guest, ram } = await runSector(`
      mov ax,${number}
      int 0x10
      mov ax,0x0c01
      mov bh,0
      mov cx,37
      mov dx,101
      int 0x10
      mov ax,0x0d00
      int 0x10
      mov [0x600],al
      mov ax,0x0d00
      inc cx
      int 0x10
      mov [0x601],al
      mov ah,2
      mov dx,0x0305
      int 0x10
      mov ax,0x0952
      mov bx,1
      mov cx,1
      int 0x10
      mov ah,8
      int 0x10
      mov [0x602],al
      mov ax,0x0601
      mov bh,0
      mov cx,0
      mov dx,${((rows - 1) << 8) | (columns - 1)}
      int 0x10
      mov ah,2
      mov dx,0x0205
      int 0x10
      mov ah,8
      int 0x10
      mov [0x603],al
      ${POWER_OFF}
    `);
    assert.deepEqual([ram.getUint8(0x600), ram.getUint8(0x601)], [1, 0]);
    assert.equal(String.fromCharCode(ram.getUint8(0x602)), "R");
    assert.equal(String.fromCharCode(ram.getUint8(0x603)), "R", "one row up after scrolling");
    const shown = picture(guest);
    const scale = [shown.width / (columns * 8), shown.height / (rows * characterHeight)] as const;
    const lit = (x: number, y: number) =>
      shown.at(Math.floor(x * scale[0]), Math.floor(y * scale[1])) !== shown.at(0, 0);
    if (kind !== "cga" || number !== 5)
      assert.ok(lit(37, 101 - characterHeight), "the dot, scrolled up by a row of characters");
    assert.ok(!lit(39, 101 - characterHeight));
  });
}

test("fonts and their vectors are told, and other rows of text set", async () => {
  const { guest, ram } = await runSector(`
    mov ax,0x1130
    mov bh,6
    int 0x10
    mov [0x600],es
    mov [0x602],bp
    mov [0x604],cx
    mov [0x606],dl
    mov al,[es:bp+65*16+4]
    mov [0x608],al
    push ds
    pop es
    mov ax,0x1112
    mov bl,0
    int 0x10
    mov al,[0x484]
    mov [0x609],al
    mov ah,2
    mov bh,0
    mov dx,0x3100
    int 0x10
    mov ax,0x0e21
    int 0x10
    ${POWER_OFF}
  `);
  assert.deepEqual([ram.getUint16(0x600, true), ram.getUint16(0x604, true), ram.getUint8(0x606)], [0xf000, 16, 24]);
  assert.notEqual(ram.getUint8(0x608), 0, "the letter A");
  assert.equal(ram.getUint8(0x609), 49);
  assert.equal(screenText(guest).length, 50);
  assert.equal(screenText(guest)[49], "!");
});

test("palette and DAC are written and read back", async () => {
  const { ram } = await runSector(`
    mov ax,0x1010
    mov bx,33
    mov dh,11
    mov cx,0x1617
    int 0x10
    xor dx,dx
    xor cx,cx
    mov ax,0x1015
    mov bx,33
    int 0x10
    mov [0x600],dh
    mov [0x601],cx
    mov ax,0x1000
    mov bx,0x2a03
    int 0x10
    mov ax,0x1007
    mov bx,3
    int 0x10
    mov [0x603],bh
    ${POWER_OFF}
  `);
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => ram.getUint8(0x600 + i)),
    [11, 0x17, 0x16, 0x2a],
  );
});

test("VBE sets a linear mode, and a guest draws in its frame buffer through the block move", async () => {
  const { guest, ram } = await runSector(`
    mov di,0x1000
    mov dword [di],0x32454256
    mov ax,0x4f00
    int 0x10
    mov [0x600],ax
    mov di,0x1400
    mov ax,0x4f01
    mov cx,0x115
    int 0x10
    mov [0x602],ax
    mov ax,0x4f02
    mov bx,0x4115
    int 0x10
    mov [0x604],ax
    mov ax,0x4f03
    int 0x10
    mov [0x606],bx
    mov eax,[0x1428]
    mov [table+0x1a],eax
    mov bl,[0x142b]
    mov [table+0x1f],bl
    mov byte [table+0x1d],0x93
    mov cx,2
    mov si,table
    mov ah,0x87
    int 0x15
    mov ax,0x4f15
    mov bl,1
    xor cx,cx
    xor dx,dx
    mov di,0x1600
    int 0x10
    mov [0x608],ax
    ${POWER_OFF}
  dot: db 0x11,0x22,0x33,0
  table: dq 0, 0
    dw 0xffff, dot
    db 0, 0x93
    dw 0
    dw 0xffff, 0
    db 0, 0x93
    dw 0
    dq 0, 0
  `);
  const words = [0, 2, 4, 6, 8].map((at) => ram.getUint16(0x600 + at, true));
  assert.deepEqual(words, [0x4f, 0x4f, 0x4f, 0x4115, 0x4f]);
  assert.equal(ram.getUint32(0x1000, true), 0x4153_4556);
  assert.deepEqual([ram.getUint16(0x1412, true), ram.getUint16(0x1414, true), ram.getUint8(0x1419)], [800, 600, 24]);
  const { width, height, at } = picture(guest);
  assert.deepEqual([width, height], [800, 600]);
  assert.equal(at(0, 0), 0x33_2211);
  // EDID's header.
  assert.equal(ram.getBigUint64(0x1600, true), 0x00ff_ffff_ffff_ff00n);
});

test("the screen is on the serial line, with colours, and keys come from there", async () => {
  const code = `
    mov si,text
    call print
    mov ax,0x0921
    mov bx,0x0c
    mov cx,1
    int 0x10
    mov ah,2
    mov bh,0
    mov dx,0x0a05
    int 0x10
    mov ah,0
    int 0x16
    mov ah,0x0e
    int 0x10
    mov ah,0x10
    int 0x16
    mov [0x600],ax
    ${POWER_OFF}
  ${PRINT}
  text: db "Hello ",0xb1,13,10,0
  `;
  const guest = await biosGuest({ disks: [{ device: diskOf(bootSector(code)) }], bios: { serialScreen: true } });
  guest.machine.sendSerial(new TextEncoder().encode("k\x1b[A"));
  assert.deepEqual(await guest.machine.run(), { kind: "power-off" });
  const shade = String.fromCharCode(...new TextEncoder().encode("▒"));
  assert.equal(
    guest.serial(),
    `Booting from disk...\r\nHello ${shade}\r\n\x1b[0;1;31;40m!\r\n\n\n\n\n\n\n\n\x1b[0m     k`,
  );
  const { bytes } = guest.machine.ram;
  assert.deepEqual([...bytes.subarray(0x600, 0x602)], [0xe0, 0x48]);
});
