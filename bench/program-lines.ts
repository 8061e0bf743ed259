/** The lines that programs write: at the start of what is timed, and at its end. */

/** What a pair of lines tells. */
export interface Counted {
  readonly iterations: number;
  /** Seconds of the guest's clock. */
  readonly guestSeconds: number;
  /** Seconds of processor time, where the program tells. */
  readonly cpuSeconds?: number;
  /** The program's result and its count of operations: the same on every machine. Empty where it has none. */
  readonly outcome: string;
}

export interface LineFormat {
  readonly begin: RegExp;
  readonly end: RegExp;
  /** After the first line the program waits for a byte. */
  readonly waits: boolean;
  /** Throws an error with a message of one line where the program found a mistake. */
  parse(end: RegExpExecArray): Counted;
}

/** Of bench/guest/start.h. */
export const BENCH_LINES: LineFormat = {
  begin: /BENCH begin \S+\r?\n/,
  waits: true,
  end: /BENCH (?<verdict>end|failed) \S+ iterations=(?<iterations>\d+) ns=(?<ns>\d+) cpu=(?<cpu>\d+) (?<outcome>checksum=[0-9a-f]+ work=\d+)\r?\n/,
  parse(match) {
    const { verdict, iterations, ns, cpu, outcome = "" } = match.groups ?? {};
    if (verdict === "failed")
      throw new Error(`the program failed, or gave other results than before: ${match[0].trim()}`);
    return {
      iterations: Number(iterations),
      guestSeconds: Number(ns) / 1e9,
      cpuSeconds: Number(cpu) / 1e9,
      outcome,
    };
  },
};

/** Of `openssl speed -mr`: blocks and seconds. It checks no result. */
export const SPEED_LINES: LineFormat = {
  begin: /\+DT:[^\n]*\n/,
  waits: false,
  end: /\+R:(?<iterations>\d+):[^\n:]*:(?<seconds>[\d.]+)\r?\n/,
  parse(match) {
    const { iterations, seconds } = match.groups ?? {};
    return { iterations: Number(iterations), guestSeconds: Number(seconds), outcome: "" };
  },
};

/** Whether a machine of ours tells its count of instructions after this line (our-machine.ts). */
export function isMark(line: string): boolean {
  return /^(BENCH (begin|end|failed) |\+DT:|\+R:)/.test(line);
}
export const COUNT = /HOST instructions=(?<instructions>\d+)\n/;
