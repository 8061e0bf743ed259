/**
 * Options of TCP segments: those that tell the size of segments and of windows.
 *
 * @spec RFC 9293 §3.2, §3.7.1; RFC 7323 §2.2, §2.3 (window scale)
 *
 * Not modelled: all others (timestamps, selective acknowledgments), which nobody uses unless both sides offer them.
 */

const KIND = { end: 0, noOperation: 1, maximumSegmentSize: 2, windowScale: 3 } as const;
/** Larger shifts mean this one. @spec RFC 7323 §2.3 */
export const LARGEST_WINDOW_SHIFT = 14;

export interface TcpOptions {
  /** Bytes of a segment's payload that its sender takes at the most. */
  readonly maximumSegmentSize?: number;
  /** By how many bits the window in later segments of the sender is to be shifted to the left, 14 at the most. */
  readonly windowShift?: number;
}

/** The options of a segment with SYN. What is broken ends the list. */
export function parseTcpOptions(bytes: Uint8Array): TcpOptions {
  const options: { maximumSegmentSize?: number; windowShift?: number } = {};
  let at = 0;
  while (at < bytes.length && bytes[at] !== KIND.end) {
    if (bytes[at] === KIND.noOperation) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    if (bytes[at] === KIND.maximumSegmentSize && length === 4) {
      options.maximumSegmentSize = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
    } else if (bytes[at] === KIND.windowScale && length === 3) {
      options.windowShift = Math.min(bytes[at + 2] as number, LARGEST_WINDOW_SHIFT);
    }
    at += length;
  }
  return options;
}

/** Whole words, as a header takes them. */
export function makeTcpOptions({ maximumSegmentSize: size, windowShift }: TcpOptions): Uint8Array {
  const bytes: number[] = [];
  if (size !== undefined) bytes.push(KIND.maximumSegmentSize, 4, size >> 8, size & 0xff);
  if (windowShift !== undefined) bytes.push(KIND.noOperation, KIND.windowScale, 3, windowShift);
  return Uint8Array.from(bytes);
}
