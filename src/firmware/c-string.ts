/** Text as guests read it: UTF-8 bytes that end in a zero byte. */
import { BootError } from "./boot-error.ts";
import { concat } from "./concat.ts";

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  const out: number[] = [];
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x1_0000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else {
      out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    }
  }
  return Uint8Array.from(out);
}

/** `text` as zero-terminated UTF-8; throws BootError where it has a zero character of its own. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new BootError("bad-argument", "a command line cannot hold a zero character");
  return concat(utf8(text), [0]);
}

/** The characters from `at` to the first zero byte, at most `limit` of them; bytes are taken as Latin-1. */
export function textAt(bytes: Uint8Array, at: number, limit: number): string {
  const end = Math.min(bytes.length, at + limit);
  let text = "";
  for (let i = at; i < end && bytes[i] !== 0; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}
