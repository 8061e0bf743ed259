/** Any graph of nodes is written as nested blocks and loops that control takes as it would the graph. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { FlowGraph, type GraphNode } from "./flow-graph.ts";

interface Node extends GraphNode {
  readonly name: number;
  readonly successors: Node[];
}

/** A graph of `count` nodes; where `jumpsBack` is false, none leads to one before it. */
function randomGraph(random: SeededRandom, count: number, jumpsBack: boolean): Node {
  const nodes: Node[] = Array.from({ length: count }, (_, name) => ({ name, successors: [] }));
  nodes.forEach((node, i) => {
    const first = jumpsBack ? 0 : i + 1;
    for (let edges = random.below(4); edges > 0 && first < count; edges--) {
      node.successors.push(nodes[first + random.below(count - first)] as Node);
    }
    // Most graphs hold together.
    const next = nodes[i + 1];
    if (next && random.below(3) > 0 && !node.successors.includes(next)) node.successors.push(next);
  });
  return nodes[0] as Node;
}

function reachable(entry: Node, without?: Node): Set<Node> {
  const seen = new Set<Node>();
  const visit = (node: Node): void => {
    if (node === without || seen.has(node)) return;
    seen.add(node);
    node.successors.forEach(visit);
  };
  visit(entry);
  return seen;
}

/** By definition: `upper` is on every way to `lower`. */
const dominates = (entry: Node, upper: Node, lower: Node): boolean =>
  upper === lower || !reachable(entry, upper).has(lower);

type Statement =
  | { readonly kind: "block" | "loop"; readonly label: object; readonly body: readonly Statement[] }
  | { readonly kind: "node"; readonly node: Node; readonly exits: ReadonlyMap<Node, readonly Statement[]> }
  | { readonly kind: "branch"; readonly label: object }
  | { readonly kind: "leave" };

/** Writes a graph as `RegionWriter` does (region.ts). */
function write(graph: FlowGraph<Node>, entry: Node): { statements: readonly Statement[]; written: Node[] } {
  const loops = new Map<Node, object>();
  const joins = new Map<Node, object>();
  const written: Node[] = [];
  const writeNode = (node: Node): Statement[] => {
    written.push(node);
    const ahead = graph.joinsOf(node);
    for (const join of ahead) joins.set(join, {});
    if (!graph.isLoop(node)) return nest(node, ahead);
    const label = {};
    loops.set(node, label);
    return [{ kind: "loop", label, body: nest(node, ahead) }];
  };
  const nest = (node: Node, [last, ...others]: readonly Node[]): Statement[] => {
    if (last === undefined) {
      return [{ kind: "node", node, exits: new Map(node.successors.map((to) => [to, follow(node, to)])) }];
    }
    const body = nest(node, others);
    return [{ kind: "block", label: joins.get(last) as object, body }, ...writeNode(last)];
  };
  const follow = (from: Node, to: Node): Statement[] => {
    switch (graph.edge(from, to).kind) {
      case "again":
        return [{ kind: "branch", label: loops.get(to) as object }];
      case "join":
        return [{ kind: "branch", label: joins.get(to) as object }];
      case "inline":
        return writeNode(to);
      case "irreducible":
        return [{ kind: "leave" }];
    }
  };
  return { statements: writeNode(entry), written };
}

/** Runs what was written for some nodes; `choose` says where control goes on. Returns the nodes that it came to. */
function run(statements: readonly Statement[], choose: (node: Node) => Node | undefined, steps: number): Node[] {
  const path: Node[] = [];
  const labels: object[] = [];
  /** The label that control leaves for, undefined at the end. */
  const execute = (list: readonly Statement[]): object | undefined | "end" => {
    for (const statement of list) {
      switch (statement.kind) {
        case "leave":
          return "end";
        case "branch":
          assert.ok(labels.includes(statement.label), "a branch goes to what encloses it");
          return statement.label;
        case "node": {
          path.push(statement.node);
          const next = path.length < steps ? choose(statement.node) : undefined;
          if (next === undefined) return "end";
          return execute(statement.exits.get(next) as readonly Statement[]);
        }
        default: {
          labels.push(statement.label);
          let left = execute(statement.body);
          while (statement.kind === "loop" && left === statement.label) left = execute(statement.body);
          labels.pop();
          if (left !== statement.label) return left;
        }
      }
    }
    return "end";
  };
  execute(statements);
  return path;
}

const GRAPHS = 400;

