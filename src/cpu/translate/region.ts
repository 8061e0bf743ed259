/**
 * One region: the nodes that control reaches from a hot block (region-nodes.ts), as one WebAssembly function of nested blocks
 * and loops.
 */
import type { FunctionBuilder, Label } from "../../wasm/function.ts";
import type { LeaveReason } from "../observe/region-counts.ts";
import type { Reaches } from "./access-groups.ts";
import type { FlowGraph } from "./flow-graph.ts";
import type { RegionFrame } from "./region-frame.ts";
import { type Node, NodeBuilder, type RegionInput, type Target } from "./region-nodes.ts";

export interface BuiltRegion {
  /** Guest instructions in it: none where it is not worth having. */
  readonly instructions: number;
  /** Distances at which its nodes begin, but for those of subroutines: others may call them as well. */
  readonly nodes: readonly number[];
}

/** Builds the function's body. */
export function buildRegion(input: RegionInput): BuiltRegion {
  const nodes = new NodeBuilder(input);
  const graph = nodes.build();
  if (graph === undefined) return { instructions: 0, nodes: [] };
  nodes.frame.finish(nodes.first, nodes.last, () => new RegionWriter(nodes, graph).writeAll());
  return nodes;
}

const NONE: Reaches = new Map();

/** Writes nodes out as nested blocks and loops. */
class RegionWriter {
  readonly #f: FunctionBuilder;
  readonly #frame: RegionFrame;
  readonly #nodes: NodeBuilder;
  readonly #graph: FlowGraph<Node>;
  readonly #loops = new Map<Node, Label>();
  readonly #joins = new Map<Node, Label>();
  readonly #written: Node[] = [];

  constructor(nodes: NodeBuilder, graph: FlowGraph<Node>) {
    this.#f = nodes.frame.f;
    this.#frame = nodes.frame;
    this.#nodes = nodes;
    this.#graph = graph;
  }

  writeAll(): void {
    this.#write(this.#graph.entry, NONE);
    for (const { groups } of this.#written) groups.finish();
  }

  /** Writes `node` and all that it dominates; `reaches` are groups that all who come to it have come by. */
  #write(node: Node, reaches: Reaches): void {
    node.groups.join(this.#graph.isLoop(node) ? NONE : reaches);
    this.#written.push(node);
    const joins = this.#graph.joinsOf(node);
    for (const join of joins) this.#joins.set(join, this.#f.label("block"));
    if (!this.#graph.isLoop(node)) {
      this.#writeBefore(node, joins);
      return;
    }
    const label = this.#f.label("loop");
    this.#loops.set(node, label);
    this.#f.loop(() => this.#writeBefore(node, joins), label);
  }

  /** Writes `node` within one block for each of `joins`, each of which follows its block. */
  #writeBefore(node: Node, joins: readonly Node[]): void {
    const [last, ...others] = joins;
    if (last === undefined) {
      this.#f.place(node.body);
      this.#leaveNode(node);
      return;
    }
    this.#f.block(() => this.#writeBefore(node, others), this.#joins.get(last));
    this.#write(last, NONE);
  }

  #leaveNode(node: Node): void {
    const f = this.#f;
    const { exit } = node;
    this.#frame.mark(() => `${this.#nodes.describe(node.last)}  (goes on)`);
    switch (exit.kind) {
      case "none":
        return;
      case "jump":
        this.#follow(node, exit.to, exit.returns);
        return;
      case "branch":
        f.if(
          exit.condition,
          () => this.#follow(node, exit.taken),
          () => this.#follow(node, exit.next),
        );
        return;
      case "indirect": {
        for (const target of exit.expected) {
          if (!this.#nodes.find(target)) continue;
          f.if(exit.ip.eq(this.#frame.ip(target.delta)), () => this.#follow(node, target));
        }
        const { returns, goesBack } = exit;
        this.#frame.leave(exit.ip, node, { from: node.last, reason: "indirect", returns, goesBack });
      }
    }
  }

  #follow(from: Node, target: Target, returns?: number): void {
    const f = this.#f;
    const to = this.#nodes.find(target);
    const leave = (reason: LeaveReason) =>
      this.#frame.leave(this.#frame.ip(target.delta), from, { from: from.last, reason, to: target.delta, returns });
    if (to === undefined) {
      leave(this.#nodes.refusalOf(target));
      return;
    }
    const edge = this.#graph.edge(from, to).kind;
    if (edge === "irreducible") {
      leave("irreducible");
      return;
    }
    if (edge === "again") f.ifRare(this.#frame.exhausted(), () => leave("budget"));
    this.#frame.flags.state = from.flags;
    this.#frame.flags.keep();
    switch (edge) {
      case "again":
        f.branch(this.#loops.get(to) as Label);
        return;
      case "join":
        f.branch(this.#joins.get(to) as Label);
        return;
      case "inline":
        this.#write(to, from.groups.reaches);
    }
  }
}
