/** Figures of all runs, by row of the table and machine, and what is told of them. */
import type { MachineName } from "./machines.ts";

export interface Row {
  readonly name: string;
  readonly text: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** Digits after the point. */
  readonly digits: number;
  readonly target?: Target;
}

/** What a row's medians should come to. */
export type Target =
  | { readonly kind: "at-least"; readonly value: number }
  | { readonly kind: "below"; readonly value: number }
  /** Our figure is at most so many times QEMU's. */
  | { readonly kind: "times-qemu"; readonly value: number };

export class Figures {
  readonly #values = new Map<string, Partial<Record<MachineName, number[]>>>();

  add(row: string, machine: MachineName, value: number): void {
    const values = this.#values.get(row) ?? {};
    this.#values.set(row, values);
    values[machine] = [...(values[machine] ?? []), value];
  }

  values(row: string, machine: MachineName): readonly number[] {
    return this.#values.get(row)?.[machine] ?? [];
  }

  median(row: string, machine: MachineName): number | undefined {
    return median(this.values(row, machine));
  }

  /** The median of the rounds' ratios: load that comes and goes is in both of a round's figures. */
  ratio(row: string, machine: MachineName, reference: MachineName): number | undefined {
    const references = this.values(row, reference);
    return median(
      this.values(row, machine).flatMap((value, round) => {
        const other = references[round];
        return other === undefined || other === 0 ? [] : [value / other];
      }),
    );
  }

  /** Whether our figure is as it should be; undefined where there is none, or no target. */
  meets({ name, target }: Row): boolean | undefined {
    const ours = this.median(name, "ours");
    if (target === undefined || ours === undefined) return undefined;
    switch (target.kind) {
      case "at-least":
        return ours >= target.value;
      case "below":
        return ours < target.value;
      case "times-qemu": {
        const ratio = this.ratio(name, "ours", "qemu");
        return ratio === undefined ? undefined : ratio <= target.value;
      }
    }
  }
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)];
  const high = sorted[Math.ceil(middle)];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
