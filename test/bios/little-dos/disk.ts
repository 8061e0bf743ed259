/** Makes a bootable disk of Little DOS: 1.44 MB, FAT12. @spec Microsoft FAT specification (2000) */
import { assemble } from "../../../src/isa/assemble.ts";
import { bootSector } from "../bios-guest.ts";
import { bootCode, FIRST_DATA, SYSTEM_AT } from "./boot-sector.ts";
import { CONTROLLER } from "./controller.ts";
import { FAT_AT, SERVICES } from "./services.ts";
import { SHELL } from "./shell.ts";

const SECTOR = 512;
const SECTORS = 2880;
const FAT_SECTORS = 9;
const ROOT = 19;
const FIRST_CLUSTER = 2;
const LAST_CLUSTER = 0xfff;

/** The system's file. */
function system(): Uint8Array {
  const { bytes } = assemble(SHELL + SERVICES + CONTROLLER, { bits: 16, origin: BigInt(SYSTEM_AT) });
  if (SYSTEM_AT + bytes.length > FAT_AT) throw new RangeError(`Little DOS of ${bytes.length} bytes reaches its tables`);
  return bytes;
}

/** The disk, with `files` by their names, such as "READ.ME". */
export function littleDosDisk(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const image = new Uint8Array(SECTORS * SECTOR);
  const fat = [0xff0, LAST_CLUSTER];
  const dos = system();
  image.set(bootSector(bootCode(Math.ceil(dos.length / SECTOR))));
  let entry = ROOT * SECTOR;
  for (const [name, content] of Object.entries({ "LITTLE.SYS": dos, ...files })) {
    const [base = "", extension = ""] = name.split(".");
    const first = fat.length;
    const count = Math.ceil(content.length / SECTOR);
    for (let i = 1; i <= count; i++) fat.push(i < count ? first + i : LAST_CLUSTER);
    image.set(content, (FIRST_DATA + first - FIRST_CLUSTER) * SECTOR);
    image.set(new TextEncoder().encode(base.padEnd(8) + extension.padEnd(3)), entry);
    image[entry + 11] = 0x20;
    const view = new DataView(image.buffer, entry);
    view.setUint16(26, count > 0 ? first : 0, true);
    view.setUint32(28, content.length, true);
    entry += 32;
  }
  for (const copy of [1, 1 + FAT_SECTORS]) fat.forEach((value, cluster) => setEntry(image, copy, cluster, value));
  return image;
}

/** Twelve bits of the table at a sector. */
function setEntry(image: Uint8Array, at: number, cluster: number, value: number): void {
  const view = new DataView(image.buffer, at * SECTOR + cluster + (cluster >>> 1));
  const before = view.getUint16(0, true);
  view.setUint16(0, cluster & 1 ? (before & 0x000f) | (value << 4) : (before & 0xf000) | value, true);
}
