/**
 * Copies of small loops: in a large region the body of one is there several times in a row, so that accesses of one turn
 * and the next share their look for a page (access-groups.ts), and what every turn costs is paid once in several.
 * Which copy a node belongs to is a part of what tells nodes; whichever it is, the node does the same.
 */

/** A copy of a loop's body, other than the first: nodes from distance `head` on, before `end`. */
export interface LoopCopy {
  readonly head: number;
  readonly end: number;
  readonly number: number;
}

/** What tells a node of a region. */
export interface Place {
  /** Distance of its first instruction from where the region begins. */
  readonly delta: number;
  /** Where the calls that led to it go on, the last first. */
  readonly calls: readonly number[];
  readonly copy: LoopCopy | undefined;
}

/** Bytes of code that a loop's copies have together, and how many they are with the first, at the most. */
const MOST_BYTES = 96;
const MOST_COPIES = 4;
/** Nodes of one turn at the most. */
const MOST_NODES = 3;

/**
 * The copy that `to` is to be in, for control that comes from the end of the node at `from`, before the distance `next`, within
 * one subroutine. `isPlain`: whether control leaves a node of the region forwards, by a jump or a branch.
 */
export function copyAfter<N extends Place>(
  from: Place,
  next: number,
  to: number,
  nodes: Iterable<N>,
  isPlain: (node: N) => boolean,
): LoopCopy | undefined {
  const { copy } = from;
  if (to > from.delta) return copy && to < copy.end ? copy : undefined;
  if (copy && to !== copy.head) return to > copy.head ? copy : undefined;
  if (!copy && !isSmallLoop(from, to, nodes, isPlain)) return undefined;
  const number = (copy?.number ?? 0) + 1;
  return number < Math.min(MOST_COPIES, MOST_BYTES / (next - to)) ? { head: to, end: next, number } : undefined;
}

/**
 * Whether the turn from `head` to the node `last` has few nodes, all of them plain: a loop within it is better off with copies of
 * its own.
 */
function isSmallLoop<N extends Place>(
  last: Place,
  head: number,
  nodes: Iterable<N>,
  isPlain: (node: N) => boolean,
): boolean {
  const calls = last.calls.join();
  let count = 1;
  for (const node of nodes) {
    if (node.delta < head || node.delta >= last.delta || node.copy || node.calls.join() !== calls) continue;
    if (!isPlain(node)) return false;
    count++;
  }
  return count <= MOST_NODES;
}
