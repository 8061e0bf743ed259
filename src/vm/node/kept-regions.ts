/** Regions that earlier processes have made, in a file that begins with its own checksum. */
import { crc32 } from "node:zlib";
import { KeptRegions } from "../../cpu/translate/kept-regions.ts";
import { keep, readKept } from "./kept-file.ts";

const NAME = "regions";
const CHECKSUM_BYTES = 4;
/** So many new ones are worth a file at once, or fewer after the milliseconds that none was made for. */
const MANY = 128;
const QUIET = 1500;
/** Milliseconds before the first file at the least, and from one to the next at the most: each pause is twice the last. */
const SHORTEST_PAUSE = 5000;
const LONGEST_PAUSE = 320_000;

/** What is kept in `directory`: nothing where nothing is that can be used. */
export function readRegions(directory: string): KeptRegions {
  const bytes = readKept(directory, NAME);
  const regions = bytes?.subarray(CHECKSUM_BYTES);
  // Else something has damaged the file, or there is none.
  const isWhole = bytes && regions && bytes.length >= CHECKSUM_BYTES && bytes.readUInt32LE(0) === crc32(regions);
  return new KeptRegions(isWhole ? regions : undefined);
}

export function writeRegions(directory: string, regions: KeptRegions): void {
  const bytes = Buffer.concat([Buffer.alloc(CHECKSUM_BYTES), ...regions.toKeep()]);
  bytes.writeUInt32LE(crc32(bytes.subarray(CHECKSUM_BYTES)), 0);
  keep(directory, NAME, bytes);
}

/** Writes what was added, now and then: whoever runs a machine may end it at any time. */
export class RegionKeeper {
  readonly #directory: string;
  readonly #regions: KeptRegions;
  #written = performance.now();
  #pause = SHORTEST_PAUSE;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: string, regions: KeptRegions) {
    this.#directory = directory;
    this.#regions = regions;
  }

  /** Some may have been added. */
  changed(): void {
    const { added } = this.#regions;
    clearTimeout(this.#timer);
    if (added === 0) return;
    const since = performance.now() - this.#written;
    if (added >= MANY && since >= this.#pause) this.#write();
    else this.#timer = setTimeout(() => this.#write(), Math.max(QUIET, this.#pause - since)).unref();
  }

  #write(): void {
    writeRegions(this.#directory, this.#regions);
    this.#regions.added = 0;
    this.#written = performance.now();
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }
}
