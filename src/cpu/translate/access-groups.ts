/**
 * Accesses at fixed distances from each other: fields of a structure, a frame on the stack. They share one look for
 * their page. It stands where the first of them is, and is made when the last one is known; what it finds serves all,
 * also in nodes that control comes to from nowhere else.
 * Where they do not lie within one page, or it cannot be had as they need it, the interpreter goes on at the first.
 */
import { type FunctionBuilder, type Label, LateOffset, type Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { NodePositions, Positions } from "./positions.ts";

/** Bytes from the first to the last of a group at the most: the more, the more often a page ends among them. */
const MOST_BYTES = 128;

/** What a group asks for, when all of it is known. */
export interface GroupAccess {
  /** Linear address of its first access, in the order of the code. */
  readonly linear: Value;
  /** The bytes accessed, from `first` before `end`, as distances from there. */
  readonly first: number;
  readonly end: number;
  /** Whether all accesses are to the same bytes: they are aligned, most often. */
  readonly isSame: boolean;
  readonly writes: boolean;
  /** Whether the first access is a write. */
  readonly writesFirst: boolean;
}

class Group implements GroupAccess {
  readonly linear: Value;
  /** Distance of `linear` from what its position counts from. */
  readonly distance: number;
  readonly from: string;
  readonly writesFirst: boolean;
  first = 0;
  end: number;
  isSame = true;
  writes: boolean;
  /** Where in the shared memory its bytes begin, or those of a group that it has joined. */
  readonly host: Variable;
  readonly #accesses: { readonly at: number; readonly offset: LateOffset }[] = [];
  /** Where the code goes that finds it. */
  readonly place: Label;
  readonly #look: (access: GroupAccess) => Value;

  constructor(
    f: FunctionBuilder,
    access: { linear: Value; from: string; distance: number; bytes: number; write: boolean },
    look: (access: GroupAccess) => Value,
  ) {
    this.linear = access.linear;
    this.from = access.from;
    this.distance = access.distance;
    this.end = access.bytes;
    this.writes = access.write;
    this.writesFirst = access.write;
    this.host = f.variable("i32");
    this.place = f.label("block");
    this.#look = look;
  }

  /** Whether bytes at `distance` can be found with the others; if so, they will be. */
  takes({ first, end, writes }: { first: number; end: number; writes: boolean }): boolean {
    const [low, high] = [Math.min(this.first, first), Math.max(this.end, end)];
    if (high - low > MOST_BYTES) return false;
    this.isSame &&= first === this.first && end === this.end;
    this.first = low;
    this.end = high;
    this.writes ||= writes;
    return true;
  }

  /** An access that was taken, at a distance from the first. */
  share(at: number): SharedPlace {
    const offset = new LateOffset();
    this.#accesses.push({ at, offset });
    return { address: this.host.get(), offset };
  }

  /** Makes the code that finds it; all that it takes it has taken. */
  finish(f: FunctionBuilder, joined: Reach | undefined): void {
    f.fill(this.place, () => this.host.set(joined ? joined.group.host.get() : this.#look(this)));
    const first = joined ? joined.group.first - joined.distance : this.first;
    for (const { at, offset } of this.#accesses) offset.set(at - first);
  }
}

/** A group by what positions count from in some node, and the distance of its first access there. */
interface Reach {
  readonly group: Group;
  readonly distance: number;
}
export type Reaches = ReadonlyMap<string, Reach>;

export interface SharedPlace {
  /** An address in the shared memory, and what is to be added to it. */
  readonly address: Value;
  readonly offset: number | LateOffset;
}

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

  /** Where an access of `bytes` bytes at `linear` can be done: behind what `look` makes, now or where its group began. */
  access(linear: Value, bytes: number, write: boolean, look: (access: GroupAccess) => Value): SharedPlace {
    const { from, distance } = this.#positions.of(linear);
    const open = this.#open.get(from);
    if (open) {
      const at = distance - open.distance;
      if (open.takes({ first: at, end: at + bytes, writes: write })) return open.share(at);
    }
    const group = new Group(this.#f, { linear, from, distance, bytes, write }, look);
    this.#f.block(() => {}, group.place);
    this.#open.set(from, group);
    this.#all.push(group);
    return group.share(0);
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
      // Who is only read may not be writable, and control may go another way.
      if (group.writes && !other.group.writes) continue;
      if (!other.group.takes({ first: at + group.first, end: at + group.end, writes: false })) continue;
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

  /** Makes the code that finds pages; all groups that could join have joined. */
  finish(): void {
    for (const group of this.#groups) group.finish(this.#f, this.#joined.get(group));
  }
}
