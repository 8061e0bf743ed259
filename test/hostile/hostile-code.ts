/** Code that means no good: random bytes, random instructions, and system instructions with values that might pass. */
import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import { AssemblyError, assemble } from "../../src/isa/assemble.ts";
import { type CodeBits, EncodeError } from "../../src/isa/encode.ts";
import { FORMS } from "../../src/isa/index.ts";
import { randomEncoding } from "../../src/isa/testing/random-encoding.ts";

/** Values that are more likely than others to get past checks or to sit at a boundary. */
export function interestingValue(random: SeededRandom): number {
  switch (random.below(9)) {
    case 0:
      return random.pick([0, 1, 2, 3, 7, 8, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0xffff]);
    case 1:
      return random.pick([0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_f000, 0xffff_fff0, 0xfffe]);
    case 2:
      return 2 ** random.below(32);
    case 3:
      return 2 ** random.below(32) - 1;
    case 4:
      return random.below(0x40_0000);
    case 5:
      return random.below(0x100) * 0x1000 + random.pick([0, 1, 0xfff, 0xffe, 0xff8]);
    case 6:
      return random.pick([0xfec0_0000, 0xfee0_0000, 0xa_0000, 0xc_0000, 0xf_ffff]) + random.below(0x1000);
    case 7:
      return random.below(0x20) * 8 + random.below(4);
    default:
      return random.next();
  }
}

/** Model-specific registers that there may be. */
const MSRS = [
  0x10, 0x11, 0x12, 0x1b, 0x3a, 0x3b, 0x79, 0x8b, 0xc1, 0xce, 0xfe, 0x10a, 0x174, 0x175, 0x176, 0x179, 0x186, 0x1a0,
  0x1d9, 0x200, 0x250, 0x277, 0x2ff, 0x6e0, 0x800, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838, 0x83f, 0xc000_0080,
  0xc000_0081, 0xc000_0082, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103, 0x4b56_4d00, 0x4b56_4d01,
];
const STRINGS = ["movsb", "movsd", "stosb", "stosw", "lodsb", "scasb", "cmpsd", "insb", "outsd", "insd"];
const SINGLE = ["int3", "int1", "ud2", "hlt", "sti", "cli", "clts", "wbinvd", "invd", "cpuid", "rdtsc", "pause"];
const CALLS = ["syscall", "sysenter", "sysexit", "swapgs", "o64 sysret", "monitor", "mwait", "xgetbv", "xsetbv"];

const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;

/** One system instruction or a few that belong together, as assembly. */
function systemCode(random: SeededRandom, bits: CodeBits): string {
  const value = () => hex(interestingValue(random));
  const offset = () => hex(interestingValue(random) & (bits === 16 ? 0xffff : 0x3f_ffff));
  const wide = bits === 64;
  const a = wide ? "rax" : "eax";
  const control = random.pick([0, 2, 3, 4]);
  const selector = hex(random.below(0x20) * 8 + random.below(8));
  const repeated = `${random.pick(["", "rep ", "repne "])}${random.pick(STRINGS)}`;
  const templates: (() => string)[] = [
    () => `mov eax,${value()}\n mov cr${control},${a}`,
    () => `mov ${a},cr${control}\n xor eax,${hex(2 ** random.below(32))}\n mov cr${control},${a}`,
    () => `mov eax,${value()}\n mov dr${random.below(8)},${a}`,
    () => `mov eax,${hex(random.next() & 0xffff_00ff)}\n mov dr7,${a}`,
    () => `mov ecx,${hex(random.pick(MSRS) + random.below(2))}\n mov eax,${value()}\n mov edx,${value()}\n wrmsr`,
    () => `mov ecx,${hex(random.pick(MSRS) + random.below(16))}\n rdmsr`,
    () => `lgdt [${offset()}]`,
    () => `lidt [${offset()}]`,
    () => `mov ax,${selector}\n lldt ax`,
    () => `mov ax,${selector}\n ltr ax`,
    () => `mov ax,${selector}\n mov ${random.pick(["ds", "es", "ss", "fs", "gs"])},ax`,
    () => `push ${value()}\n push ${value()}\n ${wide ? "iretq" : random.pick(["iret", "iretd"])}`,
    () => `push ${selector}\n push ${value()}\n retf`,
    () => `int ${random.below(256)}`,
    () => random.pick(SINGLE),
    () => random.pick(CALLS),
    () => `push ${value()}\n ${wide ? "popfq" : random.pick(["popf", "popfd"])}`,
    () => `invlpg [${offset()}]`,
    () => `cld\n mov ecx,${value()}\n mov esi,${offset()}\n mov edi,${offset()}\n mov edx,${value()}\n ${repeated}`,
    () => `std\n mov ecx,${value()}\n mov esi,${value()}\n mov edi,${value()}\n ${repeated}`,
    () => `mov dx,${hex(random.below(0x1_0000))}\n in ${random.pick(["al", "ax", "eax"])},dx`,
    () => `mov dx,${hex(random.below(0x1_0000))}\n mov eax,${value()}\n out dx,${random.pick(["al", "ax", "eax"])}`,
    () => `mov esp,${value()}\n push ${value()}`,
    () => `fxsave [${offset()}]\n fxrstor [${offset()}]`,
    () => `xsave [${offset()}]\n xrstor [${offset()}]`,
    () => `mov eax,${value()}\n mov edx,${value()}\n mov ecx,0\n xsetbv`,
    () => `enter ${hex(random.below(0x1_0000))},${random.below(256)}`,
    // Where code and tables lie.
    () => `mov dword ptr [${offset()}],${value()}`,
    () => `${random.pick(["inc", "dec", "not"])} byte ptr [${offset()}]`,
  ];
  return random.pick(templates)();
}

/** `length` bytes of code for `bits`. */
export function hostileCode(random: SeededRandom, bits: CodeBits, length: number): Uint8Array {
  const code = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const piece = hostilePiece(random, bits);
    code.set(piece.subarray(0, length - at), at);
    at += piece.length;
  }
  return code;
}

function hostilePiece(random: SeededRandom, bits: CodeBits): Uint8Array {
  const kind = random.below(10);
  if (kind < 2) return Uint8Array.from({ length: 1 + random.below(24) }, () => random.next());
  if (kind < 6) {
    const { code } = randomEncoding(random, random.pick(FORMS), bits) ?? { code: Uint8Array.of(random.next()) };
    if (random.below(8) === 0) code[random.below(code.length)] = random.next();
    return code;
  }
  try {
    return assemble(systemCode(random, bits), { bits }).bytes;
  } catch (error) {
    // Not every instruction exists in every mode.
    if (error instanceof AssemblyError || error instanceof EncodeError) return Uint8Array.of(0x90);
    throw error;
  }
}
