/**
 * Decides which operations are made at once, while the machine waits. Where one took long, the next ones are not tried:
 * the more of them the more often that was so in a row.
 */
const SLOW_MILLISECONDS = 2;
const LEAST_PASSED_OVER = 32;
const MOST_PASSED_OVER = 4096;

export class Pace {
  /** Operations that are still to be passed over. */
  #left = 0;
  /** How many the next slow operation has passed over. */
  #next = LEAST_PASSED_OVER;
  #begun = 0;

  /** Whether to try; `end` must follow where that is true. */
  begin(): boolean {
    if (this.#left > 0) {
      this.#left--;
      return false;
    }
    this.#begun = performance.now();
    return true;
  }

  end(): void {
    if (performance.now() - this.#begun <= SLOW_MILLISECONDS) {
      this.#next = LEAST_PASSED_OVER;
      return;
    }
    this.#left = this.#next;
    this.#next = Math.min(this.#next * 2, MOST_PASSED_OVER);
  }
}
