/** A region's guest instructions with the WebAssembly that came of each. */
import { disassembleBody, localsOf, readModule } from "../../wasm/disassemble.ts";
import type { CodeMark } from "../../wasm/emitter.ts";
import { fieldAddress, fieldNames, VCPU_BASE } from "../state.ts";

export interface RegionListing {
  /** A module with this one function: the region without code that counts. */
  readonly module: Uint8Array;
  /** What the code at a mark belongs to. */
  readonly notes: readonly string[];
  readonly marks: readonly CodeMark[];
  /** What local variables hold, by number; the others are of one instruction. */
  readonly locals: ReadonlyMap<number, string>;
}

/** Fields of the processor's state by their addresses. */
const FIELDS = new Map(fieldNames().map((name) => [fieldAddress(VCPU_BASE, name), name]));

/** Lines of text; offsets are those in the function's body, as in V8's own listings. */
export function listRegion({ module, notes, marks, locals }: RegionListing): string[] {
  const { names, functions } = readModule(module);
  const body = functions[0]?.body ?? new Uint8Array();
  const lines = [`local variables: ${localText(body)}`];
  const left = [...marks];
  for (const { at, text, depth } of disassembleBody(body, names)) {
    while (left[0] !== undefined && left[0].at <= at) {
      const mark = left.shift() as CodeMark;
      // One of which nothing was emitted here: what it computes is needed later, or never.
      const isEmpty = left[0]?.at === mark.at;
      lines.push(`${hex(mark.at)}  ${notes[mark.note]}${isEmpty ? "  (no code here)" : ""}`);
    }
    const what = meaningOf(text, locals);
    lines.push(`        ${"  ".repeat(depth)}${text}${what === undefined ? "" : `  ;; ${what}`}`);
  }
  return lines;
}

/** What an instruction is about, as far as its own text tells. */
function meaningOf(text: string, locals: ReadonlyMap<number, string>): string | undefined {
  const [, local] = /^local\.\w+ (\d+)$/.exec(text) ?? [];
  if (local !== undefined) return locals.get(Number(local));
  const [, offset] = /^[fiv]\d+\.(?:load|store)\w* offset=(\w+)$/.exec(text) ?? [];
  return offset === undefined ? undefined : FIELDS.get(Number(offset));
}

/** "1-3 i32, 4 i64" */
function localText(body: Uint8Array): string {
  const runs: { type: string; first: number; last: number }[] = [];
  localsOf(body).forEach((type, i) => {
    const run = runs.at(-1);
    if (run?.type === type) run.last = i + 1;
    else runs.push({ type, first: i + 1, last: i + 1 });
  });
  return runs.map(({ type, first, last }) => `${first === last ? first : `${first}-${last}`} ${type}`).join(", ");
}

const hex = (offset: number) => offset.toString(16).padStart(6, "0");

/** Bytes of the region's function. */
export function sizeOfListed({ module }: RegionListing): number {
  return readModule(module).functions[0]?.body.length ?? 0;
}
