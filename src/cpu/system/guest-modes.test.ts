/** Guest programs on the whole processor: through modes and privilege levels and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RAX, RBP, RBX, RCX, RDI, RDX, RSI } from "../../isa/semantics.ts";
import { descriptor, gate } from "./testing/flat-cpu.ts";
import { GuestMachine } from "./testing/guest-machine.ts";

const GDT = 0x2000;
const IDT = 0x3000;
const TSS = 0x6000;

const flat = { limit: 0xf_ffff, pages: true };
/** Descriptors from selector 8 on. */
const DESCRIPTORS = [
  descriptor({ ...flat, type: 0xa, big: true }), // 08: kernel code, 32 bits
  descriptor({ ...flat, type: 2, big: true }), // 10: kernel data
  descriptor({ ...flat, type: 0xa, long: true }), // 18: kernel code, 64 bits
  descriptor({ ...flat, type: 2, big: true }), // 20: kernel data
  descriptor({ ...flat, type: 2, big: true, dpl: 3 }), // 28: user data
  descriptor({ ...flat, type: 0xa, long: true, dpl: 3 }), // 30: user code, 64 bits
  descriptor({ ...flat, type: 0xa, big: true, dpl: 3 }), // 38: user code, 32 bits
  descriptor({ base: TSS, limit: 0x67, type: 9, system: true }), // 40: TSS
  0n,
  descriptor({ limit: 0xffff, type: 0xa }), // 50: kernel code, 16 bits
];

interface Handler {
  readonly label: string;
  readonly dpl?: number;
}

/**
 * A guest that has gone to 32-bit protected mode, ESP 0x9000 and the kernel's stack for interrupts at 0x8800;
 * `program` goes on from there. `handlers` are its interrupt handlers by vector.
 */
