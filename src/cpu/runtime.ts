/** What the WebAssembly module of build-runtime.ts and TypeScript call of each other. */

/** What the third parameter of `deliver` tells: whether the event has an error code, and whether the machine raised it. */
export const DELIVERY = { errorCode: 1, external: 2 } as const;

export interface RuntimeHost {
  readonly readMemory: (physical: bigint, bytes: number) => bigint;
  readonly writeMemory: (physical: bigint, bytes: number, value: bigint) => void;
  readonly codeWritten: (physical: number, bytes: number) => void;
  readonly watched: (linear: bigint, bytes: number, write: number) => void;
  /** Has regions' links lead nowhere. */
  readonly forgetLinks: () => void;
  readonly decodeBlock: (physical: bigint, linear: bigint) => number;
  /** A block has run often enough to be translated. */
  readonly hot: (record: number) => void;
  /** A region is to be made again: what it was made for has turned out otherwise. */
  readonly remakeRegion: (handler: number) => void;
  /** An exception or interrupt is about to be delivered, while `observed` is set: as the parameters of `deliver`. */
  readonly delivering: (vector: number, errorCode: number, how: number) => void;
}

/** What TypeScript calls of the runtime module. */
export interface RuntimeExports {
  readonly enter: (record: number) => void;
  /** The same, and goes on after exceptions that it delivers. */
  readonly runBlocks: (record: number) => void;
  /** (vector, error code, DELIVERY) → not zero where it has been delivered. */
  readonly deliver: (vector: number, errorCode: number, how: number) => number;
  readonly findBlock: (linear: bigint) => number;
  /** `keepGlobal` is not zero where global pages are to stay. */
  readonly flushTlb: (keepGlobal: number) => void;
  readonly flushPage: (linear: bigint) => void;
  /** Makes translated code forget the pages that it has kept. */
  readonly forgetKeptPages: () => void;
  readonly translate: (linear: bigint, access: number) => bigint;
  readonly readLinear: (linear: bigint, bytes: number, access: number) => bigint;
  readonly writeLinear: (linear: bigint, bytes: number, value: bigint, access: number) => void;
}
