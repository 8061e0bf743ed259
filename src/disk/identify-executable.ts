/** Recognises kernels and programs, which people mistake for disks. */
import type { Content } from "./identify.ts";
import { holds, u16At, u32At } from "./sample.ts";

/** ELF e_machine. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "32-bit x86",
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "S/390",
  40: "32-bit Arm",
  62: "64-bit x86",
  183: "64-bit Arm",
  243: "RISC-V",
  258: "LoongArch",
};

/** ELF e_type. */
const ELF_TYPES: Readonly<Record<number, string>> = {
  1: "object file",
  2: "program",
  3: "program or library",
  4: "core dump",
};

/** What the start of a file says if it is a kernel or a program. */
export function identifyExecutable(head: Uint8Array): Content | undefined {
  if (holds(head, 0x1fe, "\x55\xaa") && holds(head, 0x202, "HdrS")) {
    // A kernel that is also an EFI program begins with MZ (Linux boot protocol; x86/boot.rst).
    return { kind: "kernel", phrase: "a Linux kernel (bzImage)" };
  }
  if (holds(head, 56, "ARM\x64")) return { kind: "kernel", phrase: "a Linux kernel for 64-bit Arm" };
  if (holds(head, 0, "\x27\x05\x19\x56")) return { kind: "kernel", phrase: "a U-Boot image" };
  if (holds(head, 0, "\x7fELF")) return { kind: "program", phrase: describeElf(head) };
  if (holds(head, 0, "MZ")) {
    const isPe = holds(head, u32At(head, 0x3c), "PE\0\0");
    return { kind: "program", phrase: isPe ? "an EFI or Windows program" : "a DOS program" };
  }
  if (holds(head, 0, "\xcf\xfa\xed\xfe") || holds(head, 0, "\xca\xfe\xba\xbe")) {
    return { kind: "program", phrase: "a macOS or Java program" };
  }
  return undefined;
}

function describeElf(head: Uint8Array): string {
  const swapped = head[5] === 2;
  const field = (at: number) => (swapped ? (head[at] ?? 0) * 256 + (head[at + 1] ?? 0) : u16At(head, at));
  const type = ELF_TYPES[field(16)] ?? "file";
  const machine = MACHINES[field(18)];
  return `an ELF ${type}${machine === undefined ? "" : ` for ${machine}`}`;
}
