/** Services that virtual-8086 tasks call: through paging, on their own stacks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSector } from "./bios-guest.ts";

test("a virtual-8086 task calls the BIOS, whose memory is that of the task's page tables", async () => {
  // Linear 50000h is physical 60000h; everything else below 4 MiB is as it is. The task has IOPL 3, and all
  // ports: its state segment, at 1000h, is all zeros.
  const { end, ram } = await runSector(`
    cli
    lgdt [gdtr]
    mov eax,cr0
    or al,1
    mov cr0,eax
    db 0xea
    dw protected, 0x08
  gdtr: dw 0x1f
    dd gdt
    align 8
  gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x0000890010002067
    bits 32
  protected: mov ax,0x10
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,0x8000
    mov edi,0x20000
    mov dword [edi],0x21007
    mov ebx,0x21000
    mov eax,7
    mov ecx,1024
  pages: mov [ebx],eax
    add eax,0x1000
    add ebx,4
    loop pages
    mov dword [0x21000+0x50*4],0x60007
    mov cr3,edi
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax
    mov ax,0x18
    ltr ax
    push dword 0
    push dword 0
    push dword 0
    push dword 0
    push dword 0x4000
    push dword 0x1000
    push dword 0x23002
    push dword 0
    push dword task
    iretd
    bits 16
  task: xor ax,ax
    mov ds,ax
    mov ax,0x5000
    mov es,ax
    pushf
    push cs
    push word back
    mov bx,0
    mov ax,0x0201
    mov cx,1
    mov dx,0x80
    jmp far [0x13*4]
  back: mov [0x600],ah
    mov al,[es:0x1fe]
    mov [0x601],al
    pushf
    push cs
    push word off
    mov ax,0x5307
    mov bx,1
    mov cx,3
    jmp far [0x15*4]
  off: hlt
  `);
  assert.deepEqual(end, { kind: "power-off" });
  assert.deepEqual([ram.getUint8(0x600), ram.getUint8(0x601)], [0, 0x55]);
  assert.equal(ram.getUint16(0x6_01fe, true), 0xaa55);
  assert.equal(ram.getUint16(0x5_01fe, true), 0);
});
