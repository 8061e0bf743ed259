/** Programs of our own in place of firmware: what they find from the processor's first instruction on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../isa/assemble.ts";
import type { MachineDefinition } from "./definition.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

const ROM = 0x1_0000;
const RESET = 0xfff0;

/** A ROM of 64 KiB whose code, 16-bit, starts at offset 0 and whose last bytes jump there. */
function romOf(code: string): Uint8Array {
  const rom = new Uint8Array(ROM).fill(0x90);
  rom.set(assemble(code, { bits: 16, origin: 0n }).bytes);
  rom.set(assemble("jmp 0", { bits: 16, origin: BigInt(RESET) }).bytes, RESET);
  return rom;
}

async function run(code: string, different: Partial<MachineDefinition> = {}) {
  const machine = await Machine.create(
    {
      memory: 16 << 20,
      cpu: "max",
      clock: "icount",
      heat: 20,
      firmware: { image: romOf(code) },
      disks: [],
      serial: { write: () => {} },
      debugExit: true,
      noReboot: true,
      ...different,
    },
    nodeHost(),
  );
  return { machine, end: await machine.run() };
}

/** Goes on below 1 MiB: where line A20 is held low, the ROM below 4 GiB is out of reach. */
const LOW = "jmp 0xf000:low_start\nlow_start:";

/** The value in AL that a program gives to `exit`. */
async function resultOf(code: string, different: Partial<MachineDefinition> = {}): Promise<number> {
  const { end } = await run(`${code}\nexit: out 0xf4,al\nstop: jmp stop`, different);
  assert.ok(end.kind === "debug-exit", JSON.stringify(end));
  return end.status >> 1;
}

const EACH = [
  ["interpreted", { heat: 2 ** 30 }],
  ["translated", {}],
  ["both", { check: true }],
] as const;

for (const [name, different] of EACH) {
  test(`code runs from ROM below 4 GiB, data is read from there, and nothing is written (${name})`, async () => {
    const sum = await resultOf(
      `
      mov cx,5000
      again: mov al,[cs:data]
      mov byte ptr [cs:data],0x11
      add al,[cs:data+1]
      loop again
      jmp exit
      data: db 0x30, 0x05
      `,
      different,
    );
    assert.equal(sum, 0x35);
  });

  test(`the ROM shows below 1 MiB until the host bridge is told otherwise (${name})`, async () => {
    // Through PAM0: ROM, then RAM with what was written behind the ROM, then ROM again.
    const bits = await resultOf(
      `
      xor bx,bx
      mov ax,0xf000
      mov ds,ax
      cmp byte ptr [mark],0x5a
      jne second
      or bl,1
      second: mov byte ptr [mark],0x77
      cmp byte ptr [mark],0x5a
      jne third
      or bl,2
      third: mov eax,0x80000058
      mov dx,0xcf8
      out dx,eax
      mov dx,0xcfd
      mov al,0x20
      out dx,al
      mov byte ptr [mark],0x33
      cmp byte ptr [mark],0x5a
      jne fourth
      or bl,4
      fourth: mov al,0x30
      out dx,al
      cmp byte ptr [mark],0x33
      jne fifth
      or bl,8
      fifth: mov al,0x00
      out dx,al
      cmp byte ptr [mark],0x5a
      jne sixth
      or bl,16
      sixth: mov al,bl
      jmp exit
      mark: db 0x5a
      `,
      different,
    );
    assert.equal(bits, 0b11111);
  });

  test(`addresses wrap around at 1 MiB while line A20 is held low, for data and for code (${name})`, async () => {
    // At 600h code that gives 1, at 100600h code that gives 2; FFFF:0610 is the one or the other.
    const code = `
      ${LOW} xor ax,ax
      mov ds,ax
      mov ss,ax
      mov sp,0x7000
      mov ax,0xffff
      mov es,ax
      mov dword ptr [0x600],0xcb01b0
      mov dword ptr es:[0x610],0xcb02b0
      xor bx,bx
      mov si,2
      rounds: mov cx,200
      high: call 0xffff:0x610
      add bl,al
      loop high
      mov al,0xd1
      out 0x64,al
      mov al,0xdd
      out 0x60,al
      mov cx,100
      low: call 0xffff:0x610
      add bl,al
      mov dl,es:[0x611]
      add bh,dl
      loop low
      mov al,0xd1
      out 0x64,al
      mov al,0xdf
      out 0x60,al
      dec si
      jnz rounds
      xor bl,bh
      mov al,bl
      jmp exit
    `;
    // Two rounds of 200 calls that give 2, and of 100 that give 1; 200 reads of 1.
    assert.equal(await resultOf(code, different), ((2 * (400 + 100)) & 0xff) ^ 200);
  });
}

test("port 92h alone lets line A20 through, and does not hold it low against the keyboard controller", async () => {
  const differs = (before: string) => `
    ${LOW}
    ${before}
    xor ax,ax
    mov ds,ax
    mov ax,0xffff
    mov es,ax
    mov byte ptr [0x500],1
    mov byte ptr es:[0x510],2
    mov al,[0x500]
    jmp exit
  `;
  const controller = "mov al,0xd1\nout 0x64,al\nmov al,0xdd\nout 0x60,al";
  assert.equal(await resultOf(differs("")), 1);
  assert.equal(await resultOf(differs("mov al,0\nout 0x92,al")), 1);
  assert.equal(await resultOf(differs(controller)), 2);
  assert.equal(await resultOf(differs(`${controller}\nmov al,2\nout 0x92,al`)), 1);
});

test("firmware starts in ROM again, with line A20 through, after a reset", async () => {
  // The first time a mark is left in RAM, A20 held low, and the machine reset.
  const code = `
    ${LOW} xor ax,ax
    mov ds,ax
    cmp word ptr [0x500],0x1234
    je again
    mov word ptr [0x500],0x1234
    mov al,0xd1
    out 0x64,al
    mov al,0xdd
    out 0x60,al
    mov dx,0xcf9
    mov al,6
    out dx,al
    wait: jmp wait
    again: mov ax,0xffff
    mov es,ax
    mov byte ptr es:[0x510],0x55
    mov ax,0xf000
    mov ds,ax
    mov al,[mark]
    mov ds,[zero]
    add al,[0x500]
    jmp exit
    mark: db 0x10
    zero: dw 0
  `;
  assert.equal(await resultOf(code, { noReboot: false }), 0x44);
});
