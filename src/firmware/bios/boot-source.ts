/** What the BIOS can boot from: one contract for drives and the network. */
import type { BootKind } from "./boot-order.ts";
import type { BiosCall, Outcome } from "./call.ts";
import { GPR, SEG } from "./processor.ts";

/** Something to start, in the host's memory. */
export interface BootProgram {
  readonly bytes: Uint8Array;
  /** Where it goes: a segment of real mode. */
  readonly segment: number;
  /** Called when it is about to run; what it is told. */
  prepare(call: BiosCall): BootRegisters;
}

/** What a program finds when it is entered; registers that are absent are 0, EAX is AA55h. */
export interface BootRegisters {
  readonly edx?: number;
  readonly ebx?: number;
  readonly es?: number;
  /** Words on the stack, its top first. */
  readonly stack?: readonly number[];
}

/** A program, or why there is none. */
export type Found = BootProgram | { readonly reason: string };

export interface BootSource {
  readonly kind: BootKind;
  /** In messages: "disk 1". */
  readonly name: string;
  /** In menus, where it is not the name. */
  readonly title?: string;
  /** Whether there is a chance that something is found: a medium in the drive, a card in the machine. */
  isReady(): boolean;
  /** Looks for something to start, with the processor held where that takes time, and tells `found` once. */
  find(call: BiosCall, found: (found: Found) => Outcome): Outcome;
  /** What was started gave up. */
  left?(call: BiosCall): void;
}

/** A machine whose boot order has a network that it does not have. */
export const NO_NETWORK: BootSource = {
  kind: "net",
  name: "network",
  isReady: () => false,
  find: (_call, found) => found({ reason: "the machine has no network card" }),
};

export const BOOT_AT = 0x7c00;
/** An interrupt's frame: IP, CS, FLAGS. */
const FRAME = 6;
const FLAGS_ENABLED = 0x0202;

/** Gives control to what was loaded: the stub's IRET goes there. */
export function enterProgram(call: BiosCall, program: BootProgram): void {
  const { processor } = call;
  const { edx = 0, ebx = 0, es = 0, stack = [] } = program.prepare(call);
  processor.writePhysical(program.segment << 4, program.bytes);
  // 07C0:0000 is entered as 0000:7C00, as most programs expect it.
  const [cs, ip] = [program.segment & 0xf000, (program.segment & 0xfff) << 4];
  for (const each of [SEG.ss, SEG.ds]) processor.load(each, 0);
  processor.load(SEG.es, es);
  const frame = BOOT_AT - FRAME - 2 * stack.length;
  call.sp = frame;
  for (const [i, word] of [ip, cs, FLAGS_ENABLED, ...stack].entries()) processor.writeWord(frame + 2 * i, 2, word);
  call.eax = 0xaa55;
  call.ebx = ebx;
  call.ecx = 0;
  call.edx = edx;
  for (const each of [GPR.ebp, GPR.esi, GPR.edi]) processor.set(each, 0);
}
