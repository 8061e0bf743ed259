/**
 * Where code lies in RAM, by a page walk that changes nothing and may run on another thread than the processor. What it
 * finds is checked again before the code runs. @spec SDM 3A chapter 4
 */
import type { Registers } from "../registers.ts";
import { hostAddress, PAGE, PAGE_FLAGS } from "../state.ts";

/** What says how addresses are translated: control registers, and the address lines that reach memory. */
export interface PagingMode {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly addressLines: bigint;
}

export function pagingMode(registers: Registers): PagingMode {
  return {
    cr0: registers.get64("cr0"),
    cr3: registers.get64("cr3"),
    cr4: registers.get64("cr4"),
    efer: registers.get64("efer"),
    addressLines: registers.get64("addressLines"),
  };
}

const PAGING = 0x8000_0000n;
const PSE = 0x10n;
const PAE = 0x20n;
const LONG_MODE = 0x400n;
const PRESENT = 1;
const LARGE = 0x80;
/** A page frame's bits in the upper half of an entry of 8 bytes: addresses have 40 bits. */
const UPPER_FRAME = 0xff;

/** Levels of paging structures: where the index of each begins in a linear address, its bits, and whether pages may be large. */
interface Levels {
  readonly shifts: readonly number[];
  readonly bits: number;
  readonly large: boolean;
}

const A20 = 2 ** 20;
/** A physical address as it reaches memory. */
function onLines(physical: number | undefined, { addressLines }: PagingMode): number | undefined {
  const isLow = physical !== undefined && (addressLines & BigInt(A20)) === 0n && Math.floor(physical / A20) % 2 === 1;
  return isLow ? physical - A20 : physical;
}

export class CodeWalk {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor(memory: ArrayBufferLike) {
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** Physical address of the byte at a linear address; undefined where none is mapped or it is not in RAM. */
  translate(linear: bigint, mode: PagingMode): number | undefined {
    const physical = onLines(this.#walk(linear, mode), mode);
    return physical !== undefined && this.#isRam(physical) ? physical : undefined;
  }

  #isRam(physical: number): boolean {
    return (
      physical < 0x1_0000_0000 && ((this.#bytes[PAGE_FLAGS + Math.floor(physical / 4096)] as number) & PAGE.io) === 0
    );
  }

  #walk(linear: bigint, mode: PagingMode): number | undefined {
    const { cr0, cr3, cr4, efer } = mode;
    if ((cr0 & PAGING) === 0n) return Number(linear & 0xffff_ffffn);
    if ((efer & LONG_MODE) !== 0n)
      return this.#levels(
        linear,
        Number(cr3 & 0xff_ffff_f000n),
        { shifts: [39, 30, 21, 12], bits: 9, large: true },
        mode,
      );
    if ((cr4 & PAE) !== 0n) {
      const pdpte = this.#entry(Number(cr3 & 0xffff_ffe0n) + Number((linear >> 30n) & 3n) * 8, 8, mode);
      return pdpte && this.#levels(linear, pdpte.frame, { shifts: [21, 12], bits: 9, large: true }, mode);
    }
    const large = (cr4 & PSE) !== 0n;
    return this.#levels(linear, Number(cr3 & 0xffff_f000n), { shifts: [22, 12], bits: 10, large }, mode);
  }

  #levels(linear: bigint, root: number, { shifts, bits, large }: Levels, mode: PagingMode): number | undefined {
    const size = bits === 9 ? 8 : 4;
    let table = root;
    for (const shift of shifts) {
      const index = Number((linear >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
      const entry = this.#entry(table + index * size, size, mode);
      if (entry === undefined) return undefined;
      const isLarge = large && shift > 12 && shift < 39 && (entry.low & LARGE) !== 0;
      if (isLarge || shift === 12) {
        const page = 2 ** shift;
        return Math.floor(entry.frame / page) * page + Number(linear & BigInt(page - 1));
      }
      table = entry.frame;
    }
    return undefined;
  }

  #entry(entry: number, size: 4 | 8, mode: PagingMode): { low: number; frame: number } | undefined {
    const address = onLines(entry, mode);
    if (address === undefined || !this.#isRam(address)) return undefined;
    const at = hostAddress(address) / 4;
    const low = this.#words[at] as number;
    if ((low & PRESENT) === 0) return undefined;
    const upper = size === 8 ? (this.#words[at + 1] as number) & UPPER_FRAME : 0;
    return { low, frame: upper * 2 ** 32 + ((low & 0xffff_f000) >>> 0) };
  }
}
