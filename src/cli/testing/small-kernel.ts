/** Small guests for tests of the command line, in assembly: Multiboot kernels that live on the serial port. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { assemble } from "../../isa/assemble.ts";

const ORIGIN = 0x10_0000n;

/** @spec Multiboot 0.6.96 §3.1.1, with the addresses in the header (flag 16), so that the file needs no ELF headers */
const HEADER = `
  bits 32
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  start:
`;

/** `al` to COM1, as far as the port has room; its line status register is at 0x3fd. */
const SEND = `
  send: mov ah,al
  send_wait: mov dx,0x3fd
  in al,dx
  test al,0x20
  jz send_wait
  mov al,ah
  mov dx,0x3f8
  out dx,al
  ret
`;

/** A byte from COM1 in `al`. */
const RECEIVE = `
  receive: mov dx,0x3fd
  in al,dx
  test al,1
  jz receive
  mov dx,0x3f8
  in al,dx
  ret
`;

/** What each guest does. */
const PROGRAMS = {
  /** Says "Hi" and writes 21 to the debug-exit port. */
  greet: "mov esp,0x90000\n mov al,72\n call send\n mov al,105\n call send\n mov al,21\n out 0xf4,al\n stay: jmp stay",
  /** Sends each byte back that it gets; "." writes 0 to the debug-exit port. */
  echo: "mov esp,0x90000\n next: call receive\n call send\n cmp al,46\n jnz next\n xor eax,eax\n out 0xf4,al\n stay: jmp stay",
  /** Says "on" and sends each byte that it reads from the keyboard, in hexadecimal. */
  keys: `mov esp,0x90000
    mov al,111
    call send
    mov al,110
    call send
    next: in al,0x64
    test al,1
    jz next
    in al,0x60
    mov cl,al
    shr al,4
    call digit
    mov al,cl
    and al,15
    call digit
    jmp next
    digit: add al,48
    cmp al,58
    jc send
    add al,39
    jmp send`,
  /** Says "on" and waits for ever. */
  wait: "mov esp,0x90000\n mov al,111\n call send\n mov al,110\n call send\n stay: jmp stay",
  /** Says "on" and halts for ever: interrupts are off, and one of the timer's waits. */
  sleep: `mov esp,0x90000
    mov al,0x34
    out 0x43,al
    mov al,0xff
    out 0x40,al
    out 0x40,al
    mov al,0x11
    out 0x20,al
    mov al,0x20
    out 0x21,al
    mov al,4
    out 0x21,al
    mov al,1
    out 0x21,al
    mov al,0
    out 0x21,al
    mov al,111
    call send
    mov al,110
    call send
    stay: hlt
    jmp stay`,
  /** Sends "y" for ever. */
  flood: "mov esp,0x90000\n stay: mov al,121\n call send\n jmp stay",
  /** Asks the keyboard controller for a reset. */
  reset: "mov al,0xfe\n out 0x64,al\n stay: jmp stay",
  /** An exception without an interrupt table: a triple fault. */
  crash: "lidt [zeros]\n int3\n zeros: dd 0, 0",
} as const;

/** The guest's kernel file. */
export function smallKernelImage(program: keyof typeof PROGRAMS): Uint8Array {
  return assemble(`${HEADER}\n${PROGRAMS[program]}\n${SEND}\n${RECEIVE}`, { bits: 32, origin: ORIGIN }).bytes;
}

/** Writes the guest's kernel file into `directory`; returns its path. */
export async function smallKernel(program: keyof typeof PROGRAMS, directory: string): Promise<string> {
  const file = path.join(directory, `${program}.kernel`);
  await writeFile(file, smallKernelImage(program));
  return file;
}
