/**
 * What is in an expansion ROM: images, each with a header and a data structure that names the functions it is for.
 * @spec PCI Local Bus Specification 3.0, §6.3 "PCI Expansion ROMs".
 */
import { struct, u8, u16 } from "../../bits/struct.ts";

/** The start of an image (§6.3.1.1), with the length that images for the PC have there (§6.3.3.1). */
const RomHeader = struct("LE", { signature: u16, blocks: u8 });
const ROM_SIGNATURE = 0xaa55;
const DATA_POINTER = 0x18;

/** PCI data structure (§6.3.1.2), after its signature. */
const RomData = struct("LE", {
  vendor: u16,
  device: u16,
  deviceList: u16,
  length: u16,
  revision: u8,
  programmingInterface: u8,
  subclass: u8,
  baseClass: u8,
  /** In blocks. */
  imageLength: u16,
  codeRevision: u16,
  codeType: u8,
  indicator: u8,
});
const DATA_SIGNATURE = [0x50, 0x43, 0x49, 0x52];
const CODE_PC = 0;
const LAST_IMAGE = 0x80;
const BLOCK = 512;

/**
 * A copy of `rom` whose images name this function as the one that they are for. Firmware runs no image that names another,
 * even one that would drive it. Images for the PC sum up to zero as before: the low byte of the code's revision makes up
 * for the changes. What is not an image, and what follows it, stays as it is.
 */
export function withFunctionIds(rom: Uint8Array, { vendor, device }: { vendor: number; device: number }): Uint8Array {
  const bytes = rom.slice();
  for (let start = 0; start < bytes.length; ) {
    const image = bytes.subarray(start);
    const at = dataStructureOf(image);
    if (at === undefined) break;
    const data = RomData.at(image, at);
    const before = pcSum(image);
    data.vendor = vendor;
    data.device = device;
    if (data.codeType === CODE_PC) image[at + RomData.offset.codeRevision]! -= pcSum(image) - before;
    if ((data.indicator & LAST_IMAGE) !== 0 || data.imageLength === 0) break;
    start += data.imageLength * BLOCK;
  }
  return bytes;
}

/** Where the data structure of `image` begins, after its signature; undefined where there is none. */
function dataStructureOf(image: Uint8Array): number | undefined {
  if (image.length < DATA_POINTER + 2 || RomHeader.at(image).signature !== ROM_SIGNATURE) return undefined;
  const at = image[DATA_POINTER]! | (image[DATA_POINTER + 1]! << 8);
  if (!DATA_SIGNATURE.every((byte, i) => image[at + i] === byte)) return undefined;
  const start = at + DATA_SIGNATURE.length;
  return start + RomData.size <= image.length ? start : undefined;
}

/** The sum of an image's bytes, as the PC's firmware makes it. */
function pcSum(image: Uint8Array): number {
  let sum = 0;
  for (const byte of image.subarray(0, RomHeader.at(image).blocks * BLOCK)) sum += byte;
  return sum & 0xff;
}
