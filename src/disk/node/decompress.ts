/** Decompression by Node's zlib. */
import { promisify } from "node:util";
import zlib from "node:zlib";
import type { Decompressor } from "../decompress.ts";

const inflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);
const inflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate);
const zstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

export const nodeDecompressor: Decompressor = {
  inflateRaw: (input, size) => inflateRaw(input, { maxOutputLength: size }),
  inflate: (input, size) => inflate(input, { maxOutputLength: size }),
  zstd: (input, size) => zstd(input, { maxOutputLength: size }),
};
