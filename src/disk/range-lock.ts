/**
 * Locks on ranges of numbered units (clusters), shared or exclusive. Requests are served in the order in which
 * they came: one waits for every earlier one that overlaps it, unless both are shared.
 */
interface Holder {
  readonly first: number;
  readonly last: number;
  readonly exclusive: boolean;
  readonly done: Promise<void>;
  readonly release: () => void;
}

/** Lets go of the range; must be called once. */
export type Release = () => void;

export class RangeLock {
  readonly #holders = new Set<Holder>();

  /** Locks units `first` to `last`, both included. Where nothing is in the way, the result is no promise. */
  acquire(first: number, last: number, exclusive: boolean): Release | Promise<Release> {
    const conflicts: Promise<void>[] = [];
    for (const holder of this.#holders) {
      const overlaps = holder.first <= last && first <= holder.last;
      if (overlaps && (exclusive || holder.exclusive)) conflicts.push(holder.done);
    }
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const release = () => {
      this.#holders.delete(holder);
      resolve();
    };
    const holder: Holder = { first, last, exclusive, done, release };
    this.#holders.add(holder);
    return conflicts.length === 0 ? release : Promise.all(conflicts).then(() => release);
  }
}
