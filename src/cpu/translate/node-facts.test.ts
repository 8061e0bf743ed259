/** Which registers a region loads first and stores at its ways out, by the flow of its nodes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlagState } from "./lazy-flags.ts";
import { gprBit, NodeFacts, neededFirst, spreadFacts, writtenAt, xmmBit } from "./node-facts.ts";

const [A, B, C, X] = [gprBit(0), gprBit(1), gprBit(15), xmmBit(15)];
const UNKNOWN: FlagState = { kind: "variables" };

interface Node {
  facts: NodeFacts;
  flags: FlagState;
  successors: Node[];
}
const node = (write: (facts: NodeFacts) => void, flags: FlagState = UNKNOWN): Node => {
  const facts = new NodeFacts();
  write(facts);
  return { facts, flags, successors: [] };
};

test("what only one of two ways writes may have been written where they meet, and is needed there", () => {
  const join = node((facts) => facts.reads(A | B));
  const left = node((facts) => facts.write(A | B, true));
  const right = node((facts) => facts.write(B | X, true));
  const entry = node((facts) => facts.write(C, false));
  entry.successors.push(left, right);
  left.successors.push(join);
  right.successors.push(join);
  spreadFacts(entry);
  const all = [entry, left, right, join].map(({ facts }) => facts);
  const point = join.facts.here(UNKNOWN);
  assert.equal(writtenAt(point), A | B | C | X);
  // B was written on both ways; C is written where that need not run.
  assert.equal(neededFirst(all, []), A);
  assert.equal(neededFirst(all, [point]), A | C | X);
});

test("what a loop's end writes may have been written at its start, whose flags may be of either kind", () => {
  const body = node((facts) => facts.write(A, true), { kind: "memory" });
  const head = node(() => {});
  const entry = node(() => {});
  entry.successors.push(head);
  head.successors.push(body);
  body.successors.push(head);
  spreadFacts(entry);
  assert.equal(writtenAt(head.facts.here(UNKNOWN)), A);
  assert.equal(
    neededFirst(
      [entry, head, body].map(({ facts }) => facts),
      [head.facts.here(UNKNOWN)],
    ),
    A,
  );
  // All is in memory as long as nobody has left flags elsewhere.
  assert.equal(head.facts.flagCodes, 1);
});

test("nodes that control does not come to need nothing", () => {
  const lost = node((facts) => facts.reads(B));
  const entry = node(() => {});
  spreadFacts(entry);
  assert.equal(neededFirst([entry.facts, lost.facts], [lost.facts.here(UNKNOWN)]), 0);
});
