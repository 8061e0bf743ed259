/** A page walk told in words, for crash reports and debuggers; it changes nothing. @spec SDM 3A chapter 4 */
import type { Registers } from "../registers.ts";

interface Level {
  readonly name: string;
  readonly shift: number;
  readonly bits: number;
}

const LEVELS_4: readonly Level[] = [
  { name: "PML4E", shift: 39, bits: 9 },
  { name: "PDPTE", shift: 30, bits: 9 },
  { name: "PDE", shift: 21, bits: 9 },
  { name: "PTE", shift: 12, bits: 9 },
];
const LEVELS_PAE: readonly Level[] = [{ name: "PDPTE", shift: 30, bits: 2 }, ...LEVELS_4.slice(2)];
const LEVELS_2: readonly Level[] = [
  { name: "PDE", shift: 22, bits: 10 },
  { name: "PTE", shift: 12, bits: 10 },
];

const FLAGS: readonly (readonly [bit: bigint, name: string])[] = [
  [0n, "present"],
  [1n, "writable"],
  [2n, "user"],
  [5n, "accessed"],
  [6n, "dirty"],
  [8n, "global"],
  [63n, "no-execute"],
];
const FRAME = 0xf_ffff_ffff_f000n;
const hex = (value: bigint) => value.toString(16).padStart(16, "0");

/** Lines such as "PDE at 0000000001234000 = 0000000000abc063: present, writable"; `read` gives RAM or undefined. */
export function describeWalk(
  registers: Registers,
  linear: bigint,
  read: (physical: bigint, bytes: 4 | 8) => bigint | undefined,
): string[] {
  if ((registers.get64("cr0") & 0x8000_0000n) === 0n) return [`paging is off: physical address ${hex(linear)}`];
  const long = (registers.get64("efer") & 0x400n) !== 0n;
  const pae = (registers.get64("cr4") & 0x20n) !== 0n;
  const levels = long ? LEVELS_4 : pae ? LEVELS_PAE : LEVELS_2;
  const bytes = long || pae ? 8 : 4;
  let table = registers.get64("cr3") & (long ? FRAME : pae ? 0xffff_ffe0n : 0xffff_f000n);
  const lines: string[] = [];
  for (const { name, shift, bits } of levels) {
    const index = (linear >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
    const address = table + index * BigInt(bytes);
    const entry = read(address, bytes);
    if (entry === undefined) return [...lines, `${name} at ${hex(address)} is not in RAM`];
    const flags = FLAGS.filter(([bit]) => entry & (1n << bit)).map(([, text]) => text);
    lines.push(`${name.padEnd(5)} at ${hex(address)} = ${hex(entry)}: ${flags.join(", ") || "not present"}`);
    if ((entry & 1n) === 0n) return lines;
    const large = shift > 12 && shift < 39 && (entry & 0x80n) !== 0n;
    table = entry & (bytes === 8 ? FRAME : 0xffff_f000n);
    if (large || shift === 12) {
      const mask = (1n << BigInt(shift)) - 1n;
      return [...lines, `physical address ${hex((table & ~mask) | (linear & mask))}`];
    }
  }
  return lines;
}
