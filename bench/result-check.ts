/** Compares the results of one workload on all machines of as many bits. */
import type { Bits } from "./guest-programs.ts";

export class ResultCheck {
  /** One line for each machine whose result is another than the first machine's. */
  readonly differences: string[] = [];
  readonly #first = new Map<string, { readonly machine: string; readonly outcome: string }>();

  /** An empty outcome is none. */
  add(workload: string, bits: Bits, machine: string, outcome: string): void {
    if (outcome === "") return;
    const key = `${workload}, ${bits}-bit`;
    const first = this.#first.get(key);
    if (first === undefined) this.#first.set(key, { machine, outcome });
    else if (first.outcome !== outcome) {
      const difference = `${key}: ${first.outcome} on ${first.machine}, but ${outcome} on ${machine}`;
      if (!this.differences.includes(difference)) this.differences.push(difference);
    }
  }
}
