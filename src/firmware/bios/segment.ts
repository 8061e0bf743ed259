/**
 * The BIOS's code segment, F000h: for each interrupt a stub that hands the call to the host by an OUT, and gives back
 * to the caller. A stub pushes the service's number; the host takes it off again and does the service. Where the host
 * must be asked again, because a key is not there yet, it sets the carry flag: the stub halts until an interrupt.
 *
 * After the OUT comes a jump, which ends a block of code: a service that holds the processor is complete before anything
 * behind the jump.
 */
import { assemble } from "../../isa/assemble.ts";

export const BIOS_SEGMENT = 0xf000;
export const BIOS_BASE = 0xf_0000;
/** Nothing else of a PC is at this port. */
export const BIOS_PORT = 0xe5;
/** For 32-bit callers of the PCI BIOS. */
export const BIOS32_PORT = 0xe6;
export const PCI32_PORT = 0xe7;
/** Offset of the stubs; tables and fonts are below. */
const CODE_AT = 0xe000;

/** Services that are no interrupt of their own. */
export const Internal = {
  tick: 0xc0,
  key: 0xc1,
  keyPause: 0xc2,
  mouse: 0xc3,
  reset: 0xc4,
  rtc: 0xc5,
  pxenv: 0xc6,
  pxe: 0xc7,
} as const;

/** Interrupts whose service is done by the host, and nothing else. */
export const HOST_INTERRUPTS = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x40] as const;

const stub = (vector: number) => `int_${vector.toString(16)}: push ${vector}\n jmp common`;

const CODE = `
${HOST_INTERRUPTS.map(stub).join("\n")}

common:
  out ${BIOS_PORT},al
  jmp answered
answered:
  jc wait_again
  iret
wait_again:
  sti
  hlt
  jmp common

reset:
  cli
  push ${Internal.reset}
  jmp common

int_8:
  push ${Internal.tick}
  out ${BIOS_PORT},al
  int 0x1c
  push ax
  mov al,0x20
  out 0x20,al
  pop ax
  iret

int_9:
  push ax
  in al,0x60
  mov ah,0x4f
  stc
  int 0x15
  jnc key_done
  push ${Internal.key}
  out ${BIOS_PORT},al
  jnc key_done
  cli
  mov al,0x20
  out 0x20,al
  push ${Internal.keyPause}
key_pause:
  out ${BIOS_PORT},al
  jnc key_resume
  sti
  hlt
  jmp key_pause
key_resume:
  pop ax
  iret
key_done:
  cli
  mov al,0x20
  out 0x20,al
  pop ax
  iret

int_70:
  push ${Internal.rtc}
  out ${BIOS_PORT},al
  jnc slave_done
  int 0x4a
slave_done:
  push ax
  mov al,0x20
  out 0xa0,al
  out 0x20,al
  pop ax
  iret

int_74:
  pusha
  push ds
  push es
  push ${Internal.mouse}
  out ${BIOS_PORT},al
  jnc mouse_done
  cs call far [mouse_handler]
  add sp,8
mouse_done:
  cli
  mov al,0x20
  out 0xa0,al
  out 0x20,al
  pop es
  pop ds
  popa
  iret
mouse_handler: dd 0

irq_master:
  push ax
  mov al,0x20
  out 0x20,al
  pop ax
  iret
irq_slave:
  push ax
  mov al,0x20
  out 0xa0,al
  out 0x20,al
  pop ax
  iret
nothing:
  iret

; Far calls, which are made to look like an interrupt; who calls from protected mode is told that it failed.
pxenv_entry:
  mov ax,1
  pushf
  push cs
  call pxenv
  retf
pxenv:
  push ${Internal.pxenv}
  jmp common
pxe_entry:
  mov ax,1
  pushf
  push cs
  call pxe
  retf
pxe:
  push ${Internal.pxe}
  jmp common
; A boot program that returns gives up.
pxe_returned:
  int 0x18
  jmp pxe_returned

pnp_entry:
  mov ax,0x82
  retf

bits 32
align 16
bios32:
  out ${BIOS32_PORT},al
  retf
align 16
pci32:
  out ${PCI32_PORT},al
  retf
`;

export interface BiosCode {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, number>;
}

export function biosCode(): BiosCode {
  const { bytes, symbols } = assemble(CODE, { bits: 16, origin: BigInt(CODE_AT) });
  return { offset: CODE_AT, bytes, symbols: new Map([...symbols].map(([name, at]) => [name, Number(at)])) };
}

/** Offsets in the segment for vectors 0 to 77h, as the power-on self test leaves them. */
export function vectorTable({ symbols }: BiosCode): Uint16Array {
  const at = (name: string) => symbols.get(name) as number;
  const vectors = new Uint16Array(0x78).fill(at("nothing"));
  for (let irq = 2; irq < 8; irq++) vectors[8 + irq] = at("irq_master");
  for (let irq = 8; irq < 16; irq++) vectors[0x70 + irq - 8] = at("irq_slave");
  for (const vector of HOST_INTERRUPTS) vectors[vector] = at(`int_${vector.toString(16)}`);
  for (const vector of [0x08, 0x09, 0x70, 0x74]) vectors[vector] = at(`int_${vector.toString(16)}`);
  return vectors;
}
