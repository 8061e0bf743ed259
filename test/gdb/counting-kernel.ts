/**
 * A kernel for debuggers: it counts for ever, in the mode that it is started in. It is a bzImage, which has entries in
 * 64-bit, 32-bit and 16-bit code; at each stands the same program.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { bzImage } from "../../src/firmware/testing/kernel-images.ts";
import { assemble } from "../../src/isa/assemble.ts";

export type Mode = "64" | "32" | "16";

/** Where each entry is in memory, and where its code is in the file and in its segment. */
const ENTRIES = {
  // @spec Linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": 0x200 behind the 32-bit entry.
  "64": { at: 0x100_0200, offset: 0x200, origin: 0x100_0200n },
  "32": { at: 0x100_0000, offset: 0, origin: 0x100_0000n },
  // Behind the jump that the setup header begins with; the code segment begins 0x20 paragraphs behind the setup code.
  "16": { at: 0x9_026c, offset: 0x26c, origin: 0x6cn },
} as const;

const CODE_SIZE = 0x4000;
const SETUP_SIZE = 5 * 512;
/** Where the program keeps what it has counted. */
export const COUNTER = 0x5000;
/** Not 0: the program ends the machine. */
export const STOP = 0x5008;
/** The status that bunk ends with then. */
export const STATUS = 21;

function program(mode: Mode): string {
  const [a, c, sp] = mode === "64" ? ["rax", "rcx", "rsp"] : mode === "32" ? ["eax", "ecx", "esp"] : ["ax", "cx", "sp"];
  const segments = mode === "16" ? "xor ax,ax\n mov ds,ax\n mov ss,ax" : "";
  return `
  start:
    ${segments}
    mov ${sp},0x7000
    mov ${c},0
    mov ${a},0x1234
  next:
    inc ${c}
    call count
    test ${c},0xfff
    jnz next
    push ${a}
    mov dx,0x3f8
    mov al,46
    out dx,al
    pop ${a}
    jmp next
  count:
    mov [${COUNTER}],${c}
  counted:
    mov ${a},[${COUNTER}]
  fetched:
    cmp byte ptr [${STOP}],0
    jnz done
    ret
  done:
    mov al,${(STATUS - 1) / 2}
    out 0xf4,al
  stay:
    jmp stay`;
}

export interface CountingKernel {
  readonly file: string;
  /** Linear address of a label of the program, in gdb's notation. */
  at(mode: Mode, label: string): string;
}

/** Writes the file of a kernel that is for 64-bit processors, or not, into `directory`. */
export async function countingKernel(directory: string, { wide }: { wide: boolean }): Promise<CountingKernel> {
  const code = new Uint8Array(CODE_SIZE);
  const assembled = (mode: Mode) => assemble(program(mode), { bits: Number(mode) as 16, origin: ENTRIES[mode].origin });
  for (const mode of ["64", "32"] as const) code.set(assembled(mode).bytes, ENTRIES[mode].offset);
  const image = bzImage({ xloadflags: wide ? 1 : 0 }, code);
  image.set(assembled("16").bytes, ENTRIES["16"].offset);
  if (image.length !== SETUP_SIZE + CODE_SIZE) throw new Error("the image has another size than its parts");
  const file = path.join(directory, `counting${wide ? 64 : 32}.kernel`);
  await writeFile(file, image);
  return {
    file,
    at(mode, label) {
      const { at, origin } = ENTRIES[mode];
      const address = assembled(mode).symbols.get(label);
      if (address === undefined) throw new Error(`the program has no label ${label}`);
      return `0x${(Number(address - origin) + at).toString(16)}`;
    },
  };
}
