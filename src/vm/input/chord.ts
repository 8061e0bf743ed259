/** Keys that are pressed together, as people write them: "ctrl-alt-delete". */
import type { KeyChange } from "./guest-input.ts";
import { keyByName, keyNames } from "./key-names.ts";
import { strokeOf, TypingError } from "./layouts.ts";

/** Keys of one chord at the most. */
const MOST_KEYS = 8;

/**
 * The changes of a chord: its keys go down from the first on and up from the last on. Names as QEMU's sendkey has them,
 * as `KeyboardEvent.code`, everyday ones ("enter", "win"), or the character on a key of the US layout; "-" or "+"
 * between them. Throws TypingError where one is no key.
 */
export function chord(text: string): KeyChange[] {
  const codes = text.length === 1 ? [keyOf(text, text)] : text.split(/[-+]/).map((name) => keyOf(name, text));
  if (codes.length > MOST_KEYS) throw new TypingError(`"${text}" is more than ${MOST_KEYS} keys at once`);
  return [...codes.map((code) => ({ code, down: true })), ...codes.toReversed().map((code) => ({ code, down: false }))];
}

function keyOf(name: string, chordText: string): string {
  const stroke = name.length === 1 ? strokeOf(name, "us") : undefined;
  const code = keyByName(name) ?? (stroke?.hold === undefined ? stroke?.key : undefined);
  if (code !== undefined) return code;
  const near = keyNames().filter((known) => name.length > 1 && known.startsWith(name.toLowerCase().slice(0, 3)));
  const hint =
    near.length > 0 ? `; there are ${near.slice(0, 6).join(", ")}` : "; names are as in ctrl-alt-delete, f2, ret, a";
  throw new TypingError(`"${name}"${name === chordText ? "" : ` in "${chordText}"`} is no key${hint}`);
}
