import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { abridged, COLUMNS, terminalSvg, visibleLines } from "../../scripts/terminal-svg.ts";
import { ROOT } from "./guide.ts";

const textOf = (svg: string) => [...svg.matchAll(/<text [^>]*>(.*)<\/text>/g)].map(([, text = ""]) => text);

test("what steers a terminal is not shown", () => {
  assert.deepEqual(visibleLines("\x1b[1mname\t: x\x1b[0m  \r\n~# \x1b[6nls\r\n"), ["name    : x", "~# ls", ""]);
});

test("lines left out are counted", () => {
  const lines = ["a", "b", "c", "d", "e"];
  assert.deepEqual(abridged(lines, 1, 2), ["a", "⋮ 2 lines", "d", "e"]);
  assert.deepEqual(abridged(lines, 2, 2), lines);
});

test("text stays text: escaped, and cut with a mark at the last column", () => {
  const [first, second] = textOf(terminalSvg("t", ["a < b & c", "x".repeat(COLUMNS + 1)]));
  assert.equal(first, "a &lt; b &amp; c");
  assert.equal(second, `${"x".repeat(COLUMNS - 1)}…`);
});

test("docs/boot.svg shows npm start, a kernel's first line and a shell that was used", () => {
  const text = textOf(readFileSync(path.join(ROOT, "docs/boot.svg"), "utf8"))
    .join("\n")
    .replaceAll(/<[^>]*>/g, "");
  assert.match(text, /^\$ npm start$/m);
  assert.match(text, /^\[ +0\.000000\] Linux version \d/m);
  assert.match(text, /^root@bunkhouse:~# uname/m);
});
