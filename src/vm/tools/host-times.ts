/** Where a machine's thread spent its time, by samples: what a report needs of them. */
export interface HostTimes {
  /** Microseconds between samples. */
  readonly interval: number;
  /** Seconds by part of the program, the most first. */
  readonly tiers: readonly (readonly [name: string, seconds: number])[];
  /** Seconds by linear address of a region's start, in hexadecimal. */
  readonly regions: ReadonlyMap<string, number>;
  /** Seconds by handler of the interpreter, the most first. */
  readonly handlers: readonly (readonly [name: string, seconds: number])[];
  readonly functions: readonly (readonly [name: string, seconds: number])[];
}
