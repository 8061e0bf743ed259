/** What the WebAssembly module of build-runtime.ts and TypeScript call of each other. */

export interface RuntimeHost {
  readonly readMemory: (physical: bigint, bytes: number) => bigint;
  readonly writeMemory: (physical: bigint, bytes: number, value: bigint) => void;
  readonly codeWritten: (physical: number, bytes: number) => void;
  readonly watched: (linear: bigint, bytes: number, write: number) => void;
  readonly decodeBlock: (physical: bigint, linear: bigint) => number;
  /** A block has run often enough to be translated. */
  readonly hot: (record: number) => void;
  /** A region is to be made again: what it was made for has turned out otherwise. */
  readonly remakeRegion: (handler: number) => void;
  /** A region has run so much that it may be larger. */
  readonly growRegion: (handler: number) => void;
}

/** What TypeScript calls of the runtime module. */
export interface RuntimeExports {
  readonly enter: (record: number) => void;
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
