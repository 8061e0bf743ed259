/** Guest programs on the whole processor: through the modes and privilege levels and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CS, SS } from "../../isa/semantics.ts";
import { FLAG } from "./mode.ts";
import { GuestMachine } from "./testing/guest-machine.ts";
import { descriptor, gate } from "./testing/flat-cpu.ts";

const GDT = 0x2000;
const IDT = 0x3000;
const TSS = 0x6000;

const flat = { limit: 0xf_ffff, pages: true };
/** Descriptors from selector 8 on. */
const DESCRIPTORS = [
  descriptor({ ...flat, type: 0xa, big: true }), // 08 kernel, 32 bits
  descriptor({ ...flat, type: 2, big: true }), // 10 kernel data
  descriptor({ ...flat, type: 0xa, long: true }), // 18 kernel, 64 bits
  descriptor({ ...flat, type: 2, big: true }), // 20 kernel data
  descriptor({ ...flat, type: 2, big: true, dpl: 3 }), // 28 user data
  descriptor({ ...flat, type: 0xa, long: true, dpl: 3 }), // 30 user, 64 bits
  descriptor({ ...flat, type: 0xa, big: true, dpl: 3 }), // 38 user, 32 bits
  descriptor({ base: TSS, limit: 0x67, type: 9, system: true }), // 40 TSS
  0n,
];

/** Loads the tables and goes to 32-bit protected mode with ESP 0x9000; `labels` are handlers by vector. */
function boot(program: string): GuestMachine {
  const machine = new GuestMachine();
  DESCRIPTORS.forEach((value, index) => {
    machine.ram.setBigUint64(GDT + 8 + index * 8, value, true);
  });
  machine.ram.setUint32(TSS + 4, 0x8800, true);
  machine.ram.setUint16(TSS + 8, 0x10, true);
  machine.load(`
    lgdt [gdtr]
    lidt [idtr]
    mov eax,cr0
    or eax,1
    mov cr0,eax
    jmp 8:protected
  gdtr:
    dw 0x4f
    dd ${GDT}
  idtr:
    dw 0xfff
    dd ${IDT}
    dd 0
  bits 32
  protected:
    mov ax,0x10
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,0x9000
    mov ax,0x40
    ltr ax
    ${program}`);
  return machine;
}

/** From 32-bit protected mode to 64-bit mode with the first 2 MiB mapped for all. */
const ENTER_LONG = `
    mov edi,0x10000
    mov dword ptr [edi],0x11007
    mov dword ptr [edi+0x1000],0x12007
    mov dword ptr [edi+0x2000],0x87
    mov cr3,edi
    mov eax,cr4
    or eax,0x20
    mov cr4,eax
    mov ecx,0xc0000080
    rdmsr
    or eax,0x101
    wrmsr
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax
    jmp 0x18:long
  bits 64
  long:
    lidt [idtr]
    mov rsp,0x9000`;

const run = (machine: GuestMachine) => machine.processor.run(100_000);

function legacyGate(machine: GuestMachine, vector: number, offset: number, dpl = 0): void {
  machine.ram.setBigUint64(IDT + vector * 8, gate({ selector: 8, offset, type: 14, dpl }), true);
}
function longGate(machine: GuestMachine, vector: number, offset: number, dpl = 0): void {
  machine.ram.setBigUint64(IDT + vector * 16, gate({ selector: 0x18, offset, type: 14, dpl }), true);
}

test("a guest goes from real mode to 64-bit user mode, and in and out of its kernel by SYSCALL and INT", () => {
  const machine = boot(`${ENTER_LONG}
    mov ecx,0xc0000081
    mov eax,0
    mov edx,0x00200018
    wrmsr
    mov ecx,0xc0000082
    mov eax,entry
    mov edx,0
    wrmsr
    mov ecx,0xc0000084
    mov eax,0x300
    wrmsr
    push 0x2b
    push 0x7000
    push 0x202
    push 0x33
    push user
    iretq
  user:
    syscall
    mov rbp,rax
    int 0x80
    mov r12,rax
    mov r13,rsp
    ud2
  entry:
    mov r8,rcx
    mov r9,r11
    mov rax,rsp
    o64 sysret
    times 0x1800-($-0x1000) db 0x90`.replace("times 0x1800-($-0x1000) db 0x90", `
    align 512
  int80:
    mov eax,cs
    mov r14,rsp
    iretq
    align 512
  invalid:
    hlt`));
  const int80 = 0x1200;
  longGate(machine, 0x80, int80, 3);
  longGate(machine, 6, int80 + 0x200);
  machine.ram.setBigUint64(TSS + 4, 0x8800n, true);
  assert.deepEqual(run(machine), { kind: "halted" });
  const { registers } = machine.processor;
  assert.equal(registers.gpr(9), 0x202n, "R11 holds the flags");
  assert.equal(registers.gpr(5), 0x7000n, "SYSCALL keeps RSP");
  assert.equal(registers.gpr(12), 0x18n, "INT ran in the kernel's code segment");
  assert.equal(registers.gpr(14), 0x8800n - 40n);
  assert.equal(registers.gpr(13), 0x7000n);
  assert.equal(registers.get32("cpl"), 0);
});
