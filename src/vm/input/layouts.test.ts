import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { KEYS } from "../../device/i8042/scan-codes.ts";
import { keyByKeysym, keyByName, keyBySet1, keyNames } from "./key-names.ts";
import { LAYOUTS, type Layout, strokeOf, TypingError, typedText } from "./layouts.ts";

const XKB = "/usr/share/X11/xkb/symbols";

/** Rows of keys by XKB's names, from AE01 and so on. */
const ROWS: Readonly<Record<string, string>> = {
  AE: "Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal",
  AD: "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight",
  AC: "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote",
  AB: "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash",
};
const OTHERS: Readonly<Record<string, string>> = { TLDE: "Backquote", BKSL: "Backslash", LSGT: "IntlBackslash" };
const codeOf = (xkb: string) => OTHERS[xkb] ?? ROWS[xkb.slice(0, 2)]?.split(" ")[Number(xkb.slice(2)) - 1];

/** Names of keysyms for the characters that the layouts have; letters and digits are themselves. */
const CHARACTERS = (
  "grave ` asciitilde ~ exclam ! at @ numbersign # dollar $ percent % asciicircum ^ ampersand & asterisk * " +
  "parenleft ( parenright ) minus - underscore _ equal = plus + bracketleft [ braceleft { bracketright ] braceright } " +
  "semicolon ; colon : apostrophe ' quotedbl \" backslash \\ bar | comma , less < period . greater > slash / " +
  "question ? notsign ¬ sterling £ EuroSign € degree ° section § ssharp ß udiaeresis ü Udiaeresis Ü odiaeresis ö " +
  "Odiaeresis Ö adiaeresis ä Adiaeresis Ä twosuperior ² threesuperior ³ eacute é egrave è ccedilla ç agrave à " +
  "ugrave ù mu µ"
).split(" ");
const KEYSYMS = new Map(
  CHARACTERS.flatMap((name, i) => (i % 2 === 0 ? [[name, CHARACTERS[i + 1]]] : [])) as [string, string][],
);

/** What each key gives in XKB: unshifted, shifted, with AltGr. */
function xkb(file: string, section: string): Map<string, (string | undefined)[]> {
  const text = readFileSync(`${XKB}/${file}`, "latin1");
  const start = text.indexOf(`xkb_symbols "${section}"`);
  const body = text.slice(start, text.indexOf("\n};", start));
  // As on keyboards of 105 keys, in the symbols "pc".
  const keys = new Map<string, (string | undefined)[]>([["IntlBackslash", ["<", ">", "|"]]]);
  for (const match of body.matchAll(
    /include\s+"(\w+)(?:\((\w+)\))?"|key\s+<(\w+)>\s*\{(?:[^}[]|\[Group1\])*\[([^\]]*)\]/g,
  )) {
    const [, included, variant = "basic", key, symbols = ""] = match;
    if (included !== undefined && !["level3", "kpdl"].includes(included)) {
      for (const [code, levels] of xkb(included, variant)) keys.set(code, levels);
    }
    const code = key === undefined ? undefined : codeOf(key);
    if (code === undefined) continue;
    const levels = symbols
      .split(",")
      .map((symbol) => KEYSYMS.get(symbol.trim()) ?? (/^\s*\S\s*$/.test(symbol) ? symbol.trim() : undefined));
    keys.set(code, levels);
  }
  return keys;
}

for (const layout of LAYOUTS) {
  const options = existsSync(`${XKB}/us`) ? {} : { skip: "needs the package xkb-data" };
  test(`the layout ${layout} has its characters where xkeyboard-config has them`, options, () => {
    const keys = xkb(layout, "basic");
    let compared = 0;
    for (let code = 0x21; code < 0x2100; code++) {
      const character = String.fromCharCode(code);
      const stroke = strokeOf(character, layout);
      if (stroke === undefined || stroke.thenSpace) continue;
      const level = stroke.hold === undefined ? 0 : stroke.hold === "ShiftLeft" ? 1 : 2;
      assert.equal(keys.get(stroke.key)?.[level], character, `${character} on ${stroke.key}, level ${level}`);
      compared++;
    }
    assert.ok(compared >= 94, `${compared} characters`);
  });

  test(`every character of ASCII can be typed with the layout ${layout}`, () => {
    for (let code = 0x20; code < 0x7f; code++) typedText(String.fromCharCode(code), layout as Layout);
  });
}

test("a dead key is followed by the space bar", () => {
  const codes = typedText("^", "de").map(({ code, down }) => `${down ? "+" : "-"}${code}`);
  assert.deepEqual(codes, ["+Backquote", "-Backquote", "+Space", "-Space"]);
});

test("a character of no key is refused with the layouts that have it", () => {
  assert.throws(
    () => typedText("ä"),
    (error) => {
      assert.ok(error instanceof TypingError);
      assert.equal(error.message, 'the character "ä" (U+00e4) is on no key of the layout "us"; it is in de');
      return true;
    },
  );
  assert.throws(() => typedText("語"), /no layout here has it/);
});

test("every key of the keyboard has a name, and every name a key", () => {
  for (const code of KEYS.keys()) assert.equal(keyByName(code.toUpperCase()), code);
  for (const name of keyNames()) assert.ok(KEYS.has(keyByName(name)!), name);
});

test("scan codes and keysyms find their keys", () => {
  for (const code of KEYS.keys()) {
    const codes = Array.from({ length: 256 }, (_, scanCode) => scanCode).filter((s) => keyBySet1(s) === code);
    assert.equal(codes.length, code === "PrintScreen" ? 2 : 1, code);
  }
  assert.deepEqual([0x1d, 0x9d, 0xc6, 0xb7, 0x45, 0x56].map(keyBySet1), [
    "ControlLeft",
    "ControlRight",
    "Pause",
    "PrintScreen",
    "NumLock",
    "IntlBackslash",
  ]);
  assert.deepEqual([0xffbe, 0xffc9, 0xff0d, 0xffb7, 0xfe03].map(keyByKeysym), [
    "F1",
    "F12",
    "Enter",
    "Numpad7",
    "AltRight",
  ]);
});
