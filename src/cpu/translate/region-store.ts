/** Where regions are kept for later processes: in parts, each of which one process has written at once. */
export interface RegionStore {
  /** What there was when this process began, what was used last first. */
  readonly parts: readonly RegionPart[];
  /** Keeps regions as a part of their own; undefined where that cannot be. */
  add(regions: readonly StoredRegion[]): RegionPart | undefined;
  /** What machines used that started with what `start` names, as was noted last; nothing where that is not known. */
  usesOf(start: string): readonly GroupUse[];
  noteUses(start: string, uses: readonly GroupUse[]): void;
}

/** How many regions of a group were used, and in earlier starts, each of which counts half as much as the one after it. */
export interface GroupUse {
  /** Name of the part. */
  readonly part: string;
  /** Number of the group in the part. */
  readonly group: number;
  readonly weight: number;
}

/** A region as bytes (region-encoding.ts), and what it is looked for by. */
export interface StoredRegion {
  /** `codeKey` of the block that it begins with. */
  readonly key: number;
  /** What `placeOf` says of it (region-index.ts). */
  readonly place: number;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

export interface RegionPart {
  /** Like that of no other one. */
  readonly name: string;
  /** Keys and places of its regions. */
  readonly keys: Uint32Array;
  readonly places: Uint32Array;
  /** `count` regions from `first` on, as they are until more is read; undefined where they are gone, or damaged. */
  read(first: number, count: number): StoredRegion[] | undefined;
  /** Some of it is in use: what is not goes first. */
  use(): void;
}