/** Calls `visit` with random graphs, without loops and with. */
function eachGraph(visit: (entry: Node, graph: FlowGraph<Node>, random: SeededRandom) => void): void {
  for (let seed = 1; seed <= GRAPHS; seed++) {
    const random = new SeededRandom(seed * 0x9e37_79b1);
    const entry = randomGraph(random, 1 + random.below(14), seed % 3 > 0);
    visit(entry, new FlowGraph(entry), random);
  }
}

test("nodes that can be reached are ordered so that only jumps back in a loop lead to one before", () => {
  eachGraph((entry, graph) => {
    assert.deepEqual(new Set(graph.order), reachable(entry));
    assert.equal(graph.order.length, new Set(graph.order).size);
    assert.equal(graph.order[0], entry);
  });
});

test("a loop starts where a jump back comes from what it leads to on every way", () => {
  eachGraph((entry, graph) => {
    for (const node of graph.order) {
      const isLoop = graph.order.some((from) => from.successors.includes(node) && dominates(entry, node, from));
      assert.equal(graph.isLoop(node), isLoop);
    }
  });
});

test("an edge is told apart as the dominators say", () => {
  eachGraph((entry, graph) => {
    const number = (node: Node) => graph.order.indexOf(node);
    for (const from of graph.order) {
      for (const to of from.successors) {
        const { kind } = graph.edge(from, to);
        if (number(to) <= number(from)) assert.equal(kind, dominates(entry, to, from) ? "again" : "irreducible");
        else {
          const ways = graph.order
            .filter((other) => number(other) < number(to))
            .flatMap(({ successors }) => successors.filter((successor) => successor === to));
          assert.equal(kind, ways.length > 1 ? "join" : "inline");
        }
      }
    }
  });
});

test("a knot is what comes after its head and leads back to it, and comes undone where all ways into it lead to the head", () => {
  let undone = 0;
  eachGraph((entry, graph) => {
    const number = (node: Node) => graph.order.indexOf(node);
    const isUntied = (from: Node, to: Node, all: FlowGraph<Node>) => all.edge(from, to).kind === "irreducible";
    const heads = graph.order.filter((node) =>
      graph.order.some((from) => from.successors.includes(node) && isUntied(from, node, graph)),
    );
    assert.deepEqual(
      graph.knots().map(({ head }) => head),
      heads,
    );
    for (const { head, within } of graph.knots()) {
      for (const node of within) {
        assert.ok(number(node) > number(head));
        assert.ok(reachable(head).has(node) && reachable(node).has(head));
      }
      // Without the other ways in, rather than with copies behind them.
      const without = new Map(graph.order.map((node): [Node, Node] => [node, { name: node.name, successors: [] }]));
      for (const [node, cut] of without) {
        const isOutside = node !== head && !within.has(node);
        for (const to of node.successors) {
          if (!isOutside || !within.has(to)) cut.successors.push(without.get(to) as Node);
        }
      }
      const rest = new FlowGraph(without.get(entry) as Node);
      const cutHead = without.get(head) as Node;
      if (!rest.order.includes(cutHead)) continue;
      for (const node of within) {
        const cut = without.get(node) as Node;
        if (rest.order.includes(cut) && cut.successors.includes(cutHead)) assert.ok(!isUntied(cut, cutHead, rest));
      }
      undone++;
    }
  });
  assert.ok(undone > 20);
});

test("each node is written once", () => {
  eachGraph((entry, graph) => {
    const { written } = write(graph, entry);
    assert.deepEqual(new Set(written), new Set(graph.order));
    assert.equal(written.length, graph.order.length);
  });
});

test("what is written takes every way that the graph has, up to jumps into loops", () => {
  let longest = 0;
  eachGraph((entry, graph, random) => {
    const { statements } = write(graph, entry);
    for (let walk = 0; walk < 20; walk++) {
      const expected: Node[] = [entry];
      const choices: (Node | undefined)[] = [];
      while (expected.length < 40) {
        const at = expected.at(-1) as Node;
        const next = at.successors.length > 0 ? random.pick(at.successors) : undefined;
        choices.push(next);
        if (next === undefined || graph.edge(at, next).kind === "irreducible") break;
        expected.push(next);
      }
      let taken = 0;
      assert.deepEqual(
        run(statements, () => choices[taken++], 40),
        expected,
      );
      longest = Math.max(longest, expected.length);
    }
  });
  assert.equal(longest, 40);
});
