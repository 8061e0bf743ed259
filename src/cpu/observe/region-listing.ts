/** A region's guest instructions with the WebAssembly that came of each. */
import { disassembleBody, localsOf, readModule } from "../../wasm/disassemble.ts";
import type { CodeMark } from "../../wasm/emitter.ts";

export interface RegionListing {
  /** A module with this one function: the region without code that counts. */
  readonly module: Uint8Array;
  /** What the code at a mark belongs to. */
  readonly notes: readonly string[];
  readonly marks: readonly CodeMark[];
}

/** Lines of text; offsets are those in the function's body, as in V8's own listings. */
export function listRegion({ module, notes, marks }: RegionListing): string[] {
  const { names, functions } = readModule(module);
  const body = functions[0]?.body ?? new Uint8Array();
  const locals = localsOf(body);
  const lines = [`locals: ${locals.map((type, i) => `${i + 1} ${type}`).join(", ")}`];
  const left = [...marks];
  for (const { at, text, depth } of disassembleBody(body, names)) {
    while (left[0] !== undefined && left[0].at <= at) {
      const mark = left.shift() as CodeMark;
      // One of which nothing was emitted here: what it computes is needed later, or never.
      const isEmpty = left[0]?.at === mark.at;
      lines.push(`${hex(mark.at)}  ${notes[mark.note]}${isEmpty ? "  (no code here)" : ""}`);
    }
    lines.push(`        ${"  ".repeat(depth)}${text}`);
  }
  return lines;
}

const hex = (offset: number) => offset.toString(16).padStart(6, "0");

/** Bytes of the region's function. */
export function sizeOfListed({ module }: RegionListing): number {
  return readModule(module).functions[0]?.body.length ?? 0;
}
