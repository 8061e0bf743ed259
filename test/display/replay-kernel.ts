/**
 * A kernel that does port and memory accesses from a list, and says when it is done: the same accesses on any machine.
 * Between parts of the list it writes a byte to COM1 and waits for one.
 */

import type { VgaMemory, VgaPorts } from "../../src/firmware/vga/set-mode.ts";
import { assemble } from "../../src/isa/assemble.ts";

const ORIGIN = 0x10_0000;
export const PAUSE_BYTE = 0x50;

const KERNEL = `
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  start:
    mov esp, stack
    mov esi, list
  next:
    mov ecx, [esi]
    mov edx, [esi+4]
    mov eax, [esi+8]
    mov ebx, [esi+12]
    add esi, 16
    cmp ecx, 1
    je out8
    cmp ecx, 2
    je out16
    cmp ecx, 3
    je in8
    cmp ecx, 4
    je store8
    cmp ecx, 5
    je store16
    cmp ecx, 6
    je store32
    cmp ecx, 7
    je ramp
    cmp ecx, 8
    je pause
  stop: hlt
    jmp stop
  out8: out dx, al
    jmp next
  out16: out dx, ax
    jmp next
  in8: in al, dx
    jmp next
  store8: mov [edx], al
    jmp next
  store16: mov [edx], ax
    jmp next
  store32: mov [edx], eax
    jmp next
  ramp: mov ecx, [esi-16+12]
    mov ebx, [esi]
    add esi, 16
    mov edi, edx
  again: mov [edi], eax
    add edi, 4
    add eax, ebx
    dec ecx
    jne again
    jmp next
  pause: mov dx, 0x3f8
    mov al, ${PAUSE_BYTE}
    out dx, al
    mov dx, 0x3fd
  wait: in al, dx
    test al, 1
    je wait
    mov dx, 0x3f8
    in al, dx
    jmp next
  dd 0, 0, 0, 0, 0, 0, 0, 0
  stack: dd 0
  list: dd 0
`;

const Op = { out8: 1, out16: 2, in8: 3, store8: 4, store16: 5, store32: 6, ramp: 7, pause: 8 } as const;

/** Takes accesses down as firmware code makes them. */
export class Recording {
  readonly #list: number[] = [];

  readonly ports: VgaPorts = {
    read: (port) => {
      this.#add(Op.in8, port);
      return 0;
    },
    write: (port, size, value) => this.#add(size === 1 ? Op.out8 : Op.out16, port, value),
  };
  readonly memory: VgaMemory = {
    write: (address, size, value) =>
      this.#add(size === 1 ? Op.store8 : size === 2 ? Op.store16 : Op.store32, address, value),
  };

  /** Writes `count` words from `address` on: `first`, and each `step` more than the one before. */
  ramp(address: number, count: number, first: number, step: number): void {
    this.#add(Op.ramp, address, first, count);
    this.#add(step);
  }

  /** A register behind an index port. */
  indexed(port: number, index: number, value: number): void {
    this.ports.write(port, 2, (value << 8) | index);
  }

  pause(): void {
    this.#add(Op.pause);
  }

  #add(op: number, address = 0, value = 0, count = 0): void {
    this.#list.push(op, address, value >>> 0, count);
  }

  /** The kernel, in a file that Multiboot loaders start. */
  kernel(): Uint8Array {
    const { bytes } = assemble(KERNEL, { bits: 32, origin: BigInt(ORIGIN) });
    const code = bytes.subarray(0, bytes.length - 4);
    const list = Uint32Array.from([...this.#list, 0, 0, 0, 0], (value) => value >>> 0);
    const image = new Uint8Array(code.length + list.byteLength);
    image.set(code);
    image.set(new Uint8Array(list.buffer), code.length);
    return image;
  }
}
