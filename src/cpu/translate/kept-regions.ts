/**
 * Regions that earlier processes have made, to be used again where the same code runs. What a region of the first size
 * does depends on the bytes of its instructions, on how far they lie apart and on the mode: not on the addresses they are
 * at. A kernel that lies elsewhere each time it is started finds most of its regions here.
 *
 * Those that were found when the process began have numbers, in groups of which each is loaded as a whole: what was made
 * together is often needed together. Which groups were used soon after a start is noted: the next one of the same kernel or
 * firmware gets them at once.
 */
import { ByteReader } from "../../wasm/byte-reader.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import { HANDLER } from "../emit/enter-block.ts";
import { codeModule, FIRST_READY, MOST_READY } from "../interpret/code-table.ts";
import type { RegionSettings } from "../processor-options.ts";
import type { CodeConstant, CodeReader, PlacedCode } from "./code-reader.ts";
import { GroupUses } from "./group-uses.ts";
import type { ReadyModule } from "./ready-regions.ts";
import { type BodyFor, encodeRegion, matchHead, type RegionIdentity, readBody, readSize } from "./region-encoding.ts";
import { indexOf, NO_PLACE, placeOf, type RegionIndex, regionsOf } from "./region-index.ts";
import type { GroupUse, RegionPart, RegionStore, StoredRegion } from "./region-store.ts";

/** Regions of a group. */
export const GROUP = 64;
/** So many groups are given from the start: a boot has 1,500 regions, not all of which are in groups of such ones. */
const GROUPS_AT_START = 40;
/** So many where it is not known what such a start needs. */
const GROUPS_UNKNOWN = 24;
/** A group of which fewer regions are used can wait until one of them is needed. */
const LEAST_USED = 6;
/** So many are loaded at the most: each may take 10 KB of the host's memory, and a guest may come by code of all others. */
const MOST_GROUPS = 160;
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
type Made = StoredRegion | { readonly part: RegionPart; readonly at: number };

export class KeptRegions {
  readonly #store: RegionStore | undefined;
  readonly #start: string | undefined;
  readonly #uses = new GroupUses();
  readonly #groups: Group[];
  readonly #loaded = new Set<number>();
  /** What earlier starts of the same used. */
  readonly #before: readonly GroupUse[];
  /** What was found. */
  readonly index: RegionIndex;
  readonly #made: Made[] = [];
  #bytesMade = 0;
  /** How many of them are stored. */
  #stored = 0;
  readonly #madeByKey = new Map<number, number[]>();

  /** `start` names what the machine starts with, where that is known. */
  constructor(store?: RegionStore, start?: string) {
    this.#store = store;
    this.#start = start;
    this.#groups = groupsOf(store?.parts ?? []);
    this.#before = start === undefined ? [] : (store?.usesOf(start) ?? []);
    const keys = new Uint32Array(this.#groups.length * GROUP);
    const places = new Uint32Array(keys.length).fill(NO_PLACE);
    this.#groups.forEach(({ part, first, count }, group) => {
      keys.set(part.keys.subarray(first, first + count), group * GROUP);
      places.set(part.places.subarray(first, first + count), group * GROUP);
    });
    this.index = indexOf(keys, places);
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
    const bytes = encodeRegion(identity, made, constants, body);
    if (bytes === undefined) return;
    const { key } = identity;
    this.#bytesMade += bytes.head.length + bytes.body.length;
    const others = this.#madeByKey.get(key);
    if (others) others.push(this.#made.length);
    else this.#madeByKey.set(key, [this.#made.length]);
    this.#made.push({ key, place: placeOf(identity), ...bytes });
  }