function boot(program: string, handlers: Record<number, Handler> = {}, long = false): GuestMachine {
  const machine = new GuestMachine();
  DESCRIPTORS.forEach((value, index) => {
    machine.ram.setBigUint64(GDT + 8 + index * 8, value, true);
  });
  const symbols = machine.load(`
    lgdt [gdtr]
    lidt [idtr]
    mov eax,cr0
    or eax,1
    mov cr0,eax
    jmp 8:protected
  gdtr:
    dw 0x57
    dd ${GDT}
  idtr:
    dw 0xfff
    dq ${IDT}
  bits 32
  protected:
    mov ax,0x10
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,0x9000
    mov ax,0x40
    ltr ax
    ${long ? ENTER_LONG : ""}
    ${program}`);
  machine.ram.setUint32(TSS + 4, 0x8800, true);
  if (!long) machine.ram.setUint16(TSS + 8, 0x10, true);
  for (const [vector, { label, dpl = 0 }] of Object.entries(handlers)) {
    const offset = Number(symbols.get(label));
    const value = gate({ selector: long ? 0x18 : 8, offset, type: 14, dpl });
    machine.ram.setBigUint64(IDT + Number(vector) * (long ? 16 : 8), value, true);
  }
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

/** Runs until the guest halts. */
function run(machine: GuestMachine): (index: number) => bigint {
  assert.deepEqual(machine.processor.run(100_000), { kind: "halted" });
  return (index) => machine.processor.registers.gpr(index);
}

test("64-bit user code goes in and out of its kernel by SYSCALL and INT, and an invalid opcode is an exception", () => {
  const program = `
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
  bad:
    ud2
  entry:
    mov r8,rcx
    mov r9,r11
    mov rax,rsp
    o64 sysret
  int80:
    mov eax,cs
    mov r14,rsp
    iretq
  invalid:
    mov r15,[rsp]
    mov rbx,bad
    hlt`;
  const gpr = run(boot(program, { 128: { label: "int80", dpl: 3 }, 6: { label: "invalid" } }, true));
  assert.equal(gpr(9), 0x202n, "R11 holds the flags");
  assert.equal(gpr(RBP), 0x7000n, "SYSCALL keeps RSP");
  assert.equal(gpr(12), 0x18n, "INT runs in the kernel's code segment");
  assert.equal(gpr(14), 0x8800n - 40n);
  assert.equal(gpr(13), 0x7000n);
  assert.equal(gpr(15), gpr(RBX), "the frame points to the faulting instruction");
});

test("SWAPGS and the base instructions exchange, read and write bases", () => {
  const program = `
    mov rax,cr4
    or rax,0x10000
    mov cr4,rax
    mov rax,0x123456789a
    wrgsbase rax
    mov ecx,0xc0000102
    mov eax,0x5555
    mov edx,0
    wrmsr
    swapgs
    rdgsbase rbx
    swapgs
    rdgsbase rsi
    wrfsbase eax
    rdfsbase rbp
    hlt`;
  const gpr = run(boot(program, {}, true));
  assert.equal(gpr(RBX), 0x5555n);
  assert.equal(gpr(RSI), 0x12_3456_789an);
  assert.equal(gpr(RBP), 0x5555n);
});

test("32-bit user code may neither CLI nor HLT, and POPF leaves IF and IOPL alone", () => {
  const program = `
    push 0x2b
    push 0x7000
    push 0x202
    push 0x3b
    push user
    iretd
  user:
    mov ax,0x2b
    mov ds,ax
    push 0x3047
    popfd
    pushfd
    pop ebx
    cli
    hlt
    int 0x80
  protection:
    pop edx
    add ebp,1
    add dword ptr [esp],1
    iretd
  done:
    hlt`;
  const gpr = run(boot(program, { 13: { label: "protection" }, 128: { label: "done", dpl: 3 } }));
  assert.equal(gpr(RBX), 0x247n);
  assert.equal(gpr(RBP), 2n);
  assert.equal(gpr(RDX), 0n);
});

test("segment registers are moved, pushed, popped and loaded with far pointers", () => {
  const program = `
    mov eax,-1
    mov ax,0x28
    mov fs,ax
    mov eax,-1
    mov eax,fs
    push fs
    pop ebx
    push 0x10
    pop gs
    mov ecx,gs
    lfs esi,[pointer]
    mov edx,fs
    mov edi,-1
    les di,[short]
    mov ebp,es
    mov word ptr [cell],0
    mov [cell],ss
    hlt
  pointer:
    dd 0x12345678
    dw 0x10
  short:
    dw 0x4321
    dw 0x20
  cell:
    dd 0xeeeeeeee`;
  const gpr = run(boot(program));
  assert.deepEqual([RAX, RBX, RCX, RDX].map(gpr), [0x28n, 0x28n, 0x10n, 0x10n]);
  assert.equal(gpr(RSI), 0x1234_5678n);
  assert.equal(gpr(RDI), 0xffff_4321n);
  assert.equal(gpr(RBP), 0x20n);
});

test("far calls and returns go to another code segment and back", () => {
  const program = `
    call 8:callee
    mov esi,esp
    mov dword ptr [0x7f00],callee
    mov word ptr [0x7f04],8
    call far [0x7f00]
    mov edi,esp
    hlt
  callee:
    mov ebx,[esp+4]
    add ebp,1
    retf`;
  const gpr = run(boot(program));
  assert.equal(gpr(RBP), 2n);
  assert.equal(gpr(RBX), 8n);
  assert.deepEqual([gpr(RSI), gpr(RDI)], [0x9000n, 0x9000n]);
});

test("BOUND, INTO, INT3 and INT1 raise their exceptions, faults at and traps after the instruction", () => {
  const program = `
    mov edx,0
    mov eax,11
    bound eax,[bounds]
    mov eax,10
    bound eax,[bounds]
    mov al,0x7f
    add al,1
  over:
    into
    int3
    int1
    hlt
  range:
    add ebx,1
    add dword ptr [esp],6
    iretd
  overflow:
    mov ecx,[esp]
    sub ecx,over
    iretd
  breakpoint:
    add edx,1
    iretd
  debug:
    add esi,1
    iretd
  bounds:
    dd -5
    dd 10`;
  const handlers = {
    1: { label: "debug" },
    3: { label: "breakpoint" },
    4: { label: "overflow" },
    5: { label: "range" },
  };
  const gpr = run(boot(program, handlers));
  assert.deepEqual([RBX, RCX, RDX, RSI].map(gpr), [1n, 1n, 1n, 1n]);
});

test("LAR, LSL, VERR, VERW and ARPL tell about selectors", () => {
  const program = `
    mov ecx,0x28
    lar eax,cx
    lsl ebx,cx
    mov ecx,0x28
    verr cx
    setz dl
    mov ecx,0x38
    verw cx
    setz dh
    mov esi,0x28
    mov ecx,3
    arpl si,cx
    setz cl
    mov edi,0x7777
    mov ebp,0x1000
    lar edi,bp
    hlt`;
  const gpr = run(boot(program));
  assert.equal(gpr(RAX) & 0xf0_ff00n, 0xc0_f200n);
  assert.equal(gpr(RBX), 0xffff_ffffn);
  assert.equal(gpr(RDX) & 0xffffn, 1n);
  assert.equal(gpr(RSI), 0x2bn);
  assert.equal(gpr(RCX) & 0xffn, 1n);
  assert.equal(gpr(RDI), 0x7777n, "a selector beyond the table leaves the destination");
});

test("virtual-8086 code runs with paragraphs, and its INT comes to the monitor as a protection fault", () => {
  const program = `
    push 0x111
    push 0x222
    push 0x100
    push 0x333
    push 0x200
    push 0x1000
    push 0x20202
    push 0x700
    push 0
    iretd
  protection:
    mov ebp,[esp]
    mov edi,[esp+12]
    mov esi,[esp+16]
    hlt`;
  const machine = boot(program, { 13: { label: "protection" } });
  // mov ax,ds; mov bx,cs; push ax; int 21h
  [0x8c, 0xd8, 0x8c, 0xcb, 0x50, 0xcd, 0x21].forEach((byte, index) => {
    machine.ram.setUint8(0x7000 + index, byte);
  });
  const gpr = run(machine);
  assert.equal(gpr(RAX) & 0xffffn, 0x100n);
  assert.equal(gpr(RBX) & 0xffffn, 0x700n);
  assert.equal(gpr(RDI) & 0x2_0000n, 0x2_0000n, "VM is set in the saved flags");
  assert.equal(gpr(RSI), 0xffen, "SP as the push left it");
  assert.equal(machine.ram.getUint16(0x2000 + 0xffe, true), 0x100);
});

test("an interrupt that waits is taken after the instruction that follows STI", () => {
  const machine = boot(
    `
    mov ebx,0
    sti
    mov ebx,1
    mov ebx,2
    mov ebx,3
    hlt
  timer:
    hlt`,
    { 32: { label: "timer" } },
  );
  machine.waiting = 0x20;
  assert.equal(run(machine)(RBX), 1n);
});

test("an interrupt that waits is taken when POPF turns interrupts on", () => {
  const machine = boot(
    `
    mov ebx,0
    push 0x202
    popfd
    mov ebx,1
    mov ebx,2
    hlt
  timer:
    hlt`,
    { 32: { label: "timer" } },
  );
  machine.waiting = 0x20;
  assert.equal(run(machine)(RBX), 0n);
});

test("a guest goes back from protected to real mode through 16-bit segments", () => {
  const program = `
    jmp 0x50:sixteen
  bits 16
  sixteen:
    mov eax,cr0
    and eax,-2
    mov cr0,eax
    jmp 0:real
  real:
    mov ax,0x700
    mov ds,ax
    mov byte ptr [5],0x5a
    mov ss,ax
    mov sp,0x200
    pushf
    mov bx,cs
    hlt`;
  const machine = boot(program);
  const gpr = run(machine);
  assert.equal(machine.ram.getUint8(0x7005), 0x5a);
  assert.equal(machine.ram.getUint16(0x71fe, true) & 2, 2);
  assert.equal(gpr(RBX) & 0xffffn, 0n);
});
