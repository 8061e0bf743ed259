/**
 * How much may be under way, so that queues on the way are not overrun: the one of frames that wait for the guest's card.
 *
 * @spec RFC 5681 §3.1, §3.2; RFC 6582 §3.2 (NewReno); RFC 6928 (initial window); RFC 3465 (counting bytes)
 */
import { distance, type Sequence } from "./sequence.ts";

const INITIAL_SEGMENTS = 10;
/** Acknowledgments of the same byte after which the segment there is taken for lost. */
const DUPLICATES = 3;

export class Congestion {
  readonly #segment: number;
  #window: number;
  #threshold = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  /** While a loss is made good: what had been sent when it was found. */
  #recover: Sequence | undefined;

  /** `segment` is the most bytes of one. */
  constructor(segment: number) {
    this.#segment = segment;
    this.#window = INITIAL_SEGMENTS * segment;
  }

  /** Bytes that may be under way. */
  get window(): number {
    return Math.floor(this.#window);
  }

  /** `bytes` up to `acknowledged` arrived; whether the segment there must be sent again, as it was lost as well. */
  arrived(bytes: number, acknowledged: Sequence): boolean {
    this.#duplicates = 0;
    if (this.#recover !== undefined) {
      if (distance(acknowledged, this.#recover) > 0) {
        this.#window = Math.max(this.#window - bytes + this.#segment, this.#segment);
        return true;
      }
      this.#recover = undefined;
      this.#window = this.#threshold;
    } else if (this.#window < this.#threshold) this.#window += Math.min(bytes, 2 * this.#segment);
    else this.#window += Math.max((this.#segment * bytes) / this.#window, 1);
    return false;
  }

  /** Something arrived, but not the segment that is waited for; whether that must be sent again now. */
  duplicate(sent: Sequence, underWay: number): boolean {
    this.#duplicates++;
    if (this.#recover !== undefined) this.#window += this.#segment;
    else if (this.#duplicates === DUPLICATES) {
      this.#halve(underWay);
      this.#window = this.#threshold + DUPLICATES * this.#segment;
      this.#recover = sent;
      return true;
    }
    return false;
  }

  timedOut(underWay: number): void {
    this.#halve(underWay);
    this.#window = this.#segment;
    this.#duplicates = 0;
    this.#recover = undefined;
  }

  #halve(underWay: number): void {
    this.#threshold = Math.max(underWay / 2, 2 * this.#segment);
  }
}
