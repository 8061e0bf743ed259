/** Wiring between devices: lines joined and split. */
import type { SignalLine } from "./device.ts";

/** Several sources of one line: high while any of them is. */
export class OrGate {
  readonly #output: SignalLine;
  #high = 0;

  constructor(output: SignalLine) {
    this.#output = output;
  }

  /** A new source. */
  input(): SignalLine {
    let level = false;
    return {
      set: (next) => {
        if (next === level) return;
        level = next;
        this.#high += next ? 1 : -1;
        this.#output.set(this.#high > 0);
      },
    };
  }
}

/** One source that drives several lines. */
export function fanOut(...lines: SignalLine[]): SignalLine {
  return {
    set: (level) => {
      for (const line of lines) line.set(level);
    },
  };
}
