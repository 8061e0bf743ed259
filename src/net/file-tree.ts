/** Files that a server on the network offers: a folder of the host's, a table in memory. */

/** Paths are relative, with slashes, without "." and "..". */
export interface FileTree {
  /** Resolves to undefined where there is no such file, or it is not one that is offered. */
  open(path: string): Promise<OpenFile | undefined>;
}

export interface OpenFile {
  /** Bytes. */
  readonly size: number;
  /** Fills `target` from `offset` on, and resolves to how many bytes there were: fewer at the file's end alone. */
  read(offset: number, target: Uint8Array): Promise<number>;
  close(): Promise<void>;
}
