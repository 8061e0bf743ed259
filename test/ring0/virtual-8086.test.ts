/** Virtual-8086 mode under a 32-bit monitor. @spec SDM 3A chapter 20 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../src/isa/assemble.ts";
import { INTERRUPT_STACK, type KernelOptions, type Mode, PTE, run, show, TSS } from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae"];
const VM = 0x2_0000;
const IOPL_3 = 0x3000;
const CODE = 0x7000;
const SEGMENT = CODE >> 4;

/** Runs 16-bit code in virtual-8086 mode until it or its monitor's `handlers` halt. */
function virtual(
  mode: Mode,
  code: string,
  { flags = 0, monitor = "", ...options }: KernelOptions & { flags?: number; monitor?: string } = {},
) {
  const { bytes } = assemble(code, { bits: 16, origin: 0n });
  const program = `
    push 0x4444
    push 0x3333
    push 0x2222
    push 0x1111
    push 0x500
    push 0x1000
    push ${VM | 2 | flags}
    push ${SEGMENT}
    push 0
    iretd
    ${monitor}`;
  return run(mode, program, {
    ...options,
    setup(kernel) {
      bytes.forEach((byte, i) => kernel.ram.setUint8(CODE + i, byte));
      options.setup?.(kernel);
    },
  });
}

