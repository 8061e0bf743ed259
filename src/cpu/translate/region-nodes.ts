/**
 * The nodes (basic blocks) of a region, found by building them: a node's last instruction says where control goes on. Code of a
 * subroutine is a part of each region that calls it: a node is told by its address and by the calls that led to it, so
 * that a return finds its way back without a look at any table, after a comparison of the address that it pops.
 */

import type { Body } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { Decoded } from "../decode/decoder.ts";
import type { LeaveReason } from "../observe/region-counts.ts";
import type { NodeGroups } from "./access-groups.ts";
import type { CodeReader } from "./code-reader.ts";
import { FlowGraph, type GraphNode } from "./flow-graph.ts";
import { FlagKindUnknown, type FlagState, flagCode } from "./lazy-flags.ts";
import { copyAfter, type LoopCopy, type Place } from "./loop-copies.ts";
import { type NodeFacts, spreadFacts } from "./node-facts.ts";
import { NotTranslatable } from "./not-translatable.ts";
import { type FrameOptions, RegionFrame } from "./region-frame.ts";
import { type Flow, RegionInstruction } from "./region-instruction.ts";

/** Limits of a region. */
export interface RegionSize {
  readonly instructions: number;
  readonly nodes: number;
  /** Calls within calls. */
  readonly depth: number;
  /** Whether small loops have copies of their bodies. */
  readonly copies: boolean;
}

/** Instructions of one node at the most. */
const NODE_LIMIT = 64;
/**
 * Instructions of a subroutine that calls nothing and is a part of each region that calls it, as it costs less than a call:
 * where 32-bit code learns its own address, for one.
 */
const LEAF_LIMIT = 4;
/** Distance of its code from the start, in bytes. */
const REACH = 0x4000_0000;

/** What part of its instructions a region may have in copies of nodes that unravel loops, and how many loops. */
const DETOUR_PART = 0.5;
const MOST_KNOTS = 8;

export interface RegionInput extends FrameOptions {
  readonly code: CodeReader;
  readonly size: RegionSize;
  /** Whether the block at this distance runs often enough to be part of the region. */
  readonly isWarm: (delta: number) => boolean;
  /** Where the indirect jump that ends the block at this distance has gone. */
  targets(delta: number): readonly number[];
  /** The instruction at a distance as text, with its address. */
  describe(delta: number): string;
}

/**
 * A second way through a loop that control also enters elsewhere than at its head: copies of its nodes, which end where they come
 * to the head.
 */
interface Detour {
  /** The loop's nodes but for its head. */
  readonly within: ReadonlySet<Node>;
  readonly number: number;
}

interface Spot extends Place {
  readonly detour?: Detour | undefined;
}

/** Where control goes on. */
export interface Target extends Spot {
  /** Code of what flags follow from there (lazy-flags.ts); undefined where only the variables tell. */
  readonly flags: number | undefined;
}

/** `returns` is the distance at which a call is expected back. */
type Exit =
  /** The interpreter has taken over. */
  | { readonly kind: "none" }
  | { readonly kind: "jump"; readonly to: Target; readonly returns: number | undefined }
  | { readonly kind: "branch"; readonly condition: Value; readonly taken: Target; readonly next: Target }
  /** To an address that is known when it runs: where it is expected to go comes first. `goesBack`: as a call's return does. */
  | {
      readonly kind: "indirect";
      readonly ip: Value;
      readonly expected: readonly Target[];
      readonly returns: number | undefined;
      readonly goesBack: boolean;
    };

export interface Node extends GraphNode, Spot {
  /** Distance of its last instruction. */
  readonly last: number;
  /** Instructions in it. */
  readonly count: number;
  readonly body: Body;
  exit: Exit;
  /** Flags at its end. */
  readonly flags: FlagState;
  readonly groups: NodeGroups;
  readonly facts: NodeFacts;
  readonly successors: Node[];
}

const placeOf = ({ delta, calls, copy, detour }: Spot): string =>
  `${delta} ${calls.join()} ${copy ? `${copy.head}-${copy.end}:${copy.number}` : ""} ${detour?.number ?? ""}`;

/** How a node finds flags when control comes to it. */
type Variant = "any" | "unknown" | number;

