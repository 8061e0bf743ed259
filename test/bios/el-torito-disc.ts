/** Bootable discs for tests, as small as they can be: boot record, catalogue, images. No file system. */

const SECTOR = 2048;
const CATALOGUE = 20;
const FIRST_IMAGE = 24;

export interface DiscEntry {
  readonly image: Uint8Array;
  /** 0 none, 1 to 3 floppy, 4 hard disk. */
  readonly media?: number;
  /** 0 x86, EFh UEFI. */
  readonly platform?: number;
  readonly bootable?: boolean;
  readonly loadSegment?: number;
  /** Of 512 bytes. */
  readonly sectors?: number;
}

/** A disc with these entries: the first is the default one, each of the others has a section of its own. */
export function bootableDisc(entries: readonly DiscEntry[], { damaged = false } = {}): Uint8Array {
  const places: number[] = [];
  let next = FIRST_IMAGE;
  for (const { image } of entries) {
    places.push(next);
    next += Math.ceil(image.length / SECTOR);
  }
  const disc = new Uint8Array(next * SECTOR);
  const text = (at: number, characters: string) => disc.set(new TextEncoder().encode(characters), at);
  const words = new DataView(disc.buffer);
  disc[16 * SECTOR] = 1;
  text(16 * SECTOR + 1, "CD001\x01");
  text(17 * SECTOR + 1, "CD001\x01EL TORITO SPECIFICATION");
  words.setUint32(17 * SECTOR + 0x47, CATALOGUE, true);
  disc[18 * SECTOR] = 255;
  text(18 * SECTOR + 1, "CD001\x01");

  let at = CATALOGUE * SECTOR;
  disc[at] = 1;
  disc[at + 1] = entries[0]?.platform ?? 0;
  disc.set([0x55, 0xaa], at + 30);
  let sum = 0;
  for (let i = 0; i < 32; i += 2) sum += words.getUint16(at + i, true);
  words.setUint16(at + 28, (0x1_0000 - (sum & 0xffff)) & 0xffff, true);
  if (damaged) disc[at + 5] = 1;
  entries.forEach(({ image, media = 0, platform = 0, bootable = true, loadSegment = 0, sectors = 4 }, i) => {
    at += 32;
    if (i > 0) {
      disc[at] = i === entries.length - 1 ? 0x91 : 0x90;
      disc[at + 1] = platform;
      words.setUint16(at + 2, 1, true);
      at += 32;
    }
    disc[at] = bootable ? 0x88 : 0;
    disc[at + 1] = media;
    words.setUint16(at + 2, loadSegment, true);
    words.setUint16(at + 6, sectors, true);
    words.setUint32(at + 8, places[i] as number, true);
    disc.set(image, (places[i] as number) * SECTOR);
  });
  return disc;
}
