import assert from "node:assert/strict";
import { test } from "node:test";
import { EscapeKeys } from "./escape-keys.ts";

/** Actions for what is typed in these pieces; bytes as text. */
function feed(...pieces: string[]): string[] {
  const keys = new EscapeKeys();
  return pieces
    .flatMap((piece) => keys.feed(Buffer.from(piece, "latin1")))
    .map((action) => (action.kind === "send" ? Buffer.from(action.bytes).toString("latin1") : `<${action.kind}>`));
}

test("what is typed goes to the guest byte for byte", () => {
  assert.deepEqual(feed("ls\r", "\x03\x1b[A\xff"), ["ls\r", "\x03\x1b[A\xff"]);
});

test("Ctrl-A X quits, in either case of the letter", () => {
  assert.deepEqual(feed("\x01x"), ["<quit>"]);
  assert.deepEqual(feed("\x01X"), ["<quit>"]);
});

test("Ctrl-A and its key may come apart", () => {
  assert.deepEqual(feed("\x01", "x"), ["<quit>"]);
  assert.deepEqual(feed("a\x01", "pb"), ["a", "<power-button>", "b"]);
});

test("Ctrl-A A and Ctrl-A Ctrl-A send one Ctrl-A", () => {
  assert.deepEqual(feed("\x01a\x01\x01x"), ["\x01", "\x01", "x"]);
});

test("Ctrl-A H and Ctrl-A ? list the keys", () => {
  assert.deepEqual(feed("\x01h\x01?"), ["<help>", "<help>"]);
});

test("a key without a meaning is swallowed with its Ctrl-A", () => {
  assert.deepEqual(feed("a\x01zb"), ["a", "b"]);
});

test("keys and text keep their order", () => {
  assert.deepEqual(feed("one\x01ptwo\x01hthree"), ["one", "<power-button>", "two", "<help>", "three"]);
});
