/**
 * A processor with nothing around it runs code that means no good, in each of its modes. Whatever that code does,
 * `run` comes back, nothing is thrown, and what the processor keeps stays within its bounds.
 */
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import type { CodeBits } from "../../src/isa/encode.ts";
import { Kernel, type Mode, SELECTOR, STACK, USER_STACK } from "../ring0/kernel.ts";
import { hostileCode, interestingValue } from "./hostile-code.ts";

/** What the code runs as. */
export interface Regime {
  readonly name: string;
  readonly mode: Mode;
  readonly bits: CodeBits;
  readonly ring: 0 | 3;
  readonly code?: number;
  readonly stack?: number;
  readonly virtual?: boolean;
}

export const REGIMES: readonly Regime[] = [
  { name: "real mode", mode: "real", bits: 16, ring: 0 },
  {
    name: "16-bit protected mode",
    mode: "protected",
    bits: 16,
    ring: 0,
    code: SELECTOR.code16,
    stack: SELECTOR.data16,
  },
  ...(["protected", "paged", "pae"] as const).flatMap((mode): Regime[] => [
    { name: `${mode} ring 0`, mode, bits: 32, ring: 0 },
    { name: `${mode} ring 3`, mode, bits: 32, ring: 3 },
    { name: `${mode} virtual-8086 mode`, mode, bits: 16, ring: 3, virtual: true },
  ]),
  { name: "64-bit ring 0", mode: "long", bits: 64, ring: 0 },
  { name: "64-bit ring 3", mode: "long", bits: 64, ring: 3 },
  { name: "compatibility mode", mode: "long", bits: 32, ring: 3, code: SELECTOR.userCode32 },
];

/** The code lies in pieces, each of which is entered at its start. */
const CODE = 0x4_0000;
const PIECE = 256;
const PIECES = 128;
const COUNTER = 0x3_0000;
const VECTORS = 256;
const CODE_SEGMENT = CODE >> 4;

/** Assembly of the handler of everything: goes to the next piece in the regime's ring. */
function handler({ mode, ring, code, stack, virtual }: Regime): string {
  const next = `
    inc dword ptr [${COUNTER}]
    mov eax,[${COUNTER}]
    and eax,${PIECES - 1}
    shl eax,${Math.log2(PIECE)}`;
  if (mode === "real") {
    return `
    cli
    xor eax,eax
    mov ds,ax
    mov ss,ax
    mov sp,0x8000
    mov ebx,${COUNTER}
    inc dword ptr [ebx]
    mov eax,[ebx]
    and eax,${PIECES - 1}
    shl eax,${Math.log2(PIECE)}
    push ${CODE_SEGMENT}
    push ax
    retf`;
  }
  if (mode === "long") {
    return `
    mov rsp,${STACK}
    ${next}
    add eax,${CODE}
    push ${ring === 3 ? SELECTOR.userData : SELECTOR.data}
    push ${ring === 3 ? USER_STACK : STACK}
    push 0x3202
    push ${code ?? (ring === 3 ? SELECTOR.userCode64 : SELECTOR.code64)}
    push rax
    iretq`;
  }
  const segments = (selector: number) => `mov bx,${selector}\n mov ds,bx\n mov es,bx`;
  const enter = virtual
    ? `push 0x3000\n push 0x3000\n push 0x3000\n push 0x3000\n push 0x1000\n push 0x8000\n push 0x23202
       push ${CODE_SEGMENT}\n push eax\n iretd`
    : ring === 3
      ? `add eax,${CODE}\n ${segments(SELECTOR.userData)}\n push ${SELECTOR.userData}\n push ${USER_STACK}
         push 0x3202\n push ${SELECTOR.userCode32}\n push eax\n iretd`
      : code
        ? `mov bx,${stack}\n mov ss,bx\n push 0x202\n push ${code}\n push eax\n iretd`
        : `add eax,${CODE}\n push 0x202\n push ${SELECTOR.code32}\n push eax\n iretd`;
  return `
    mov ax,${SELECTOR.data}
    mov ds,ax
    mov ss,ax
    mov esp,${STACK}
    ${next}
    ${enter}`;
}

/** A guest of this regime with fresh code, data and registers. */
function hostileKernel(regime: Regime, random: SeededRandom): Kernel {
  const gates = Object.fromEntries(
    Array.from({ length: VECTORS }, (_, vector) => [vector, { label: "next", dpl: random.below(2) * 3 }]),
  );
  const descriptors: Record<number, bigint> = {};
  // Descriptors of all kinds for selectors that the code may hit upon.
  for (let selector = 0x80; selector < 0x100; selector += 8) descriptors[selector] = random.bits64();
  descriptors[SELECTOR.code16] = 0x0000_9a04_0000_ffffn;
  return new Kernel(regime.mode, `${regime.mode === "real" ? "" : "sti\n"} jmp next\n next: ${handler(regime)}`, {
    gates: regime.mode === "real" ? {} : gates,
    descriptors,
    setup(kernel) {
      const { ram } = kernel;
      const next = kernel.at("next");
      if (regime.mode === "real")
        for (let vector = 0; vector < VECTORS; vector++) ram.setUint32(vector * 4, next, true);
      for (let at = 0x10_0000; at < 0x10_2000; at += 4) ram.setUint32(at, interestingValue(random), true);
      for (let piece = 0; piece < PIECES; piece++) {
        const code = hostileCode(random, regime.bits, PIECE);
        new Uint8Array(ram.buffer, ram.byteOffset + CODE + piece * PIECE, PIECE).set(code);
      }
      const { registers } = kernel.machine.processor;
      for (let index = 0; index < 16; index++) registers.setGpr(index, BigInt(interestingValue(random)));
      registers.setGpr(4, 0x8000n);
    },
  });
}

/** What a run of hostile code came to. */
export interface HostileRun {
  readonly regime: string;
  readonly instructions: number;
  /** Milliseconds that the longest call of `run` took. */
  readonly longest: number;
  readonly end: string;
}

/** Instructions of one call of `run`. */
const SLICE = 20_000;

/** Runs hostile code of `seed` for about `instructions`; `now` is a clock in milliseconds. */
export function runHostile(seed: number, instructions: number, now: () => number): HostileRun {
  const random = new SeededRandom(seed | 1);
  for (let i = 0; i < 16; i++) random.next();
  const regime = random.pick(REGIMES);
  const { machine } = hostileKernel(regime, random);
  const { processor } = machine;
  const first = processor.instructions;
  let longest = 0;
  let end = "running";
  for (let calls = 0; calls * SLICE < instructions; calls++) {
    const event = random.below(4);
    if (event === 0) machine.waiting = 0x20 + random.below(0xe0);
    if (event === 1) processor.nmi();
    const before = processor.instructions;
    const start = now();
    const result = processor.run(SLICE);
    longest = Math.max(longest, now() - start);
    const ran = processor.instructions - before;
    assert.ok(ran >= 0 && ran <= SLICE + 2048, `${ran} instructions ran of ${SLICE}`);
    machine.output.length = 0;
    end = result.kind;
    if (result.kind === "shutdown") break;
    if (result.kind === "halted") machine.waiting = 0x20 + random.below(0xe0);
  }
  return { regime: regime.name, instructions: processor.instructions - first, longest, end };
}
