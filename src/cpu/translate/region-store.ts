/** Where regions are kept for later processes: in parts, each of which one process has written at once. */
export interface RegionStore {
  /** What there was when this process began, what was used last first. */
  readonly parts: readonly RegionPart[];
  /** Keeps regions as a part of their own; undefined where that cannot be. */
  add(regions: readonly StoredRegion[]): RegionPart | undefined;
}

/** A region as bytes (region-encoding.ts). */
export interface StoredRegion {
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

export interface RegionPart {
  /** How many regions it has. */
  readonly count: number;
  head(region: number): Uint8Array;
  /** Bodies of `count` regions from `first` on; undefined where they are gone, or damaged. */
  bodies(first: number, count: number): Uint8Array[] | undefined;
  /** Some of it is in use: what is not goes first. */
  use(): void;
}
