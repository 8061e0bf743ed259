/** What a region's nodes have changed and left, which its ways in and out must know: worked out along its flow. */
import { CODE_OF_MEMORY, type FlagState, flagCode } from "./lazy-flags.ts";

/** Bits of XMM registers in a set of registers: those of general ones are below. */
const FIRST_XMM = 16;

export const gprBit = (index: number): number => 1 << index;
export const xmmBit = (index: number): number => 1 << (FIRST_XMM + index);

/** Sets of registers, as bits. */
interface Written {
  /** May have been written. */
  written: number;
  /** Have been written, whichever way control came. */
  surely: number;
}

export class NodeFacts {
  /** By its code, so far. */
  readonly own: Written = { written: 0, surely: 0 };
  /** When control comes to it. */
  readonly before: Written = { written: 0, surely: -1 };
  /** Registers that it has read, where it had not surely written them. */
  read = 0;
  /** Codes that the flags' variables may hold when control comes to it (lazy-flags.ts), as bits. */
  flagCodes = 0;

  write(register: number, surely: boolean): void {
    this.own.written |= register;
    if (surely) this.own.surely |= register;
  }

  reads(register: number): void {
    this.read |= register & ~this.own.surely;
  }

  /** The place that its code has come to, with flags as they are there. */
  here(flags: FlagState): Point {
    return { facts: this, ...this.own, flags };
  }
}

/** A place in a node's code: what the node has written by then, and what flags follow from. */
export interface Point extends Written {
  readonly facts: NodeFacts;
  readonly flags: FlagState;
}

/** Registers that may have been written when control comes to a point. */
export const writtenAt = ({ facts, written }: Point): number => facts.before.written | written;

interface FlowNode {
  readonly facts: NodeFacts;
  /** Flags at its end. */
  readonly flags: FlagState;
  readonly successors: readonly FlowNode[];
}

/** Completes the facts of all nodes that control comes to from `entry`, all of them being built. */
export function spreadFacts(entry: FlowNode): void {
  entry.facts.flagCodes |= 1 << CODE_OF_MEMORY;
  entry.facts.before.surely = 0;
  const changed = [entry];
  for (let node = changed.pop(); node; node = changed.pop()) {
    const { own, before, flagCodes } = node.facts;
    const code = flagCode(node.flags);
    const written = before.written | own.written;
    const surely = before.surely | own.surely;
    const codes = code === undefined ? flagCodes : 1 << code;
    for (const { facts, ...successor } of node.successors) {
      const next = facts.before;
      if ((written & ~next.written) === 0 && (next.surely & ~surely) === 0 && (codes & ~facts.flagCodes) === 0)
        continue;
      next.written |= written;
      next.surely &= surely;
      facts.flagCodes |= codes;
      changed.push({ facts, ...successor });
    }
  }
}

/** Registers of which some code, or a way out at one of `points`, needs what they held when the region was entered. */
export function neededFirst(nodes: Iterable<NodeFacts>, points: Iterable<Point>): number {
  let needed = 0;
  for (const { read, before } of nodes) needed |= read & ~before.surely;
  for (const point of points) needed |= writtenAt(point) & ~(point.facts.before.surely | point.surely);
  return needed;
}
