/** Z and z packets: "TYPE,ADDRESS,KIND". @spec Debugging with GDB, E.2 "Packets" */
import type { BreakpointKind, DebugTarget } from "./debug-target.ts";
import { parseRange } from "./hex.ts";
import { ERROR, OK, UNKNOWN } from "./replies.ts";

const KINDS: readonly BreakpointKind[] = ["software", "hardware", "write", "read", "access"];
/** Bytes that one watchpoint may cover. */
const MOST_WATCHED = 0x10_0000;

export class BreakpointCommands {
  readonly #target: DebugTarget;

  constructor(target: DebugTarget) {
    this.#target = target;
  }

  insert(text: string): string {
    return this.#apply(text, (...breakpoint) => (this.#target.insertBreakpoint(...breakpoint) ? OK : ERROR.noRoom));
  }

  remove(text: string): string {
    return this.#apply(text, (...breakpoint) => {
      this.#target.removeBreakpoint(...breakpoint);
      return OK;
    });
  }

  #apply(text: string, act: (kind: BreakpointKind, address: bigint, length: number) => string): string {
    const kind = /^[0-4],/.test(text) ? KINDS[Number(text.charAt(0))] : undefined;
    if (kind === undefined) return UNKNOWN;
    const range = parseRange(text.slice(2), MOST_WATCHED);
    if (range === undefined || range.length === 0) return ERROR.invalid;
    const isCode = kind === "software" || kind === "hardware";
    // What KIND says of a breakpoint on code is the length of the instruction that gdb would put there.
    return act(kind, range.address, isCode ? 1 : range.length);
  }
}
