/**
 * Keyboard layouts, to type text: which keys make a character where the guest has this layout.
 *
 * @spec xkeyboard-config, symbols us, gb, de, fr (the basic variants)
 */
import type { KeyChange } from "./guest-input.ts";

export const LAYOUTS = ["us", "gb", "de", "fr"] as const;
export type Layout = (typeof LAYOUTS)[number];

/** Keys from the top left on, as the strings of the layouts list them. */
const KEYS = [
  "Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal",
  "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight",
  "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backslash",
  "IntlBackslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash",
]
  .join(" ")
  .split(" ");

/** What each key gives alone, with Shift and with AltGr; a space where that is nothing or a dead key. */
interface Table {
  readonly plain: string;
  readonly shift: string;
  readonly altGr?: string;
  /** Characters that need the space bar after a dead key. */
  readonly dead?: Readonly<Record<string, { key: string; shift: boolean }>>;
}

const TABLES: Readonly<Record<Layout, Table>> = {
  us: {
    plain: "`1234567890-=" + "qwertyuiop[]" + "asdfghjkl;'\\" + " zxcvbnm,./",
    shift: "~!@#$%^&*()_+" + "QWERTYUIOP{}" + 'ASDFGHJKL:"|' + " ZXCVBNM<>?",
  },
  gb: {
    plain: "`1234567890-=" + "qwertyuiop[]" + "asdfghjkl;'#" + "\\zxcvbnm,./",
    shift: '¬!"£$%^&*()_+' + "QWERTYUIOP{}" + "ASDFGHJKL:@~" + "|ZXCVBNM<>?",
    altGr: "    €        " + "            " + "            " + "           ",
  },
  de: {
    plain: " 1234567890ß " + "qwertzuiopü+" + "asdfghjklöä#" + "<yxcvbnm,.-",
    shift: '°!"§$%&/()=? ' + "QWERTZUIOPÜ*" + "ASDFGHJKLÖÄ'" + ">YXCVBNM;:_",
    altGr: "  ²³   {[]}\\ " + "@ €        ~" + "            " + "|           ",
    dead: {
      "^": { key: "Backquote", shift: false },
      "´": { key: "Equal", shift: false },
      "`": { key: "Equal", shift: true },
    },
  },
  fr: {
    plain: "²&é\"'(-è_çà)=" + "azertyuiop $" + "qsdfghjklmù*" + "<wxcvbn,;:!",
    shift: "~1234567890°+" + "AZERTYUIOP £" + "QSDFGHJKLM%µ" + ">WXCVBN?./§",
    altGr: "  ~#{[|`\\^@]}" + "  €         " + "            " + "           ",
    dead: { "¨": { key: "BracketLeft", shift: true } },
  },
};

/** Keys that are the same everywhere. */
const EVERYWHERE: readonly (readonly [string, string])[] = [
  [" ", "Space"],
  ["\n", "Enter"],
  ["\r", "Enter"],
  ["\t", "Tab"],
  ["\b", "Backspace"],
  ["\x1b", "Escape"],
];

/** How a character is made: keys to hold, the key, and whether the space bar follows. */
export interface Stroke {
  readonly hold: "ShiftLeft" | "AltRight" | undefined;
  readonly key: string;
  readonly thenSpace: boolean;
}

function strokes({ plain, shift, altGr = "", dead = {} }: Table): Map<string, Stroke> {
  const map = new Map<string, Stroke>();
  const add = (characters: string, hold: Stroke["hold"]) =>
    [...characters].forEach((character, i) => {
      if (character !== " " && !map.has(character))
        map.set(character, { hold, key: KEYS[i] as string, thenSpace: false });
    });
  for (const [character, key] of EVERYWHERE) map.set(character, { hold: undefined, key, thenSpace: false });
  add(plain, undefined);
  add(shift, "ShiftLeft");
  add(altGr, "AltRight");
  for (const [character, { key, shift: held }] of Object.entries(dead)) {
    if (!map.has(character)) map.set(character, { hold: held ? "ShiftLeft" : undefined, key, thenSpace: true });
  }
  return map;
}

const STROKES = new Map<Layout, Map<string, Stroke>>(LAYOUTS.map((layout) => [layout, strokes(TABLES[layout])]));

/** How `character` is made; undefined where the layout has it not. */
export const strokeOf = (character: string, layout: Layout): Stroke | undefined => STROKES.get(layout)?.get(character);

export class TypingError extends Error {
  override readonly name = "TypingError";
}

/** The keys that type `text`. Throws TypingError where a character is on no key of the layout. */
export function typedText(text: string, layout: Layout = "us"): KeyChange[] {
  const changes: KeyChange[] = [];
  const tap = (code: string) => changes.push({ code, down: true }, { code, down: false });
  for (const character of text.replaceAll("\r\n", "\n")) {
    const stroke = strokeOf(character, layout);
    if (stroke === undefined) {
      const shown = `${JSON.stringify(character)} (U+${character.codePointAt(0)?.toString(16).padStart(4, "0")})`;
      const others = LAYOUTS.filter((other) => strokeOf(character, other) !== undefined);
      const remedy = others.length > 0 ? `it is in ${others.join(", ")}` : "no layout here has it";
      throw new TypingError(`the character ${shown} is on no key of the layout "${layout}"; ${remedy}`);
    }
    if (stroke.hold) changes.push({ code: stroke.hold, down: true });
    tap(stroke.key);
    if (stroke.hold) changes.push({ code: stroke.hold, down: false });
    if (stroke.thenSpace) tap("Space");
  }
  return changes;
}
