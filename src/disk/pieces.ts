/** The part of a range that lies in one unit (a chunk, a cluster). */
export interface Piece {
  /** Number of the unit. */
  readonly index: number;
  /** Bytes from the start of the unit. */
  readonly start: number;
  /** Bytes from the start of the range. */
  readonly from: number;
  readonly length: number;
}

/** Cuts `length` bytes from `offset` on at the multiples of `unit`, in ascending order. */
export function* piecesOf(unit: number, offset: number, length: number): Iterable<Piece> {
  for (let from = 0; from < length; ) {
    const index = Math.floor((offset + from) / unit);
    const start = offset + from - index * unit;
    const piece = Math.min(unit - start, length - from);
    yield { index, start, from, length: piece };
    from += piece;
  }
}