/** Finds and builds a region's nodes. */
export class NodeBuilder {
  readonly frame: RegionFrame;
  instructions = 0;
  /** Lowest and highest distance that its code has or goes to. */
  first = 0;
  last = 0;
  readonly #input: RegionInput;
  readonly #nodes = new Map<string, Node>();
  /** Places where flags are read of which it matters what they follow from: each kind gets a node of its own there. */
  readonly #flagReaders = new Set<string>();
  /** What is still to be built, in the order in which it was found, with what tells its place. */
  readonly #queue: { readonly target: Target; readonly place: string }[] = [];
  readonly #queued = new Set<string>();
  /** How often control is taken to come to each place for each time that it enters the region. */
  readonly #weights = new Map<string, number>();
  /** Why places are not part of the region. */
  readonly #refused = new Map<string, LeaveReason>();
  /** Distance of the instruction built last. */
  #current = 0;

  constructor(input: RegionInput) {
    this.#input = input;
    this.frame = new RegionFrame(input);
  }

  /** The nodes' graph: no way leads into a loop but to its head, where there is room for copies. Undefined without nodes. */
  build(): FlowGraph<Node> | undefined {
    const entry: Target = { delta: 0, calls: [], copy: undefined, flags: 0 };
    this.#request(entry, 1);
    for (let target = this.#next(); target; target = this.#next()) {
      if (target === entry || this.#hasRoom(target)) this.#buildNode(target);
    }
    const first = this.instructions > 0 ? this.find(entry) : undefined;
    if (!first) return undefined;
    let graph = this.#link(first);
    for (let number = 1; number <= MOST_KNOTS && this.#unravel(graph, number); number++) graph = this.#link(first);
    spreadFacts(first);
    return graph;
  }

  #link(first: Node): FlowGraph<Node> {
    for (const node of this.#nodes.values()) {
      node.successors.length = 0;
      for (const to of targetsOf(node.exit)) {
        const successor = this.find(to);
        if (successor) node.successors.push(successor);
      }
    }
    return new FlowGraph<Node>(first);
  }

  /**
   * Gives the ways into some loop that do not lead to its head copies of the nodes from there to the head; false where there is
   * no such loop, or no room.
   */
  #unravel(graph: FlowGraph<Node>, number: number): boolean {
    const most = this.#input.size.instructions * (1 + DETOUR_PART);
    const knot = graph.knots().find(({ within }) => {
      const size = [...within].reduce((sum, { count }) => sum + count, 0);
      return this.instructions + size <= most;
    });
    if (!knot) return false;
    const detour: Detour = { within: knot.within, number };
    const waiting: { readonly original: Node; readonly target: Target }[] = [];
    const divert = (exit: Exit): Exit =>
      mapTargets(exit, (target) => {
        const original = this.find(target);
        if (!original || !knot.within.has(original)) return target;
        const other = { ...target, detour };
        waiting.push({ original, target: other });
        return other;
      });
    for (const node of graph.order) {
      if (!knot.within.has(node) && node !== knot.head) node.exit = divert(node.exit);
    }
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (this.find(next.target)) continue;
      const copy = this.#buildNode(next.target);
      copy.exit = divert(asIn(next.original.exit, copy.exit));
    }
    return true;
  }

  get nodes(): readonly number[] {
    const own = [...this.#nodes.values()].filter(({ calls, copy, detour }) => calls.length === 0 && !copy && !detour);
    return own.map(({ delta }) => delta);
  }

  #variant(target: Target): Variant {
    return this.#flagReaders.has(placeOf(target)) ? (target.flags ?? "unknown") : "any";
  }

  /** The node for a target, if the region has one. */
  find(target: Target): Node | undefined {
    return this.#nodes.get(`${placeOf(target)} ${this.#variant(target)}`);
  }

  /** Asks for a node, to which control comes so often by one more way. */
  #request(target: Target, weight: number): void {
    const place = placeOf(target);
    this.#weights.set(place, (this.#weights.get(place) ?? 0) + weight);
    const key = `${place} ${target.flags}`;
    if (!this.#queued.has(key)) {
      this.#queued.add(key);
      this.#queue.push({ target, place });
    }
    this.first = Math.min(this.first, target.delta);
    this.last = Math.max(this.last, target.delta);
  }

  /**
   * Takes what control comes to most often from what is still to be built; of what is alike, what was found last: so one way
   * is followed to its end before others are begun.
   */
  #next(): Target | undefined {
    let [best, most] = [-1, -1];
    for (let index = this.#queue.length - 1; index >= 0; index--) {
      const weight = this.#weights.get((this.#queue[index] as { place: string }).place) as number;
      if (weight > most) [best, most] = [index, weight];
    }
    return best < 0 ? undefined : this.#queue.splice(best, 1)[0]?.target;
  }

  /** Asks for all that control comes to from a node: each of these that have run often is taken to be as likely. */
  #requestAfter(node: Node): void {
    const targets = targetsOf(node.exit);
    const warm = targets.filter(({ delta }) => this.#input.isWarm(delta)).length;
    const weight = (this.#weights.get(placeOf(node)) as number) / Math.max(warm, 1);
    for (const target of targets) this.#request(target, weight);
  }

  #hasRoom(target: Target): boolean {
    const refusal = this.#refusal(target);
    if (refusal !== undefined) this.#refused.set(placeOf(target), refusal);
    return refusal === undefined;
  }

  #refusal({ delta, calls }: Target): LeaveReason | undefined {
    const { size, isWarm } = this.#input;
    if (this.instructions >= size.instructions || this.#nodes.size >= size.nodes) return "region full";
    const tooDeep = calls.length - size.depth;
    if (tooDeep > 1 || (tooDeep === 1 && !this.#isLeaf(delta))) return "calls too deep";
    if (Math.abs(delta) >= REACH) return "too far";
    return isWarm(delta) ? undefined : "rare code";
  }

  /** Whether the code at a distance returns after a few instructions. */
  #isLeaf(delta: number): boolean {
    let at = delta;
    for (let count = 0; count < LEAF_LIMIT; count++) {
      const decoded = this.#input.code.peek(at);
      if (!decoded) return false;
      const { flow, ends } = decoded.form.instruction;
      if (flow === "return" || ends) return flow === "return";
      at += decoded.length;
    }
    return false;
  }

  /** Why the region has no node for a target. */
  refusalOf(target: Target): LeaveReason {
    return this.#refused.get(placeOf(target)) ?? "region full";
  }

  describe(delta: number): string {
    return this.#input.describe(delta);
  }

  #buildNode(target: Target): Node {
    const known = this.find(target);
    if (known) return known;
    const variant = this.#variant(target);
    try {
      const node = this.#nodeOf(target, variant);
      this.#nodes.set(`${placeOf(target)} ${variant}`, node);
      if (!target.detour) this.#requestAfter(node);
      return node;
    } catch (error) {
      if (!(error instanceof FlagKindUnknown) || variant !== "any") throw error;
      this.#flagReaders.add(placeOf(target));
      return this.#buildNode(target);
    }
  }

  #nodeOf(target: Target, variant: Variant): Node {
    const { f } = this.#input;
    const { flags } = this.frame;
    let exit: Exit = { kind: "none" };
    const before = this.instructions;
    const facts = this.frame.beginNode();
    const body = f.detached(() => {
      if (typeof variant === "number") flags.state = flags.fromVariables(variant);
      else if (variant === "any") flags.state = { kind: "variables" };
      else flags.state = this.frame.storeFlags();
      exit = this.#fill(target);
    });
    return {
      ...target,
      last: this.#current,
      count: this.instructions - before,
      body,
      exit,
      flags: flags.state,
      groups: this.frame.groups.end(),
      facts,
      successors: [],
    };
  }

  /** Builds a node's instructions where the function under construction stands. */
  #fill(target: Target): Exit {
    const { code } = this.#input;
    const { frame } = this;
    let { delta } = target;
    let executed = 0;
    let flow: Flow = { kind: "next" };
    let decoded: ReturnType<CodeReader["decode"]>;
    do {
      decoded = code.decode(delta);
      this.#current = delta;
      const built = typeof decoded === "string" ? undefined : this.#instruction(decoded, delta, executed);
      if (built === undefined || typeof decoded === "string") {
        frame.mark(() => `${this.describe(delta)}  (left to the interpreter)`);
        frame.interpret(delta, executed, "not translated");
        return { kind: "none" };
      }
      flow = built;
      executed++;
      delta += decoded.length;
      this.last = Math.max(this.last, delta);
      if (executed === NODE_LIMIT && flow.kind === "next") flow = { kind: "jump", to: delta };
    } while (flow.kind === "next");
    const known = flagCode(frame.flags.state);
    frame.spend(executed);
    this.instructions += executed;
    const noted = this.#input.targets(target.delta);
    return exitOf(flow, decoded, delta, target, noted, (to, calls = target.calls) => ({
      delta: to,
      calls,
      copy: calls === target.calls ? this.#copyAfter(target, delta, to) : undefined,
      flags: known,
    }));
  }

  #copyAfter(from: Target, next: number, to: number): LoopCopy | undefined {
    if (!this.#input.size.copies) return undefined;
    return copyAfter(from, next, to, this.#nodes.values(), isPlain);
  }

  /** Builds one instruction; undefined where it is left to the interpreter. */
  #instruction(decoded: Decoded, delta: number, executed: number): Flow | undefined {
    const { f } = this.#input;
    const { flags } = this.frame;
    const before = flags.state;
    const undoFacts = this.frame.rememberFacts();
    let flow: Flow = { kind: "next" };
    try {
      const body = f.detached(() => {
        this.frame.mark(() => this.describe(delta));
        flow = new RegionInstruction(this.frame, decoded, delta, executed).build();
      });
      f.place(body);
      return flow;
    } catch (error) {
      if (!(error instanceof NotTranslatable)) throw error;
      flags.state = before;
      undoFacts();
      return undefined;
    }
  }
}

