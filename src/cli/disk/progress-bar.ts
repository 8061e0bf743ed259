/** A bar for long operations on a terminal; nothing elsewhere. */
import { type ProgressStream, progressOn, silentProgress } from "../../hypervisor/catalogue/progress.ts";

export interface ProgressBar {
  /** From 0 to 1. */
  report(fraction: number): void;
  /** Removes the bar. */
  finish(): void;
}

const WIDTH = 30;

/** The bar goes to `stream` where both it and the program's output are terminals. */
export function progressBar(what: string, stream: ProgressStream, output: ProgressStream): ProgressBar {
  const progress = stream.isTTY && output.isTTY ? progressOn(stream) : silentProgress;
  return {
    report(fraction) {
      const bounded = Math.min(1, Math.max(0, fraction));
      const full = Math.floor(bounded * WIDTH);
      progress.step(`${what} [${"#".repeat(full)}${"-".repeat(WIDTH - full)}]`, bounded);
    },
    finish: () => progress.finish(),
  };
}