  /** Stores what was added. */
  store(): void {
    const first = this.#stored;
    const part = this.#store?.add(this.#made.slice(first) as StoredRegion[]);
    if (part) for (let i = first; i < this.#made.length; i++) this.#made[i] = { part, at: i - first };
    this.#stored = this.#made.length;
  }

  /** Regions of these numbers are in use. */
  use(regions: readonly number[]): void {
    for (const region of regions) {
      const { part, first } = this.#groups[Math.floor(region / GROUP)] ?? {};
      if (part && first !== undefined) this.#use(part, first + (region % GROUP));
    }
  }

  #use(part: RegionPart, at: number): void {
    part.use();
    this.#uses.count(part, Math.floor(at / GROUP));
  }

  /** Notes what was used so far, for later starts of the same. */
  noteStart(): void {
    if (this.#store === undefined || this.#start === undefined) return;
    const uses = this.#uses.copy();
    for (const made of this.#made) if ("part" in made) uses.count(made.part, Math.floor(made.at / GROUP));
    this.#store.noteUses(this.#start, uses.after(this.#before));
  }

  /** A region of just the code that `reader` finds now. */
  find(identity: RegionIdentity, reader: CodeReader): FoundRegion | undefined {
    const { key } = identity;
    const found = regionsOf(this.index, key).map((region): Made => {
      const { part, first } = this.#groups[Math.floor(region / GROUP)] as Group;
      return { part, at: first + (region % GROUP) };
    });
    const made = (this.#madeByKey.get(key) ?? []).map((number) => this.#made[number] as Made);
    for (const place of [...found, ...made]) {
      const region = "part" in place ? place.part.read(place.at, 1)?.[0] : place;
      if (region === undefined) continue;
      // What comes of them outlasts what is read next.
      const head = new ByteReader(new Uint8Array(region.head));
      const placed = matchHead(head, identity, reader);
      if (placed === undefined) continue;
      if ("part" in place) this.#use(place.part, place.at);
      return { ...readSize(head), ...placed, bodyFor: readBody(new ByteReader(new Uint8Array(region.body))) };
    }
    return undefined;
  }

  /** Modules of what such starts needed, or of what was used last by any. */
  *first(settings: Pick<RegionSettings, "memoryPages">): Generator<ReadyModule> {
    for (const group of this.#groupsAtStart()) {
      const module = this.load(settings, group);
      if (module) yield module;
    }
  }

  #groupsAtStart(): number[] {
    const numbers = new Map(this.#groups.map(({ part, first }, number) => [`${part.name} ${first / GROUP}`, number]));
    const known = this.#before
      .filter(({ weight }) => weight >= LEAST_USED)
      .flatMap(({ part, group }) => numbers.get(`${part} ${group}`) ?? []);
    if (known.length > 0) return known.slice(0, GROUPS_AT_START);
    return Array.from({ length: Math.min(this.#groups.length, GROUPS_UNKNOWN) }, (_, group) => group);
  }

  /**
   * A module of a group, for table entries that are theirs alone: a guest's code then need only be compared. Undefined where
   * it was loaded before or is gone, or enough is loaded.
   */
  load(settings: Pick<RegionSettings, "memoryPages">, group: number): ReadyModule | undefined {
    if (this.#loaded.has(group) || this.#loaded.size >= MOST_GROUPS) return undefined;
    this.#loaded.add(group);
    const { part, first, count } = this.#groups[group] as Group;
    const regions = part.read(first, count);
    if (regions === undefined) return undefined;
    const module = codeModule(settings.memoryPages);
    const callees = regions.map(({ body }) => module.function(HANDLER, readBody(new ByteReader(body))(module)));
    module.elements(FIRST_READY + group * GROUP, callees);
    const heads = joined(regions.map(({ head }) => head));
    return { first: group * GROUP, count, module: new WebAssembly.Module(module.build()), heads };
  }
}

/** The parts' regions in groups: as many as there are table entries for. */
function groupsOf(parts: readonly RegionPart[]): Group[] {
  const groups = parts.flatMap((part) =>
    Array.from({ length: Math.ceil(part.keys.length / GROUP) }, (_, i): Group => {
      const first = i * GROUP;
      return { part, first, count: Math.min(GROUP, part.keys.length - first) };
    }),
  );
  return groups.slice(0, MOST_READY / GROUP);
}

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
