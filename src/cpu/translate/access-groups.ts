/**
 * Accesses at fixed distances from each other: fields of a structure, a frame on the stack. They share one look for
 * their page, which stands where the first of them is, and serves also nodes that control comes to from nowhere else.
 * Their code is made when all of them are known. Where the look finds nothing (they do not lie within one page, or
 * it cannot be written yet), the interpreter goes on. In a group where that was found to happen often, each of them
 * looks for itself then, which costs all of them a comparison.
 */
import type { FunctionBuilder, Label, Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { NodePositions, Positions } from "./positions.ts";

/** Bytes from the first to the last of a group at the most: the more, the more often a page ends among them. */
const MOST_BYTES = 256;

/** What is looked for. */
export interface Extent {
  /** Linear address of its first byte. */
  readonly linear: Value;
  readonly bytes: number;
  /** Whether all accesses are to just these bytes: they are aligned, most often. */
  readonly isSame: boolean;
  readonly writes: boolean;
  /** Whether it is to be found only if the page can be written already: the first access is a read. */
  readonly onlyReady: boolean;
}

/** How code for an access is made. */
export interface Access {
  readonly linear: Value;
  readonly bytes: number;
  readonly write: boolean;
  /** Whether what it looks for, with others, is nearly always found. */
  readonly isSure: boolean;
  /**
   * Looks for `extent`, and leaves the instruction at hand where it is not found; where it is in the shared memory.
   * `isShared`: for other accesses, too.
   */
  look(extent: Extent, isShared: boolean): Value;
  /** The same, but 0 where it is not found. */
  tryLook(extent: Extent): Value;
  /** Looks for the access itself where that is rarely done, and leaves the instruction where it is not found. */
  lookRarely(): Value;
  /** Does the access at an address of the shared memory. */
  perform(address: Value, offset: number): void;
}

interface GroupedAccess {
  readonly access: Access;
  /** Distance from the group's first access. */
  readonly at: number;
  /** Where its code goes. */
  readonly place: Label;
}

class Group {
  readonly from: string;
  /** Distance of the first access from what its position counts from. */
  readonly distance: number;
  /** The bytes accessed, from `first` before `end`, as distances from there. */
  first = 0;
  end: number;
  writes: boolean;
  #isSame = true;
  #isShared = false;
  readonly #accesses: GroupedAccess[] = [];
  /** Where in the shared memory its bytes begin; 0 where they were not found. */
  readonly #host: Variable;
  readonly #place: Label;

  constructor(f: FunctionBuilder, from: string, distance: number, access: Access) {
    this.from = from;
    this.distance = distance;
    this.end = access.bytes;
    this.writes = access.write;
    this.#host = f.variable("i32");
    this.#place = f.label("block");
    f.block(() => {}, this.#place);
    this.add(f, access, 0);
  }

  /** An access that was taken, at a distance from the first: its code goes here. */
  add(f: FunctionBuilder, access: Access, at: number): void {
    const place = f.label("block");
    f.block(() => {}, place);
    this.#accesses.push({ access, at, place });
  }

  /** Whether bytes from `first` before `end` can be found with the others; if so, they will be. */
  takes(first: number, end: number, writes: boolean): boolean {
    const [low, high] = [Math.min(this.first, first), Math.max(this.end, end)];
    if (high - low > MOST_BYTES) return false;
    this.#isSame &&= first === this.first && end === this.end;
    this.#isShared = true;
    this.first = low;
    this.end = high;
    this.writes ||= writes;
    return true;
  }

  /** Whether its look nearly always finds all of them. */
  get #isSure(): boolean {
    return (this.#accesses[0] as GroupedAccess).access.isSure;
  }

  /** Makes its code, all that it takes being taken; `joined` is the group that it is found with. */
  finish(f: FunctionBuilder, joined: Reach | undefined): void {
    const { access, place } = this.#accesses[0] as GroupedAccess;
    const first = access.linear.add(this.first);
    const bytes = this.end - this.first;
    const extent = { linear: first, bytes, isSame: this.#isSame, writes: this.writes };
    const onlyReady = this.writes && !access.write;
    if (!joined && !this.#isShared) {
      f.fill(place, () => access.perform(access.look({ ...extent, onlyReady }, false), 0));
      return;
    }
    if (!joined) {
      f.fill(this.#place, () => {
        const whole = { ...extent, onlyReady };
        this.#host.set(this.#isSure ? access.look(whole, true) : access.tryLook(whole));
      });
    }
    const { group, distance } = joined ?? { group: this, distance: 0 };
    for (const { access, at, place } of this.#accesses) {
      const offset = distance + at - group.first;
      f.fill(place, () => {
        const host = group.#host.get();
        if (group.#isSure) access.perform(host, offset);
        else {
          f.if(
            host,
            () => access.perform(host, offset),
            () => access.perform(access.lookRarely(), 0),
            "likely",
          );
        }
      });
    }
  }
}

/** A group by what positions count from in some node, and the distance of its first access there. */
interface Reach {
  readonly group: Group;
  readonly distance: number;
}
export type Reaches = ReadonlyMap<string, Reach>;

export class AccessGroups {
  readonly #f: FunctionBuilder;
  readonly #positions: Positions;
  /** Those that accesses may still join, by what their positions count from. */
  #open = new Map<string, Group>();
  #all: Group[] = [];
  /** How many there were when translations may last have changed: infinite where they have not. */
  #split = Number.POSITIVE_INFINITY;

  constructor(f: FunctionBuilder, positions: Positions) {
    this.#f = f;
    this.#positions = positions;
  }

  /** A node begins. */
  begin(): void {
    this.#positions.begin();
    this.#open = new Map();
    this.#all = [];
    this.#split = Number.POSITIVE_INFINITY;
  }

  /** Translations may have changed: what was found does not serve accesses behind this point. */
  split(): void {
    this.#open = new Map();
    this.#split = this.#all.length;
  }

  /** Has the code of an access made here. */
  add(access: Access): void {
    const { linear, bytes, write } = access;
    const { from, distance } = this.#positions.of(linear);
    const open = this.#open.get(from);
    const at = distance - (open?.distance ?? 0);
    if (open?.takes(at, at + bytes, write)) {
      open.add(this.#f, access, at);
      return;
    }
    const group = new Group(this.#f, from, distance, access);
    this.#open.set(from, group);
    this.#all.push(group);
  }

  /** A node ends: no access of its own joins any more. */
  end(): NodeGroups {
    return new NodeGroups(this.#f, this.#all, {
      open: this.#open,
      positions: this.#positions.end(),
      split: this.#split,
    });
  }
}

/** The groups of a node. */
export class NodeGroups {
  readonly #f: FunctionBuilder;
  readonly #groups: readonly Group[];
  readonly #open: ReadonlyMap<string, Group>;
  readonly #positions: NodePositions;
  readonly #split: number;
  /** Groups that have joined another one, with their distance from it. */
  readonly #joined = new Map<Group, Reach>();
  #reaches: Reaches = new Map();

  constructor(
    f: FunctionBuilder,
    groups: readonly Group[],
    end: { open: ReadonlyMap<string, Group>; positions: NodePositions; split: number },
  ) {
    this.#f = f;
    this.#groups = groups;
    this.#open = end.open;
    this.#positions = end.positions;
    this.#split = end.split;
  }

  /** Has groups join those that control has come by: all who come to the node have. Once, before its successors. */
  join(reaches: Reaches): void {
    const reached = new Map(reaches);
    for (const [i, group] of this.#groups.entries()) {
      if (i >= this.#split) break;
      const other = reached.get(group.from);
      if (other === undefined) continue;
      const at = group.distance - other.distance;
      // What is only read need not be writable, and control may go another way.
      if (group.writes && !other.group.writes) continue;
      if (!other.group.takes(at + group.first, at + group.end, false)) continue;
      this.#joined.set(group, { group: other.group, distance: at });
    }
    if (this.#split < Number.POSITIVE_INFINITY) reached.clear();
    for (const group of this.#open.values()) {
      if (!this.#joined.has(group)) reached.set(group.from, { group, distance: group.distance });
    }
    this.#reaches = this.#positions.after(reached);
  }

  /** What those who come from here alone have come by. */
  get reaches(): Reaches {
    return this.#reaches;
  }

  /** Makes the code of all accesses; all groups that could join have joined. */
  finish(): void {
    for (const group of this.#groups) group.finish(this.#f, this.#joined.get(group));
  }
}
