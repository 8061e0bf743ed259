/** Host operations under way, completed between slices of guest time. */
import type { AsyncWork } from "../machine/device.ts";

type Outcome<T> = { ok: true; value: T } | { ok: false; error: Error };

interface Entry {
  outcome: Outcome<unknown> | undefined;
  readonly complete: (outcome: Outcome<never>) => void;
}

export class WorkQueue implements AsyncWork {
  readonly immediate: boolean;
  readonly #inOrder: boolean;
  readonly #onSettled: () => void;
  #entries: Entry[] = [];

  /** `inOrder`: operations complete in the order they were begun, whatever the host's order. */
  constructor(options: { inOrder: boolean; onSettled: () => void }) {
    this.#inOrder = options.inOrder;
    this.immediate = !options.inOrder;
    this.#onSettled = options.onSettled;
  }

  run<T>(operation: Promise<T>, complete: (outcome: Outcome<T>) => void): void {
    const entry: Entry = { outcome: undefined, complete: complete as Entry["complete"] };
    this.#entries.push(entry);
    const settle = (outcome: Outcome<unknown>) => {
      entry.outcome = outcome;
      this.#onSettled();
    };
    operation.then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle({ ok: false, error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  get pending(): number {
    return this.#entries.length;
  }

  /** Whether every operation has ended. */
  get settled(): boolean {
    return this.#entries.every(({ outcome }) => outcome !== undefined);
  }

  /** Whether `drain` would complete something. */
  get someSettled(): boolean {
    const entries = this.#inOrder ? this.#entries.slice(0, 1) : this.#entries;
    return entries.some(({ outcome }) => outcome !== undefined);
  }

  /** Completes what has ended. */
  drain(): void {
    for (;;) {
      const index = this.#inOrder
        ? this.#entries[0]?.outcome
          ? 0
          : -1
        : this.#entries.findIndex(({ outcome }) => outcome !== undefined);
      if (index < 0) return;
      const [entry] = this.#entries.splice(index, 1);
      entry?.complete(entry.outcome as Outcome<never>);
    }
  }

  /** Forgets everything: the machine was reset. */
  clear(): void {
    this.#entries = [];
  }
}
