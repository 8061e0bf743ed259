/**
 * A picture as a PNG file.
 *
 * @spec PNG (Third Edition) §5, §11.2
 */
import { promisify } from "node:util";
import { crc32, deflate } from "node:zlib";
import type { Surface } from "../../../machine/display.ts";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const TRUE_COLOUR = 2;
const BIT_DEPTH = 8;

/** Eight bits for each of red, green and blue. */
export async function encodePng({ width, height, pixels }: Surface): Promise<Uint8Array> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = BIT_DEPTH;
  header[9] = TRUE_COLOUR;
  // Each row begins with its filter, which is none: screens pack well as they are.
  const rows = new Uint8Array(height * (1 + 3 * width));
  let at = 0;
  for (let y = 0; y < height; y++) {
    at++;
    for (let x = 0; x < width; x++) {
      const rgb = pixels[y * width + x] as number;
      rows[at++] = rgb >> 16;
      rows[at++] = rgb >> 8;
      rows[at++] = rgb;
    }
  }
  const packed = await promisify<Uint8Array, Buffer>(deflate)(rows);
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const result = Buffer.alloc(body.length + 8);
  result.writeUInt32BE(data.length, 0);
  body.copy(result, 4);
  result.writeUInt32BE(crc32(body), body.length + 4);
  return result;
}
