/**
 * Regions that earlier processes have made, to be used again where the same code runs. What a region of the first size
 * does depends on the bytes of its instructions, on how far they lie apart and on the mode: not on the addresses they are
 * at. A kernel that lies elsewhere each time it is started finds most of its regions here.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import type { ModuleBuilder } from "../../wasm/module.ts";
import { KeySet } from "../interpret/code-key.ts";
import type { CodeReader, ReadCode } from "./code-reader.ts";
import { encodeRegion, type RegionIdentity, readBody, readCode, readIdentity } from "./region-encoding.ts";

/** As many are kept, and as many bytes: a boot has 1,500 of 2 KB. */
const MOST_REGIONS = 4096;
const MOST_BYTES = 12 * 1024 * 1024;
/** In front of each region's bytes where all are one after the other: their number. */
const LENGTH_BYTES = 4;

export interface FoundRegion {
  readonly instructions: number;
  /** Distances at which its nodes begin. */
  readonly nodes: readonly number[];
  /** Its code as it lies here. */
  readonly code: readonly ReadCode[];
  /** Its function, for a module whose types begin with the same ones (`codeModule`). */
  bodyFor(module: ModuleBuilder): EncodedFunction;
}

export class KeptRegions {
  /** All that were found: thousands of objects would have to be looked at by each garbage collection. */
  readonly #found: Uint8Array;
  /** Where regions begin in `#found`, and which of them were used. */
  readonly #starts: Uint32Array;
  readonly #isUsed: Uint8Array;
  readonly #made: Uint8Array[] = [];
  #bytesMade = 0;
  /** Regions by their keys: numbers of those that were found, then of those that were made. */
  readonly #byKey = new Map<number, number | number[]>();
  /** How many were added that are in no file yet. */
  added = 0;

  /** `found` is what `toKeep` gave. Throws a RangeError where it is something else. */
  constructor(found = new Uint8Array()) {
    this.#found = found;
    const starts: number[] = [];
    const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
    for (let at = 0; at < found.length; at += LENGTH_BYTES + view.getUint32(at, true)) {
      if (at + LENGTH_BYTES + view.getUint32(at, true) > found.length) throw new RangeError("a kept region is cut off");
      this.#note(readIdentity(new ByteReader(found, at + LENGTH_BYTES)).key, starts.length);
      starts.push(at + LENGTH_BYTES);
    }
    this.#starts = Uint32Array.from(starts);
    this.#isUsed = new Uint8Array(starts.length);
  }

  #note(key: number, region: number): void {
    const known = this.#byKey.get(key);
    if (known === undefined) this.#byKey.set(key, region);
    else if (typeof known === "number") this.#byKey.set(key, [known, region]);
    else known.push(region);
  }

  /** Keys of all that there are. */
  get keys(): KeySet {
    const set = new KeySet();
    for (const key of this.#byKey.keys()) set.add(key);
    return set;
  }

  add(identity: RegionIdentity, made: Omit<FoundRegion, "bodyFor">, body: EncodedFunction): void {
    // A guest can make new code for ever.
    if (this.#made.length >= MOST_REGIONS || this.#bytesMade >= MOST_BYTES) return;
    const region = encodeRegion(identity, made, body);
    if (region === undefined) return;
    this.#bytesMade += region.length;
    this.#note(identity.key, this.#starts.length + this.#made.length);
    this.#made.push(region);
    this.added++;
  }

  #read(region: number): ByteReader {
    const start = this.#starts[region];
    if (start !== undefined) return new ByteReader(this.#found, start);
    return new ByteReader(this.#made[region - this.#starts.length] as Uint8Array);
  }

  /** A region of just the code that `reader` finds now. */
  find(identity: RegionIdentity, reader: CodeReader): FoundRegion | undefined {
    const regions = this.#byKey.get(identity.key) ?? [];
    for (const region of typeof regions === "number" ? [regions] : regions) {
      const bytes = this.#read(region);
      const { model, context, offset } = readIdentity(bytes);
      if (model !== identity.model || context !== identity.context || offset !== identity.offset) continue;
      const code = reader.match(readCode(bytes));
      if (code === undefined) continue;
      if (region < this.#isUsed.length) this.#isUsed[region] = 1;
      return { ...readBody(bytes), code };
    }
    return undefined;
  }

  /** What is worth keeping for later processes: what this one has made or used, then the others as far as there is room. */
  toKeep(): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let room = MOST_BYTES;
    const put = (region: Uint8Array) => {
      room -= LENGTH_BYTES + region.length;
      if (room < 0 || parts.length >= 2 * MOST_REGIONS) return;
      const length = new Uint8Array(LENGTH_BYTES);
      new DataView(length.buffer).setUint32(0, region.length, true);
      parts.push(length, region);
    };
    for (const region of this.#made) put(region);
    for (const used of [1, 0]) {
      this.#starts.forEach((start, i) => {
        const end = i + 1 < this.#starts.length ? (this.#starts[i + 1] as number) - LENGTH_BYTES : this.#found.length;
        if (this.#isUsed[i] === used) put(this.#found.subarray(start, end));
      });
    }
    return parts;
  }
}
