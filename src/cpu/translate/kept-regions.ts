/**
 * Regions that earlier processes have made, to be used again where the same code runs. What a region of the first size
 * does depends on the bytes of its instructions, on how far they lie apart and on the mode: not on the addresses they are
 * at. A kernel that lies elsewhere each time it is started finds most of its regions here.
 *
 * Those that were found when the process began have numbers, in groups of which each is loaded as a whole: what was made
 * together is often needed together.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import { HANDLER } from "../emit/enter-block.ts";
import { codeModule, FIRST_READY, MOST_READY } from "../interpret/code-table.ts";
import type { RegionSettings } from "../processor.ts";
import type { CodeConstant, CodeReader, PlacedCode } from "./code-reader.ts";
import { NO_PLACE, placeOf, type ReadyIndex, type ReadyModule } from "./ready-regions.ts";
import {
  type BodyFor,
  encodeRegion,
  matchHead,
  type RegionIdentity,
  readBody,
  readIdentity,
  readSize,
} from "./region-encoding.ts";
import type { RegionPart, RegionStore, StoredRegion } from "./region-store.ts";

/** Regions of a group. */
export const GROUP = 64;
/** So many groups are given from the start, and so many of them in one module at the most: a boot has 1,500 regions. */
const GROUPS_AT_START = 48;
const GROUPS_TOGETHER = 8;
/** What one process adds at the most: a guest can make new code for ever. */
const MOST_MADE = 16384;
const MOST_BYTES = 48 * 1024 * 1024;
/** In front of each head where they are one after the other: its length. */
const LENGTH_BYTES = 4;

export interface FoundRegion extends PlacedCode {
  readonly instructions: number;
  /** Distances at which its nodes begin. */
  readonly nodes: readonly number[];
  readonly bodyFor: BodyFor;
}

/** Regions of one part that are loaded together. */
interface Group {
  readonly part: RegionPart;
  readonly first: number;
  readonly count: number;
}

/** A region that this process has made: as bytes until it is stored. */
type Made = StoredRegion | { readonly part: RegionPart; readonly index: number };

export class KeptRegions {
  readonly #store: RegionStore | undefined;
  readonly #groups: Group[] = [];
  readonly #loaded = new Set<number>();
  /** Their numbers begin behind those of what was found. */
  readonly #made: Made[] = [];
  #bytesMade = 0;
  /** How many of them are stored. */
  #stored = 0;
  readonly #byKey = new Map<number, number | number[]>();

  constructor(store?: RegionStore) {
    this.#store = store;
    for (const part of store?.parts ?? []) {
      for (let first = 0; first < part.count; first += GROUP) {
        if (this.#groups.length * GROUP >= MOST_READY) return;
        this.#addGroup({ part, first, count: Math.min(GROUP, part.count - first) });
      }
    }
  }

  #addGroup(group: Group): void {
    const number = this.#groups.length * GROUP;
    this.#groups.push(group);
    for (let i = 0; i < group.count; i++) {
      this.#note(readIdentity(new ByteReader(group.part.head(group.first + i))).key, number + i);
    }
  }

