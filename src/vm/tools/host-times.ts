/** Where a machine's thread spent its time, by samples: seconds by place (cpu/observe/count-area.ts, WHERE). */
export interface HostTimes {
  /** Milliseconds between samples, about. */
  readonly interval: number;
  readonly seconds: ReadonlyMap<number, number>;
}
