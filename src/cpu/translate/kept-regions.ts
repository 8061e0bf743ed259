/**
 * Regions that earlier processes have made, to be used again where the same code runs. What a region of the first size
 * does depends on the bytes of its instructions, on how far they lie apart and on the mode: not on the addresses they are
 * at. A kernel that lies elsewhere each time it is started finds most of its regions here.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import { HANDLER } from "../emit/enter-block.ts";
import { codeModule, FIRST_READY, MOST_READY } from "../interpret/code-table.ts";
import type { RegionSettings } from "../processor.ts";
import type { CodeConstant, CodeReader, PlacedCode } from "./code-reader.ts";
import type { ReadyModule } from "./ready-regions.ts";
import {
  type BodyFor,
  encodeRegion,
  matchHead,
  type RegionIdentity,
  readBody,
  readIdentity,
  readSize,
  takeHead,
} from "./region-encoding.ts";

/** As many are kept, and as many bytes: a boot has 1,500 of 2 KB. */
const MOST_REGIONS = 4096;
const MOST_BYTES = 12 * 1024 * 1024;
/** In front of each region's bytes where all are one after the other: their number. */
const LENGTH_BYTES = 4;

export interface FoundRegion extends PlacedCode {
  readonly instructions: number;
  /** Distances at which its nodes begin. */
  readonly nodes: readonly number[];
  readonly bodyFor: BodyFor;
}

export class KeptRegions {
  /** All that were found: thousands of objects would have to be looked at by each garbage collection. */
  readonly #found: Uint8Array;
  /** Where regions begin in `#found`. */
  readonly #starts: Uint32Array;
  readonly #made: Uint8Array[] = [];
  #bytesMade = 0;
  /** Regions by their keys: numbers of those that were found, then of those that were made. */
  readonly #byKey = new Map<number, number | number[]>();
  /** Numbers of those that this process has used or made, as one came after the other. */
  readonly #used = new Set<number>();
  /** How many were added that are in no file yet. */
  added = 0;

  /** `found` is what `toKeep` gave. Throws a RangeError where it is something else. */
  constructor(found = new Uint8Array()) {
    this.#found = found;
    const starts: number[] = [];
    const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
    for (let at = 0; at < found.length; at += LENGTH_BYTES + view.getUint32(at, true)) {
      if (at + LENGTH_BYTES + view.getUint32(at, true) > found.length) throw new RangeError("a kept region is cut off");
      const head = new ByteReader(takeHead(new ByteReader(found, at + LENGTH_BYTES)));
      this.#note(readIdentity(head).key, starts.length);
      starts.push(at + LENGTH_BYTES);
    }
    this.#starts = Uint32Array.from(starts);
  }

  #note(key: number, region: number): void {
    const known = this.#byKey.get(key);
    if (known === undefined) this.#byKey.set(key, region);
    else if (typeof known === "number") this.#byKey.set(key, [known, region]);
    else known.push(region);
  }

  add(
    identity: RegionIdentity,
    made: Omit<FoundRegion, "bodyFor" | "constants">,
    constants: readonly Omit<CodeConstant, "value">[],
    body: EncodedFunction,
  ): void {
    // A guest can make new code for ever.
    if (this.#made.length >= MOST_REGIONS || this.#bytesMade >= MOST_BYTES) return;
    const region = encodeRegion(identity, made, constants, body);
    if (region === undefined) return;
    this.#bytesMade += region.length;
    const number = this.#starts.length + this.#made.length;
    this.#note(identity.key, number);
    this.#made.push(region);
    this.#used.add(number);
    this.added++;
  }

  /** Regions of these numbers are in use: those that `toReady` gave. */
  use(regions: readonly number[]): void {
    for (const region of regions) this.#used.add(region);
  }

  #bytes(region: number): Uint8Array {
    const start = this.#starts[region];
    if (start === undefined) return this.#made[region - this.#starts.length] as Uint8Array;
    const next = this.#starts[region + 1];
    return this.#found.subarray(start, next === undefined ? this.#found.length : next - LENGTH_BYTES);
  }

  /** A region of just the code that `reader` finds now. */
  find(identity: RegionIdentity, reader: CodeReader): FoundRegion | undefined {
    const regions = this.#byKey.get(identity.key) ?? [];
    for (const region of typeof regions === "number" ? [regions] : regions) {
      const bytes = new ByteReader(this.#bytes(region));
      const head = new ByteReader(takeHead(bytes));
      const placed = matchHead(head, identity, reader);
      if (placed === undefined) continue;
      this.#used.add(region);
      return { ...readSize(head), ...placed, bodyFor: readBody(bytes) };
    }
    return undefined;
  }

  /**
   * Modules of regions that were found, `each` in one, for table entries that are theirs alone: a guest's code then need
   * only be compared.
   */
  *toReady(settings: Pick<RegionSettings, "memoryPages">, each: number): Generator<ReadyModule> {
    const count = Math.min(this.#starts.length, MOST_READY);
    for (let first = 0; first < count; first += each) {
      const module = codeModule(settings.memoryPages);
      const heads: Uint8Array[] = [];
      const functions = Array.from({ length: Math.min(each, count - first) }, (_, i) => {
        const bytes = new ByteReader(this.#bytes(first + i));
        heads.push(takeHead(bytes));
        return module.function(HANDLER, readBody(bytes)(module));
      });
      module.elements(FIRST_READY + first, functions);
      yield { first, count: functions.length, module: new WebAssembly.Module(module.build()), heads: joined(heads) };
    }
  }

  /** What is worth keeping for later processes: what this one has made or used, then the others as far as there is room. */
  toKeep(): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let room = MOST_BYTES;
    const put = (number: number) => {
      const region = this.#bytes(number);
      room -= LENGTH_BYTES + region.length;
      if (room >= 0 && parts.length < 2 * MOST_REGIONS) parts.push(...withLength(region));
    };
    for (const region of this.#used) put(region);
    this.#starts.forEach((_, region) => {
      if (!this.#used.has(region)) put(region);
    });
    return parts;
  }
}

function withLength(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  return [length, bytes];
}

/** Copies them into one array, each with its length in front. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0));
  let at = 0;
  for (const part of parts.flatMap(withLength)) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