  #note(key: number, region: number): void {
    const known = this.#byKey.get(key);
    if (known === undefined) this.#byKey.set(key, region);
    else if (typeof known === "number") this.#byKey.set(key, [known, region]);
    else known.push(region);
  }

  /** How many were added that are not stored yet. */
  get added(): number {
    return this.#made.length - this.#stored;
  }

  add(
    identity: RegionIdentity,
    made: Omit<FoundRegion, "bodyFor" | "constants">,
    constants: readonly Omit<CodeConstant, "value">[],
    body: EncodedFunction,
  ): void {
    if (this.#made.length >= MOST_MADE || this.#bytesMade >= MOST_BYTES) return;
    const region = encodeRegion(identity, made, constants, body);
    if (region === undefined) return;
    this.#bytesMade += region.head.length + region.body.length;
    this.#note(identity.key, MOST_READY + this.#made.length);
    this.#made.push(region);
  }

  /** Stores what was added. */
  store(): void {
    const first = this.#stored;
    const part = this.#store?.add(this.#made.slice(first) as StoredRegion[]);
    if (part) for (let i = first; i < this.#made.length; i++) this.#made[i] = { part, index: i - first };
    this.#stored = this.#made.length;
  }

  /** Regions of these numbers are in use. */
  use(regions: readonly number[]): void {
    for (const region of regions) this.#groups[Math.floor(region / GROUP)]?.part.use();
  }

  #placeOf(region: number): Made {
    if (region >= MOST_READY) return this.#made[region - MOST_READY] as Made;
    const { part, first } = this.#groups[Math.floor(region / GROUP)] as Group;
    return { part, index: first + (region % GROUP) };
  }

  /** A region of just the code that `reader` finds now. */
  find(identity: RegionIdentity, reader: CodeReader): FoundRegion | undefined {
    const regions = this.#byKey.get(identity.key) ?? [];
    for (const region of typeof regions === "number" ? [regions] : regions) {
      const place = this.#placeOf(region);
      const head = new ByteReader("part" in place ? place.part.head(place.index) : place.head);
      const placed = matchHead(head, identity, reader);
      if (placed === undefined) continue;
      const body = "part" in place ? place.part.bodies(place.index, 1)?.[0] : place.body;
      if (body === undefined) continue;
      if ("part" in place) place.part.use();
      return { ...readSize(head), ...placed, bodyFor: readBody(new ByteReader(body)) };
    }
    return undefined;
  }

  /** What tells those that were found. */
  index(): ReadyIndex {
    const keys = new Uint32Array(this.#groups.length * GROUP);
    const places = new Uint32Array(keys.length).fill(NO_PLACE);
    this.#groups.forEach(({ part, first, count }, group) => {
      for (let i = 0; i < count; i++) {
        const identity = readIdentity(new ByteReader(part.head(first + i)));
        keys[group * GROUP + i] = identity.key;
        places[group * GROUP + i] = placeOf(identity);
      }
    });
    return { keys, places };
  }

  /** Modules of what was used last. */
  *first(settings: Pick<RegionSettings, "memoryPages">): Generator<ReadyModule> {
    const count = Math.min(this.#groups.length, GROUPS_AT_START);
    for (let group = 0; group < count; group += GROUPS_TOGETHER) {
      const module = this.load(settings, group, Math.min(GROUPS_TOGETHER, count - group));
      if (module) yield module;
    }
  }

  /**
   * A module of groups from `group` on, for table entries that are theirs alone: a guest's code then need only be compared.
   * Undefined where nothing of them is there that was not loaded before.
   */
  load(settings: Pick<RegionSettings, "memoryPages">, group: number, count = 1): ReadyModule | undefined {
    const module = codeModule(settings.memoryPages);
    const heads: Uint8Array[] = [];
    let functions = 0;
    for (let i = group; i < group + count; i++) {
      const { part, first, count } = this.#groups[i] as Group;
      const bodies = (this.#loaded.has(i) ? undefined : part.bodies(first, count)) ?? [];
      this.#loaded.add(i);
      const callees = bodies.map((body) => module.function(HANDLER, readBody(new ByteReader(body))(module)));
      if (callees.length > 0) module.elements(FIRST_READY + i * GROUP, callees);
      functions += callees.length;
      heads.push(...bodies.map((_, at) => part.head(first + at)));
      heads.push(...Array<Uint8Array>(GROUP - bodies.length).fill(NO_HEAD));
    }
    if (functions === 0) return undefined;
    const first = group * GROUP;
    return { first, count: count * GROUP, module: new WebAssembly.Module(module.build()), heads: joined(heads) };
  }
}

/** Stands where a group has less than others. */
const NO_HEAD = new Uint8Array();

/** Copies them into one array, each with its length in front. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0));
  const view = new DataView(all.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    all.set(part, at + LENGTH_BYTES);
    at += LENGTH_BYTES + part.length;
  }
  return all;
}
