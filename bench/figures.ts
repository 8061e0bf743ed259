/** Figures of all runs, by row of the table and machine, and what is told of them. */
import type { MachineName } from "./machines.ts";
import type { Row } from "./workloads.ts";

export class Figures {
  /** By row and machine, then by round: rounds without a figure are empty. */
  readonly #values = new Map<string, Partial<Record<MachineName, (number | undefined)[]>>>();

  add(row: string, machine: MachineName, round: number, value: number): void {
    const values = this.#values.get(row) ?? {};
    this.#values.set(row, values);
    const rounds = values[machine] ?? [];
    values[machine] = rounds;
    rounds[round] = value;
  }

  values(row: string, machine: MachineName): readonly number[] {
    return (this.#values.get(row)?.[machine] ?? []).filter((value) => value !== undefined);
  }

  median(row: string, machine: MachineName): number | undefined {
    return median(this.values(row, machine));
  }

  /**
   * How many times as good one machine is as another: the median of the rounds' ratios, as load that comes and goes
   * is in both of a round's figures.
   */
  ratio(
    { name, better }: Pick<Row, "name" | "better">,
    machine: MachineName,
    reference: MachineName,
  ): number | undefined {
    const [one = [], other = []] = [this.#values.get(name)?.[machine], this.#values.get(name)?.[reference]];
    const ratios: number[] = [];
    for (let round = 0; round < one.length; round++) {
      const [a, b] = [one[round], other[round]];
      if (a === undefined || b === undefined || a === 0 || b === 0) continue;
      ratios.push(better === "higher" ? a / b : b / a);
    }
    return median(ratios);
  }
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)];
  const high = sorted[Math.ceil(middle)];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

export function geometricMean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
