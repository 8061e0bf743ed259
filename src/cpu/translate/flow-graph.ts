/**
 * Control flow as WebAssembly has it: nested blocks and loops out of a graph of nodes, by the graph's dominator tree.
 * No node is written twice and no dispatcher is needed; a jump into the middle of a loop (an edge that makes the graph
 * irreducible) is told apart, and whoever builds the code treats it as a way out.
 * @spec N. Ramsey, "Beyond Relooper: Recursive Translation of Unstructured Control Flow to Structured Control Flow"
 * (ICFP 2022), https://doi.org/10.1145/3547621
 */
export interface GraphNode {
  /** Nodes that control goes on with; one stands here for each way to it. */
  readonly successors: readonly GraphNode[];
}

/** How an edge is taken. */
export type Edge<N> =
  /** Back to the start of a loop around the node. */
  | { readonly kind: "again"; readonly to: N }
  /** To a node that is written after a block around this one. */
  | { readonly kind: "join"; readonly to: N }
  /** To a node that no other way leads to: it is written in place. */
  | { readonly kind: "inline"; readonly to: N }
  /** Into a loop, but not to its start. */
  | { readonly kind: "irreducible"; readonly to: N };

/** A loop that control also enters elsewhere than at its head. */
export interface Knot<N> {
  readonly head: N;
  /** Its other nodes. */
  readonly within: ReadonlySet<N>;
}

export class FlowGraph<N extends GraphNode> {
  /** Nodes that can be reached, in reverse postorder. */
  readonly order: readonly N[];
  readonly #number = new Map<N, number>();
  /** Immediate dominators, by number. */
  readonly #dominators: readonly number[];
  readonly #isLoop = new Set<N>();
  readonly #isJoin = new Set<N>();
  readonly #predecessors: readonly (readonly number[])[];

  constructor(entry: N) {
    this.order = reversePostorder(entry);
    this.order.forEach((node, i) => {
      this.#number.set(node, i);
    });
    const predecessors: number[][] = this.order.map(() => []);
    this.order.forEach((node, i) => {
      for (const to of node.successors) predecessors[this.#at(to as N)]?.push(i);
    });
    this.#predecessors = predecessors;
    this.#dominators = dominators(predecessors);
    this.order.forEach((node, i) => {
      const forward = (predecessors[i] as number[]).filter((from) => from < i);
      if (forward.length > 1) this.#isJoin.add(node);
      if ((predecessors[i] as number[]).some((from) => from >= i && this.#dominates(i, from))) this.#isLoop.add(node);
    });
  }

  get entry(): N {
    return this.order[0] as N;
  }

  #at(node: N): number {
    return this.#number.get(node) as number;
  }

  #dominates(upper: number, lower: number): boolean {
    let at = lower;
    while (at > upper) at = this.#dominators[at] as number;
    return at === upper;
  }

  #successors(number: number): number[] {
    return (this.order[number] as N).successors.map((to) => this.#at(to as N));
  }

  /**
   * The loops of irreducible edges, by their heads: nodes that come after the head and from which control comes back to it.
   * Once no way leads into them but to the head, it dominates them.
   */
  knots(): Knot<N>[] {
    return this.order.flatMap((head, i) => {
      const back = (this.#predecessors[i] as readonly number[]).filter((from) => from >= i);
      if (back.every((from) => this.#dominates(i, from))) return [];
      const after = (at: number) => at > i;
      const [before, behind] = [
        closure(back.filter(after), (at) => (this.#predecessors[at] as number[]).filter(after)),
        closure(this.#successors(i).filter(after), (at) => this.#successors(at).filter(after)),
      ];
      const within = [...before].filter((at) => behind.has(at)).map((at) => this.order[at] as N);
      return [{ head, within: new Set(within) }];
    });
  }

  isLoop(node: N): boolean {
    return this.#isLoop.has(node);
  }

  /** Nodes to write after `node`'s block, last first: joins that it is the nearest common way to. */
  joinsOf(node: N): readonly N[] {
    const i = this.#at(node);
    return this.order.filter((other, j) => j !== i && this.#dominators[j] === i && this.#isJoin.has(other)).reverse();
  }

  edge(from: N, to: N): Edge<N> {
    const [i, j] = [this.#at(from), this.#at(to)];
    if (j <= i) return { kind: this.#dominates(j, i) ? "again" : "irreducible", to };
    return { kind: this.#isJoin.has(to) ? "join" : "inline", to };
  }
}

/** All that `next` leads to from these, with them. */
function closure(first: readonly number[], next: (number: number) => readonly number[]): Set<number> {
  const found = new Set<number>();
  const waiting = [...first];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (found.has(at)) continue;
    found.add(at);
    waiting.push(...next(at));
  }
  return found;
}

function reversePostorder<N extends GraphNode>(entry: N): N[] {
  const order: N[] = [];
  const seen = new Set<N>([entry]);
  // Each item is a node and how many of its successors have been visited.
  const stack: { node: N; next: number }[] = [{ node: entry, next: 0 }];
  while (stack.length > 0) {
    const top = stack.at(-1) as { node: N; next: number };
    const successor = top.node.successors[top.next++] as N | undefined;
    if (successor === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({ node: successor, next: 0 });
    }
  }
  return order.reverse();
}

/**
 * Immediate dominators of nodes numbered in reverse postorder; the first is its own.
 * @spec K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm" (2001)
 */
function dominators(predecessors: readonly (readonly number[])[]): number[] {
  const result: number[] = predecessors.map((_, i) => (i === 0 ? 0 : -1));
  const meet = (first: number, second: number): number => {
    let [a, b] = [first, second];
    while (a !== b) {
      while (a > b) a = result[a] as number;
      while (b > a) b = result[b] as number;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < predecessors.length; i++) {
      const known = (predecessors[i] as readonly number[]).filter((from) => (result[from] as number) >= 0);
      const found = known.reduce(meet);
      if (found !== result[i]) {
        result[i] = found;
        changed = true;
      }
    }
  }
  return result;
}
