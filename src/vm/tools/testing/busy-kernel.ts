/**
 * A Multiboot kernel that keeps the translator busy: loops, calls, accesses that
 * cross pages, an exception in each round, the timer's interrupts.
 */
import { assemble } from "../../../isa/assemble.ts";

export const ROUNDS = 40;
/** Where it counts the interrupts that it takes, and the exceptions. */
export const INTERRUPTS_AT = 0x30_0000;
export const EXCEPTIONS_AT = 0x30_0004;
/** The timer's vector. */
export const TIMER = 32;

const IDT = 0x5000;

/** Assembly that has `label` handle a vector. */
const gate = (vector: number, label: string) => `
  mov eax,${label}
  mov [${IDT + vector * 8}],ax
  mov [${IDT + vector * 8 + 2}],cs
  mov word ptr [${IDT + vector * 8 + 4}],0x8e00
  shr eax,16
  mov [${IDT + vector * 8 + 6}],ax`;

const out = (port: number, ...bytes: number[]) => bytes.map((byte) => `\n  mov al,${byte}\n  out ${port},al`).join("");

const SOURCE = `
  bits 32
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  idtr: dw 0x7ff
  dd ${IDT}
  start:
  mov esp,0x90000
  ${gate(6, "undefined")}
  ${gate(TIMER, "tick")}
  lidt [idtr]
  ${out(0x20, 0x11)} ${out(0x21, TIMER, 4, 1, 0xfe)} ${out(0xa1, 0xff)}
  ${out(0x43, 0x34)} ${out(0x40, 0xd0, 0x07)}
  sti
  mov ebp,${ROUNDS}
  round:
  mov ecx,20000
  mov esi,0x200000
  again:
  mov eax,[esi]
  add eax,ecx
  mov [esi],eax
  call mix
  test ecx,1023
  jnz within
  mov ebx,[0x204ffe]
  within:
  add esi,4
  and esi,0x203fff
  dec ecx
  jnz again
  ud2
  dec ebp
  jnz round
  cli
  ${out(0xf4, 21)}
  stay: jmp stay
  mix:
  xor edx,eax
  rol edx,3
  ret
  tick:
  push eax
  inc dword ptr [${INTERRUPTS_AT}]
  ${out(0x20, 0x20)}
  pop eax
  iretd
  undefined:
  inc dword ptr [${EXCEPTIONS_AT}]
  add dword ptr [esp],2
  iretd
`;

/** The kernel's file, and the addresses of its labels. */
export function busyKernel(): { readonly image: Uint8Array; readonly labels: ReadonlyMap<string, bigint> } {
  const { bytes, symbols } = assemble(SOURCE, { bits: 32, origin: 0x10_0000n });
  return { image: bytes, labels: symbols };
}
