/**
 * Values as distances from others: what two addresses made of the same registers have between them is known when code
 * is made, whatever the registers hold.
 */
import type { Value } from "../../wasm/value.ts";

/** A value that is `distance` more than the unknown one that `from` names, within its width. */
export interface Position {
  readonly from: string;
  readonly distance: number;
}

/** Distances that are followed; farther ones are of no use. */
const REACH = 0x4000_0000;

const LOW_HALF = 0xffff_ffff;

/** Operations of which the result moves as far as the operand, as long as nothing is carried out of it. */
const SAME_DISTANCE = new Set(["i32.wrap_i64", "i64.extend_i32_u"]);

export class Positions {
  /** Of values made since the node began. */
  #values = new Map<Value, Position>();
  /** Of general registers; of those that the node has not written, as they were when it began. */
  #registers: (Position | undefined)[] = [];
  /** Registers that got values of which nothing is known, in some node, and which were copied to which others. */
  readonly #unknown = new Set<number>();
  readonly #copies = new Map<number, Set<number>>();
  #names = 0;

  /** A node begins: registers hold what others have left there. */
  begin(): void {
    this.#values = new Map();
    this.#registers = [];
  }

  /** A node ends. */
  end(): NodePositions {
    return new NodePositions(this.#registers);
  }

  /** `value` is what a register holds now. */
  read(register: number, value: Value): void {
    this.#registers[register] ??= { from: registerName(register), distance: 0 };
    this.#values.set(value, this.#registers[register]);
  }

  /** A register gets `value`; undefined where control may have come another way. */
  write(register: number, value: Value | undefined): void {
    const position = value === undefined ? this.#unnamed() : this.of(value);
    this.#registers[register] = position;
    if (UNKNOWN.test(position.from)) this.#unknown.add(register);
    else if (REGISTER.test(position.from)) {
      const to = this.#copies.get(numberOf(position.from)) ?? new Set();
      this.#copies.set(numberOf(position.from), to.add(register));
    }
  }

  /** Registers that hold what was read from memory, most often, in one of the nodes that have been built. */
  loadedRegisters(): ReadonlySet<number> {
    const loaded = new Set(this.#unknown);
    // A set gives also those that are added meanwhile.
    for (const register of loaded) for (const copy of this.#copies.get(register) ?? []) loaded.add(copy);
    return loaded;
  }

  of(value: Value): Position {
    let known = this.#values.get(value);
    if (known === undefined) {
      known = this.#derived(value) ?? this.#unnamed();
      this.#values.set(value, known);
    }
    return known;
  }

  #unnamed(): Position {
    return { from: `v${this.#names++}`, distance: 0 };
  }

  #derived({ constant, opcode, args }: Value): Position | undefined {
    if (constant !== undefined) return within("", Number(constant));
    const [left, right] = args;
    if (opcode === undefined || left === undefined) return undefined;
    if (SAME_DISTANCE.has(opcode.name)) {
      const operand = this.of(left);
      return { from: `${opcode.name}(${operand.from})`, distance: operand.distance };
    }
    if (right === undefined) return undefined;
    const by = right.constant === undefined ? undefined : Number(right.constant);
    const { from, distance } = this.of(left);
    switch (opcode.name.slice(4)) {
      case "add":
        return by === undefined ? sum({ from, distance }, this.of(right)) : within(from, distance + by);
      case "sub":
        return by === undefined ? undefined : within(from, distance - by);
      case "shl":
        return by === undefined ? undefined : within(`(${from})<<${by}`, distance * 2 ** by);
      case "and":
        return by === LOW_HALF ? within(`low(${from})`, distance) : undefined;
      default:
        return undefined;
    }
  }
}

/** What registers hold at the end of a node, as distances from what they held at its beginning. */
export class NodePositions {
  readonly #registers: readonly (Position | undefined)[];

  constructor(registers: readonly (Position | undefined)[]) {
    this.#registers = registers;
  }

  /** Positions as the next node knows them, of those that it can know: `items` by what they count from. */
  after<T extends { readonly distance: number }>(items: ReadonlyMap<string, T>): Map<string, T> {
    const after = new Map<string, T>();
    for (const [from, item] of items) {
      if (this.#lasts(from)) after.set(from, item);
    }
    this.#registers.forEach((position, register) => {
      const item = position && items.get(position.from);
      if (item) after.set(registerName(register), { ...item, distance: item.distance - position.distance });
    });
    return after;
  }

  /** Whether what `from` names is named the same in the next node. */
  #lasts(from: string): boolean {
    return from.split(SEPARATORS).every((name) => {
      if (!REGISTER.test(name)) return !UNKNOWN.test(name);
      const position = this.#registers[numberOf(name)];
      return position === undefined || (position.from === name && position.distance === 0);
    });
  }
}

const registerName = (register: number): string => `r${register}`;
const numberOf = (name: string): number => Number(name.slice(1));
const SEPARATORS = /[()+<]+/;
const REGISTER = /^r\d+$/;
const UNKNOWN = /^v\d+$/;

function sum(a: Position, b: Position): Position | undefined {
  return within([a.from, b.from].sort().join("+"), a.distance + b.distance);
}

function within(from: string, distance: number): Position | undefined {
  return Math.abs(distance) < REACH ? { from, distance } : undefined;
}