/** Where a node's last instruction leads; `next` is the distance of the one after it. */
function exitOf(
  flow: Flow,
  { form }: Decoded,
  next: number,
  from: Target,
  noted: readonly number[],
  to: (delta: number, calls?: readonly number[]) => Target,
): Exit {
  const returns = form.instruction.flow === "call" ? next : undefined;
  const calls = returns === undefined ? from.calls : [returns, ...from.calls];
  switch (flow.kind) {
    case "next":
    case "jump":
      return { kind: "jump", to: to(flow.kind === "jump" ? flow.to : next, calls), returns };
    case "branch":
      return { kind: "branch", condition: flow.condition, taken: to(flow.taken), next: to(flow.next) };
    case "indirect": {
      if (form.instruction.flow !== "return") {
        const expected = noted.map((delta) => to(delta, calls));
        return { kind: "indirect", ip: flow.ip, expected, returns, goesBack: false };
      }
      const [caller, ...rest] = from.calls;
      const expected = caller === undefined ? [] : [to(caller, rest)];
      // What takes more off the stack has moved its pointer further.
      return { kind: "indirect", ip: flow.ip, expected, returns, goesBack: form.operands.length === 0 };
    }
  }
}

/** Whether control leaves a node by a jump or a branch, goes on behind it, and calls nothing. */
function isPlain({ exit, delta, calls }: Node): boolean {
  if (exit.kind === "jump") return exit.to.delta > delta && exit.to.calls.length === calls.length;
  return exit.kind === "branch" && exit.taken.delta > delta;
}

/** An exit with other targets in place of its own. */
function mapTargets(exit: Exit, map: (target: Target) => Target): Exit {
  switch (exit.kind) {
    case "none":
      return exit;
    case "jump":
      return { ...exit, to: map(exit.to) };
    case "branch":
      return { ...exit, next: map(exit.next), taken: map(exit.taken) };
    case "indirect":
      return { ...exit, expected: exit.expected.map(map) };
  }
}

/** The exit of a node's copy, with each target the place that the node itself goes to. */
function asIn(original: Exit, exit: Exit): Exit {
  const places = targetsOf(original);
  return mapTargets(exit, (target) => {
    const same = places.find(({ delta, calls }) => delta === target.delta && calls.join() === target.calls.join());
    return same ? { ...target, copy: same.copy, detour: same.detour } : target;
  });
}

function targetsOf(exit: Exit): Target[] {
  switch (exit.kind) {
    case "none":
      return [];
    case "jump":
      return [exit.to];
    case "branch":
      return [exit.next, exit.taken];
    case "indirect":
      return [...exit.expected];
  }
}
