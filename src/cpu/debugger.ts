/**
 * What a debugger outside of the guest asks of the processor: to stop before an instruction, after an access to data,
 * or after one instruction.
 *
 * Breakpoints are linear addresses, decoded blocks are found by physical ones; both have the same offset in their page.
 * So every address with the page offset of a breakpoint is marked: no decoded block and no translated region goes on
 * across a mark, and a block that starts at a mark returns to the run loop, which looks whether the breakpoint is meant.
 */

export interface Watchpoint {
  readonly kind: "write" | "read" | "access";
  /** Linear address of the first byte. */
  readonly address: bigint;
  /** Bytes. */
  readonly length: number;
}

/** What is asked for until the next orders. */
export interface DebugOrders {
  /** Linear addresses of instructions to stop before. */
  readonly breakpoints: Iterable<bigint>;
  readonly watchpoints: readonly Watchpoint[];
  /** Stop after one instruction, in which no external interrupt is taken. */
  readonly step: boolean;
}

/** Why the processor stopped. */
export type DebugStop =
  | { readonly kind: "breakpoint" }
  | { readonly kind: "step" }
  /** `address` is the first byte of the access that the watchpoint covers. */
  | { readonly kind: "watchpoint"; readonly watchpoint: Watchpoint; readonly address: bigint };

const OFFSET = 0xfff;
/** Marks that no breakpoint needs any longer are kept up to here: dropping them costs all decoded blocks. */
const STALE_MARKS = 16;

export class Debugger {
  #breakpoints: ReadonlySet<bigint> = new Set();
  #watchpoints: readonly Watchpoint[] = [];
  #step = false;
  #marks: ReadonlySet<number> = new Set();
  #hit: DebugStop | undefined;

  /** Takes orders, between two runs; whether blocks must be decoded anew for them. */
  take({ breakpoints, watchpoints, step }: DebugOrders): boolean {
    this.#breakpoints = new Set(breakpoints);
    this.#watchpoints = watchpoints;
    this.#step = step;
    this.#hit = undefined;
    // A step looks at no breakpoint, and debuggers take them out for it.
    if (step) return false;
    const wanted = new Set([...this.#breakpoints].map((address) => Number(address & BigInt(OFFSET))));
    const stale = this.#marks.size - wanted.size;
    const kept = wanted.size > 0 && stale <= STALE_MARKS && [...wanted].every((offset) => this.#marks.has(offset));
    if (kept || (wanted.size === 0 && this.#marks.size === 0)) return false;
    this.#marks = wanted;
    return true;
  }

  /** Offsets in a page of all that `isMarked` is true for. */
  get marks(): readonly number[] {
    return [...this.#marks];
  }

  /** Whether a block must not run into or through the instruction at an address, linear or physical. */
  isMarked(address: number): boolean {
    return this.#marks.size > 0 && this.#marks.has(address & OFFSET);
  }

  /** Whether accesses to data are told to `accessed`. */
  get watches(): boolean {
    return this.#watchpoints.length > 0;
  }

  get steps(): boolean {
    return this.#step;
  }

  /** Whether there are breakpoints at all. */
  get breaks(): boolean {
    return this.#breakpoints.size > 0 && !this.#step;
  }

  breaksAt(linear: bigint): boolean {
    return this.#breakpoints.has(linear);
  }

  /**
   * An access that was found possible, as a part of the instruction that runs or of the delivery of an event; `linear`
   * is signed. Returns whether a watchpoint covers it.
   */
  accessed(linear: bigint, bytes: number, write: boolean): boolean {
    const first = BigInt.asUintN(64, linear);
    let covered = false;
    for (const watchpoint of this.#watchpoints) {
      const { kind, address, length } = watchpoint;
      if (kind === (write ? "read" : "write")) continue;
      if (first >= address + BigInt(length) || address >= first + BigInt(bytes)) continue;
      this.#hit ??= { kind: "watchpoint", watchpoint, address: first > address ? first : address };
      covered = true;
    }
    return covered;
  }

  /** The watchpoint that was met since the last call. */
  takeHit(): DebugStop | undefined {
    const hit = this.#hit;
    this.#hit = undefined;
    return hit;
  }
}
