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

const LARGE = 0x80n;
const CR4_PSE = 0x10n;
const CR4_PAE = 0x20n;

/** Reads a paging-structure entry, where it is in RAM. */
export type ReadEntry = (physical: bigint, bytes: 4 | 8) => bigint | undefined;

interface Step {
  readonly name: string;
  readonly address: bigint;
  /** Undefined where it is not in RAM. */
  readonly entry: bigint | undefined;
}

interface Walk {
  readonly steps: readonly Step[];
  /** Undefined where no page is mapped. */
  readonly physical: bigint | undefined;
}

/** Follows the paging structures as they are in memory, whatever the rights in them; nothing is marked as accessed. */
function walk(registers: Registers, linear: bigint, read: ReadEntry): Walk {
  if ((registers.get64("cr0") & 0x8000_0000n) === 0n) return { steps: [], physical: linear & 0xffff_ffffn };
  const long = (registers.get64("efer") & 0x400n) !== 0n;
  const cr4 = registers.get64("cr4");
  const pae = (cr4 & CR4_PAE) !== 0n;
  if (long && BigInt.asUintN(64, BigInt.asIntN(48, linear)) !== linear) return { steps: [], physical: undefined };
  const levels = long ? LEVELS_4 : pae ? LEVELS_PAE : LEVELS_2;
  const bytes = long || pae ? 8 : 4;
  let table = registers.get64("cr3") & (long ? FRAME : pae ? 0xffff_ffe0n : 0xffff_f000n);
  const steps: Step[] = [];
  for (const { name, shift, bits } of levels) {
    const index = (linear >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
    const address = table + index * BigInt(bytes);
    const entry = read(address, bytes);
    steps.push({ name, address, entry });
    if (entry === undefined || (entry & 1n) === 0n) break;
    const mayBeLarge = shift === 21 || (shift === 30 && long) || (shift === 22 && (cr4 & CR4_PSE) !== 0n);
    table = entry & (bytes === 8 ? FRAME : 0xffff_f000n);
    if (shift !== 12 && !(mayBeLarge && (entry & LARGE) !== 0n)) continue;
    const mask = (1n << BigInt(shift)) - 1n;
    // A 4 MiB page keeps physical address bits 39:32 in bits 20:13 (PSE-36).
    const high = shift === 22 ? ((entry >> 13n) & 0xffn) << 32n : 0n;
    return { steps, physical: (table & ~mask) | high | (linear & mask) };
  }
  return { steps, physical: undefined };
}

/** The physical address of the byte at a linear address, whatever the rights; undefined where no page is mapped. */
export function physicalAddress(registers: Registers, linear: bigint, read: ReadEntry): bigint | undefined {
  return walk(registers, linear, read).physical;
}

/** Lines such as "PDE at 0000000001234000 = 0000000000abc063: present, writable". */
export function describeWalk(registers: Registers, linear: bigint, read: ReadEntry): string[] {
  const { steps, physical } = walk(registers, linear, read);
  if (steps.length === 0) {
    return [physical === undefined ? "not canonical" : `paging is off: physical address ${hex(physical)}`];
  }
  const lines = steps.map(({ name, address, entry }) => {
    if (entry === undefined) return `${name} at ${hex(address)} is not in RAM`;
    const flags = entry & 1n ? FLAGS.filter(([bit]) => entry & (1n << bit)).map(([, text]) => text) : ["not present"];
    return `${name.padEnd(5)} at ${hex(address)} = ${hex(entry)}: ${flags.join(", ")}`;
  });
  return physical === undefined ? lines : [...lines, `physical address ${hex(physical)}`];
}