for (const mode of MODES) {
  test(`${mode}: IRETD with VM set loads all segment registers as paragraphs`, () => {
    const kernel = virtual(
      mode,
      `
      mov ax,ds
      mov bx,es
      mov cx,fs
      mov dx,gs
      mov si,ss
      mov di,sp
      mov bp,cs
      mov byte ptr [0x10],0x5a
      hlt`,
    );
    assert.deepEqual(show(kernel.exceptions), ["#13(0)"], "HLT is not for virtual-8086 code");
    assert.deepEqual(
      [0, 3, 1, 2, 6, 7, 5].map((index) => Number(kernel.gpr(index) & 0xffffn)),
      [0x2222, 0x1111, 0x3333, 0x4444, 0x500, 0x1000, SEGMENT],
    );
    assert.equal(kernel.ram.getUint8(0x2222 * 16 + 0x10), 0x5a);
  });

  test(`${mode}: an exception pushes the data segments above SS:ESP and clears them`, () => {
    const monitor = `
    undefined:
      mov eax,ds
      mov ebx,gs
      mov esi,esp
      hlt`;
    const kernel = virtual(mode, "mov ax,0x77\n mov ds,ax\n ud2", { monitor, gates: { 6: { label: "undefined" } } });
    assert.deepEqual(
      [0, 3].map((index) => kernel.gpr(index)),
      [0n, 0n],
    );
    assert.equal(kernel.gpr(6), BigInt(INTERRUPT_STACK - 9 * 4));
    const frame = Array.from({ length: 9 }, (_, i) => kernel.ram.getUint32(INTERRUPT_STACK - 36 + i * 4, true));
    assert.deepEqual(frame.slice(0, 2), [5, SEGMENT]);
    assert.equal((frame[2] as number) & VM, VM);
    assert.deepEqual(frame.slice(3), [0x1000, 0x500, 0x1111, 0x77, 0x3333, 0x4444]);
  });

  // SDM 3A table 20-1, 20.2.7: IOPL-sensitive instructions.
  test(`${mode}: below IOPL 3, CLI, STI, PUSHF, POPF, INT and IRET are the monitor's`, () => {
    for (const code of ["cli", "sti", "pushf", "popf", "int 0x21", "iret"]) {
      assert.deepEqual(show(virtual(mode, code).exceptions), ["#13(0)"], code);
    }
    const allowed = virtual(mode, "pushf\n cli\n sti\n pushf\n popf\n hlt", { flags: IOPL_3 });
    assert.deepEqual(show(allowed.exceptions), ["#13(0)"]);
    assert.equal(allowed.exceptions[0]?.ip, 5, "all but HLT went through");
  });

  test(`${mode}: INT3 and exceptions go to the monitor whatever IOPL is`, () => {
    const kernel = virtual(mode, "int3", { gates: { 3: { label: "exception3", dpl: 3 } } });
    assert.deepEqual(show(kernel.exceptions), ["#3"]);
  });

  test(`${mode}: with IOPL 3, INT goes through the gate, whose privilege counts`, () => {
    const gates = { 64: { label: "service", dpl: 3 }, 65: { label: "service" } };
    const monitor = "service: mov ebx,[esp+8]\n hlt";
    const kernel = virtual(mode, "int 0x40", { flags: IOPL_3, gates, monitor });
    assert.equal(kernel.gpr(3) & BigInt(VM), BigInt(VM));
    assert.deepEqual(show(virtual(mode, "int 0x41", { flags: IOPL_3, gates, monitor }).exceptions), ["#13(20a)"]);
  });

  test(`${mode}: ports are open as the I/O permission bitmap says, whatever IOPL is`, () => {
    const setup: KernelOptions["setup"] = ({ ram }) => {
      ram.setUint16(TSS + 0x66, 0x68, true);
      for (let i = 0; i < 0x80; i++) ram.setUint8(TSS + 0x68 + i, 0xff);
      ram.setUint8(TSS + 0x68 + (0x40 >> 3), 0xfe);
    };
    const kernel = virtual(mode, "in al,0x40\n in al,0x41", { flags: IOPL_3, setup });
    assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
    assert.equal(kernel.exceptions[0]?.ip, 2);
  });

  test(`${mode}: segments end at 64 KiB, and stacks wrap within them`, () => {
    assert.deepEqual(show(virtual(mode, "mov bx,0xffff\n mov ax,[bx]").exceptions), ["#13(0)"]);
    assert.deepEqual(show(virtual(mode, "mov bp,0xffff\n mov ax,[bp]").exceptions), ["#12(0)"]);
    const kernel = virtual(mode, "mov sp,0\n mov ax,0x1234\n push ax\n hlt");
    assert.equal(kernel.ram.getUint16(0x500 * 16 + 0xfffe, true), 0x1234);
  });

  test(`${mode}: system instructions are undefined or privileged`, () => {
    for (const code of ["lldt ax", "ltr ax", "str ax", "lar ax,bx", "verr ax", "arpl ax,bx"]) {
      assert.deepEqual(show(virtual(mode, code).exceptions), ["#6"], code);
    }
    for (const code of ["mov eax,cr0", "lgdt [0]", "clts", "lmsw ax", "mov eax,dr7", "rdmsr", "invlpg [0]"]) {
      assert.deepEqual(show(virtual(mode, code, { flags: IOPL_3 }).exceptions), ["#13(0)"], code);
    }
  });

  test(`${mode}: far jumps, calls and returns load paragraphs`, () => {
    const kernel = virtual(
      mode,
      `
      call ${SEGMENT - 1}:callee+16
      jmp ${SEGMENT - 2}:after+32
    callee:
      mov cx,cs
      retf
    after:
      mov dx,cs
      hlt`,
    );
    assert.deepEqual(
      [1, 2].map((index) => kernel.gpr(index) & 0xffffn),
      [BigInt(SEGMENT - 1), BigInt(SEGMENT - 2)],
    );
  });

  test(`${mode}: the monitor returns to where it was called from, and may change flags on the way`, () => {
    const monitor = `
    protection:
      add esp,4
      add dword ptr [esp],1
      or dword ptr [esp+8],1
      add ebx,1
      iretd
    undefined:
      hlt`;
    const gates = { 13: { label: "protection" }, 6: { label: "undefined" } };
    const kernel = virtual(mode, "xor bx,bx\n hlt\n cli\n setc cl\n ud2", { gates, monitor });
    assert.equal(kernel.gpr(3), 2n);
    assert.equal(kernel.gpr(1) & 0xffn, 1n);
  });
}

test("paging guards virtual-8086 code as ring 3", () => {
  for (const mode of ["paged", "pae"] as const) {
    const kernel = virtual(mode, "mov [0x10],ax", {
      setup: (kernel) => kernel.map(0x2_2000, 0x2_2000 | PTE.P | PTE.RW),
    });
    assert.deepEqual(show(kernel.exceptions), ["#14(7)@22230"]);
  }
});

test("virtual-8086 code can be given 64 KiB of linear addresses beyond 1 MiB", () => {
  const kernel = virtual("protected", "mov ax,0xffff\n mov ds,ax\n mov byte ptr [0xff00],0x5a\n hlt");
  assert.equal(kernel.ram.getUint8(0xf_fff0 + 0xff00), 0x5a);
});
