/** Decompression by Node's zlib, loaded when an image has something compressed. */
import type { Decompressor, UnpackNow } from "../decompress.ts";

/** Smaller ones may be parts of a buffer that others have parts of, too. */
const SMALLEST_CHUNK = 1024 * 1024;

export const nodeDecompressor: Decompressor = {
  async inflateRaw(input, size) {
    const { inflateRaw } = await import("node:zlib");
    return unpack((done) => inflateRaw(input, { maxOutputLength: size }, done));
  },
  async inflate(input, size) {
    const { inflate } = await import("node:zlib");
    return unpack((done) => inflate(input, { maxOutputLength: size }, done));
  },
  async zstd(input, size) {
    const { zstdDecompress } = await import("node:zlib");
    return unpack((done) => zstdDecompress(input, { maxOutputLength: size }, done));
  },
};

function unpack(begin: (done: (error: Error | null, output: Uint8Array) => void) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => begin((error, output) => (error ? reject(error) : resolve(output))));
}

/** Loads what unpacks gzip's format or a Zstandard frame at once. */
export async function unpackNow(packing: "gzip" | "zstd"): Promise<UnpackNow> {
  const { gunzipSync, zstdDecompressSync } = await import("node:zlib");
  const unpack = packing === "gzip" ? gunzipSync : zstdDecompressSync;
  // One chunk that has room for all: chunks would be joined by a copy.
  return (input, size) => unpack(input, { maxOutputLength: size, chunkSize: Math.max(size + 1, SMALLEST_CHUNK) });
}
