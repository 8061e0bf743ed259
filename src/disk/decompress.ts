/**
 * Decompression that image formats need. What runs in a browser brings its own; Node's is node/decompress.ts.
 * Both reject, or throw, where the input is no valid stream or would give more than `size` bytes.
 */
export interface Decompressor {
  /** Unpacks raw deflate data (RFC 1951); what follows the stream is ignored. */
  inflateRaw(input: Uint8Array, size: number): Promise<Uint8Array>;
  /** Unpacks data in zlib's format (RFC 1950). */
  inflate(input: Uint8Array, size: number): Promise<Uint8Array>;
  /** Unpacks one Zstandard frame (RFC 8878), with nothing after it. */
  zstd(input: Uint8Array, size: number): Promise<Uint8Array>;
}

/**
 * Unpacks one stream while the caller waits; throws where it is none, or would give more than `size` bytes. The result
 * has its buffer to itself.
 */
export type UnpackNow = (input: Uint8Array, size: number) => Uint8Array;

/**
 * Bytes of the Zstandard frame that `input` begins with, or undefined where it is none or is cut off. Images give
 * the place of compressed data in sectors, so that other bytes follow the frame.
 *
 * @spec RFC 8878 §3.1.1
 */
export function zstdFrameLength(input: Uint8Array): number | undefined {
  const byte = (at: number) => input[at] ?? 0;
  if (byte(0) !== 0x28 || byte(1) !== 0xb5 || byte(2) !== 0x2f || byte(3) !== 0xfd) return undefined;
  const descriptor = byte(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 1 << sizeFlag;
  let at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
  for (let isLast = false; !isLast; ) {
    const header = byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16);
    isLast = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    // An RLE block (1) holds one byte, however many it stands for; 3 is reserved.
    if (type === 3) return undefined;
    at += 3 + (type === 1 ? 1 : header >>> 3);
    if (at > input.length) return undefined;
  }
  if ((descriptor & 4) !== 0) at += 4;
  return at <= input.length ? at : undefined;
}
