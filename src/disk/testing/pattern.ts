/** Repeatable random numbers for disk tests (xorshift32). */
export class Pattern {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** A number from 0 up to, not including, `bound`. */
  below(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % bound;
  }
}

/** `length` bytes without a visible order, the same for each `seed`. */
export function pattern(seed: number, length: number): Uint8Array {
  const numbers = new Pattern(seed);
  return Uint8Array.from({ length }, () => numbers.below(256));
}
