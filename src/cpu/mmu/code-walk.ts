/**
 * Where code lies in RAM, by a page walk that changes nothing and may run on another thread than the processor. What it
 * finds is checked again before the code runs. @spec SDM 3A chapter 4
 */
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../state.ts";

/** Control registers that say how addresses are translated. */
export interface PagingMode {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

const PAGING = 0x8000_0000n;
const PSE = 0x10n;
const PAE = 0x20n;
const LONG_MODE = 0x400n;
const PRESENT = 1;
const LARGE = 0x80;
/** A page frame's bits in the upper half of an entry of 8 bytes: addresses have 40 bits. */
const UPPER_FRAME = 0xff;

export class CodeWalk {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor(memory: ArrayBufferLike) {
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** Physical address of the byte at a linear address; undefined where none is mapped or it is not in RAM. */
  translate(linear: bigint, mode: PagingMode): number | undefined {
    const physical = this.#walk(linear, mode);
    return physical !== undefined && this.#isRam(physical) ? physical : undefined;
  }

  #isRam(physical: number): boolean {
    return (
      physical < 0x1_0000_0000 && ((this.#bytes[PAGE_FLAGS + Math.floor(physical / 4096)] as number) & PAGE.io) === 0
    );
  }

  #walk(linear: bigint, { cr0, cr3, cr4, efer }: PagingMode): number | undefined {
    if ((cr0 & PAGING) === 0n) return Number(linear & 0xffff_ffffn);
    if ((efer & LONG_MODE) !== 0n)
      return this.#levels(linear, Number(cr3 & 0xff_ffff_f000n), [39, 30, 21, 12], 9, true);
    if ((cr4 & PAE) !== 0n) {
      const pdpte = this.#entry(Number(cr3 & 0xffff_ffe0n) + Number((linear >> 30n) & 3n) * 8, 8);
      return pdpte === undefined ? undefined : this.#levels(linear, pdpte.frame, [21, 12], 9, true);
    }
    return this.#levels(linear, Number(cr3 & 0xffff_f000n), [22, 12], 10, (cr4 & PSE) !== 0n);
  }

  #levels(linear: bigint, root: number, shifts: readonly number[], bits: number, large: boolean): number | undefined {
    const size = bits === 9 ? 8 : 4;
    let table = root;
    for (const shift of shifts) {
      const index = Number((linear >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
      const entry = this.#entry(table + index * size, size);
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

  #entry(address: number, size: 4 | 8): { low: number; frame: number } | undefined {
    if (!this.#isRam(address)) return undefined;
    const at = (RAM_BASE + address) / 4;
    const low = this.#words[at] as number;
    if ((low & PRESENT) === 0) return undefined;
    const upper = size === 8 ? (this.#words[at + 1] as number) & UPPER_FRAME : 0;
    return { low, frame: upper * 2 ** 32 + ((low & 0xffff_f000) >>> 0) };
  }
}
