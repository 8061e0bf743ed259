/**
 * How long to wait for an acknowledgment before sending again.
 *
 * @spec RFC 6298 §2, §5.5; the least time is Linux's, as this network has next to no delay
 */

const SECOND = 1e9;
const INITIAL = SECOND;
const LEAST = 0.2 * SECOND;
const MOST = 60 * SECOND;

export class RoundTrip {
  #smoothed: number | undefined;
  #variation = 0;
  #timeout = INITIAL;
  #backOffs = 0;

  /** Nanoseconds until what is not acknowledged is sent again. */
  get timeout(): number {
    return Math.min(this.#timeout * 2 ** this.#backOffs, MOST);
  }

  /** The acknowledgment of something that was sent once came after so many nanoseconds. */
  measured(time: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = time;
      this.#variation = time / 2;
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - time);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * time;
    }
    this.#timeout = Math.max(this.#smoothed + 4 * this.#variation, LEAST);
  }

  /** None came in time: twice as long from now on. */
  timedOut(): void {
    this.#backOffs = Math.min(this.#backOffs + 1, 16);
  }

  /** Something new was acknowledged. */
  goesOn(): void {
    this.#backOffs = 0;
  }
}
