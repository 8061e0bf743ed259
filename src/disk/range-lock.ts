/**
 * Locks on ranges of numbered units (clusters), shared or exclusive. Requests are served in the order in which
 * they came: one waits for every earlier one that overlaps it, unless both are shared.
 */
interface Holder {
  readonly first: number;
  readonly last: number;
  readonly exclusive: boolean;
  /** Told when the lock is let go. Most locks are waited for by nobody. */
  waiting: (() => void)[] | undefined;
}

/** Lets go of the range; must be called once. */
export type Release = () => void;

function isInTheWay(other: Holder, first: number, last: number, exclusive: boolean): boolean {
  return other.first <= last && first <= other.last && (exclusive || other.exclusive);
}

export class RangeLock {
  readonly #holders = new Set<Holder>();

  /** Whether `acquire` would find nothing in the way: for what is done before anything else runs, that is a lock. */
  isFree(first: number, last: number, exclusive: boolean): boolean {
    for (const other of this.#holders) if (isInTheWay(other, first, last, exclusive)) return false;
    return true;
  }

  /** Locks units `first` to `last`, both included. Where nothing is in the way, the result is no promise. */
  acquire(first: number, last: number, exclusive: boolean): Release | Promise<Release> {
    const conflicts: Promise<void>[] = [];
    for (const other of this.#holders) {
      if (!isInTheWay(other, first, last, exclusive)) continue;
      other.waiting ??= [];
      const { waiting } = other;
      conflicts.push(new Promise((resolve) => waiting.push(resolve)));
    }
    const holder: Holder = { first, last, exclusive, waiting: undefined };
    this.#holders.add(holder);
    const release = () => {
      this.#holders.delete(holder);
      for (const resolve of holder.waiting ?? []) resolve();
    };
    return conflicts.length === 0 ? release : Promise.all(conflicts).then(() => release);
  }
}
