/** From real mode up, and back down. @spec SDM 3A 9.8, 9.9 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { attempt, changeControl, Kernel, run, SELECTOR, show } from "./kernel.ts";

test("real mode has 16-bit operands and addresses, and 32-bit ones by prefixes", () => {
  const kernel = run("real", "mov eax,0x12345678\n mov bx,ax\n mov edi,0x9000\n mov [edi],eax\n mov cx,[0x9002]\n hlt");
  assert.deepEqual([kernel.gpr(0), kernel.gpr(3), kernel.gpr(1)], [0x1234_5678n, 0x5678n, 0x1234n]);
});

test("the next instructions after CR0.PE is set are still 16-bit code, with real-mode segments", () => {
  const program = `
    mov ax,0x900
    mov ds,ax
    mov eax,cr0
    or eax,1
    mov cr0,eax
    mov bx,0x1234
    mov [0x10],bx
    and eax,-2
    mov cr0,eax
    hlt`;
  const kernel = run("real", program);
  assert.equal(kernel.ram.getUint16(0x9010, true), 0x1234);
});

test("a segment with a large limit stays large in real mode", () => {
  const kernel = run(
    "protected",
    `
    mov ax,${SELECTOR.data}
    mov fs,ax
    jmp ${SELECTOR.code16}:sixteen
  bits 16
  sixteen:
    mov ax,${SELECTOR.data16}
    mov ds,ax
    mov ss,ax
    mov eax,cr0
    and eax,-2
    mov cr0,eax
    jmp 0:real
  real:
    mov ax,0x1000
    mov fs,ax
    mov ebx,0xf0000
    mov dword ptr [fs:ebx],0x5a5a
    hlt`,
  );
  assert.equal(kernel.ram.getUint32(0x10_0000, true), 0x5a5a);
});

test("16-bit protected-mode code pushes words on 16-bit stacks and wraps SP", () => {
  const kernel = run(
    "protected",
    `
    jmp ${SELECTOR.code16}:sixteen
  bits 16
  sixteen:
    mov ax,${SELECTOR.data16}
    mov ss,ax
    mov esp,0x12340000
    push 0x1122
    push dword 0x33445566
    mov ebx,esp
    pop ecx
    pop dx
    hlt`,
  );
  assert.equal(kernel.gpr(3), 0x1234_fffan);
  assert.equal(kernel.gpr(1), 0x3344_5566n);
  assert.equal(kernel.gpr(2) & 0xffffn, 0x1122n);
});

// SDM 3A 4.1.1, 9.8.5.
test("IA-32e mode is active once paging is on with EFER.LME, and needs CR4.PAE", () => {
  const program = `
    mov ecx,0xc0000080
    mov eax,0x100
    mov edx,0
    wrmsr
    ${attempt("mov eax,cr0\n or eax,0x80000000\n mov cr0,eax")}
    rdmsr
    mov ebx,eax
    hlt`;
  const kernel = run("protected", program);
  assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
  assert.equal(kernel.gpr(3), 0x100n, "LMA is clear");
});

test("in IA-32e mode EFER.LME, CR4.PAE and CR0.PG cannot be changed by 64-bit code", () => {
  const program = `
    ${attempt("mov ecx,0xc0000080\n rdmsr\n and eax,0xfffffeff\n wrmsr")}
    ${attempt(changeControl("long", "cr4", 0, 0x20))}
    ${attempt(changeControl("long", "cr0", 0, 0x8000_0000))}
    hlt`;
  assert.deepEqual(show(run("long", program).exceptions), ["#13(0)", "#13(0)", "#13(0)"]);
});

test("compatibility code uses 32-bit addresses and the low registers, and leaves the upper halves cleared", () => {
  const kernel = run(
    "long",
    `
    mov rbx,-1
    mov r8,-1
    push ${SELECTOR.code32}
    push compatible
    o64 retf
  bits 32
  compatible:
    mov ebx,0x12345678
    mov eax,-1
    inc eax
    dec ecx
    mov edx,cs
    jmp ${SELECTOR.code64}:wide
  bits 64
  wide:
    mov rsi,r8
    hlt`,
  );
  assert.equal(kernel.gpr(3), 0x1234_5678n);
  assert.deepEqual([kernel.gpr(0), kernel.gpr(1), kernel.gpr(2)], [0n, 0xffff_ffffn, BigInt(SELECTOR.code32)]);
  assert.equal(kernel.gpr(6), 0xffff_ffff_ffff_ffffn);
});

test("64-bit mode can be left for real mode and entered again", () => {
  const kernel = run(
    "long",
    `
    push ${SELECTOR.code32}
    push compatible
    o64 retf
  bits 32
  compatible:
    mov ax,${SELECTOR.data}
    mov ds,ax
    mov ss,ax
    ${changeControl("protected", "cr0", 0, 0x8000_0000)}
    mov ecx,0xc0000080
    rdmsr
    mov ebx,eax
    and eax,0xfffffeff
    wrmsr
    jmp ${SELECTOR.code16}:sixteen
  bits 16
  sixteen:
    mov ax,${SELECTOR.data16}
    mov ds,ax
    mov ss,ax
    mov eax,cr0
    and eax,-2
    mov cr0,eax
    jmp 0:real
  real:
    mov ax,0
    mov ds,ax
    mov word ptr [0x9000],0x4242
    mov eax,cr0
    or eax,1
    mov cr0,eax
    jmp ${SELECTOR.code32}:again
  bits 32
  again:
    mov ax,${SELECTOR.data}
    mov ds,ax
    mov ss,ax
    mov ecx,0xc0000080
    rdmsr
    or eax,0x100
    wrmsr
    ${changeControl("protected", "cr0", 0x8000_0000)}
    jmp ${SELECTOR.code64}:long2
  bits 64
  long2:
    mov rsi,0x123456789
    hlt`,
  );
  assert.equal(kernel.ram.getUint16(0x9000, true), 0x4242);
  assert.equal(kernel.gpr(3) & 0x400n, 0n, "LMA is clear without paging");
  assert.equal(kernel.gpr(6), 0x1_2345_6789n);
});

test("CR0 and CR4 take no values that make no sense", () => {
  const lines = [
    "mov eax,0x80000000\n mov cr0,eax", // PG without PE
    "mov eax,cr0\n or eax,0x20000000\n and eax,0xbfffffff\n mov cr0,eax", // NW without CD
    "mov eax,0x80000000\n mov cr4,eax", // reserved
    "mov eax,cr1",
    "mov cr5,eax",
  ];
  const kernel = run("protected", `${lines.map(attempt).join("")} hlt`);
  assert.deepEqual(show(kernel.exceptions), ["#13(0)", "#13(0)", "#13(0)", "#6", "#6"]);
});

test("LMSW sets PE and cannot clear it", () => {
  const kernel = run("protected", "mov ax,0\n lmsw ax\n smsw ebx\n hlt");
  assert.equal(kernel.gpr(3) & 1n, 1n);
});

test("after RESET code runs from 16 bytes below 4 GiB in real mode", () => {
  const kernel = new Kernel("real", "hlt");
  const { processor } = kernel.machine;
  processor.reset();
  const { registers } = processor;
  assert.equal(registers.get64("ip") + registers.segmentBase(1), 0xffff_fff0n);
  assert.equal(registers.get32("cr0") & 0x8000_0001, 0);
});
