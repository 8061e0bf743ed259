import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSize } from "./size.ts";

test("sizes are bytes with a binary suffix", () => {
  assert.equal(parseSize("512M"), 512 * 1024 ** 2);
  assert.equal(parseSize("3g"), 3 * 1024 ** 3);
  assert.equal(parseSize("1.5GiB"), 1.5 * 1024 ** 3);
  assert.equal(parseSize("4096"), 4096);
});

test("what is no size gives undefined", () => {
  for (const text of ["", "M", "12X", "-1M", "1e6", "0.3"]) assert.equal(parseSize(text), undefined, text);
});
