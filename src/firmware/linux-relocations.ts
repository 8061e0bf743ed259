/**
 * The relocations of a Linux kernel that can run at a random virtual address: they follow the ELF file that it is unpacked
 * to, as lists of words, each the low half of the virtual address of a place that holds an address.
 *
 * In the file's order, with a zero word before each list: places of 64 bits, then, up to Linux 6.14, places of 32 bits that
 * hold a distance which shrinks (of per-CPU data, whose addresses stay), then places of 32 bits.
 *
 * @spec Linux arch/x86/boot/compressed/misc.c (handle_relocations), arch/x86/tools/relocs.c
 */

/** What the addresses in the lists count from, less the physical address that the kernel is linked for. */
const KERNEL_MAP = 0x8000_0000;
const WORD = 4;

/** Bytes from the kernel's start. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export class LinuxRelocations {
  /** Offsets of places from the kernel's start. */
  readonly #add64: Uint32Array;
  readonly #subtract32: Uint32Array;
  readonly #add32: Uint32Array;

  private constructor(add64: Uint32Array, subtract32: Uint32Array, add32: Uint32Array) {
    this.#add64 = add64;
    this.#subtract32 = subtract32;
    this.#add32 = add32;
  }

  /**
   * Reads `table`, of a kernel that is linked for the physical address `linkedFor` and fills `extents`. Undefined where
   * there is anything that is not as described above: a place that is not the kernel's, more or fewer lists, or more bytes.
   */
  static read(table: Uint8Array, linkedFor: number, extents: readonly Extent[]): LinuxRelocations | undefined {
    if (table.length % WORD !== 0) return undefined;
    const words = new DataView(table.buffer, table.byteOffset, table.length);
    const starts: number[] = [];
    for (let at = 0; at < table.length; at += WORD) {
      if (words.getUint32(at, true) === 0 && starts.push(at) > 3) return undefined;
    }
    if (starts[0] !== 0 || starts.length < 2) return undefined;
    const list = (index: number, width: number): Uint32Array | undefined => {
      const [start, end = table.length] = [(starts[index] as number) + WORD, starts[index + 1]];
      return readPlaces(words, start, end, width, KERNEL_MAP + linkedFor, extents);
    };
    const add64 = list(0, 8);
    const subtract32 = starts.length === 3 ? list(1, 4) : new Uint32Array(0);
    const add32 = list(starts.length - 1, 4);
    return add64 && subtract32 && add32 && new LinuxRelocations(add64, subtract32, add32);
  }

  /** Makes the kernel in `memory` one that is linked for a virtual address `distance` bytes (below 2^31) further up. */
  apply(memory: Uint8Array, distance: number): void {
    const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    for (const at of this.#add32) view.setUint32(at, view.getUint32(at, true) + distance, true);
    for (const at of this.#subtract32) view.setUint32(at, view.getUint32(at, true) - distance, true);
    for (const at of this.#add64) {
      const low = view.getUint32(at, true) + distance;
      view.setUint32(at, low, true);
      if (low >= 2 ** 32) view.setUint32(at + 4, view.getUint32(at + 4, true) + 1, true);
    }
  }
}

/** The places of one list, as offsets; undefined where one of them is not wholly in an extent. */
function readPlaces(
  words: DataView,
  from: number,
  end: number,
  width: number,
  origin: number,
  extents: readonly Extent[],
): Uint32Array | undefined {
  const places = new Uint32Array((end - from) / WORD);
  const holds = (extent: Extent | undefined, place: number) =>
    extent !== undefined && place >= extent.start && place + width <= extent.end;
  let extent = extents[0];
  for (let i = 0; i < places.length; i++) {
    const place = words.getUint32(from + i * WORD, true) - origin;
    if (!holds(extent, place)) extent = extents.find((other) => holds(other, place));
    if (extent === undefined) return undefined;
    places[i] = place;
  }
  return places;
}
