/** Decompression by Node's zlib, loaded when an image has something compressed. */
import type { Decompressor } from "../decompress.ts";

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
