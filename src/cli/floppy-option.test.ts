import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFloppy } from "./floppy-option.ts";

test("a floppy is a file, with settings, or an empty drive", () => {
  assert.deepEqual(parseFloppy("a.img"), { disk: { file: "a.img", readOnly: false, snapshot: false } });
  assert.deepEqual(parseFloppy("a,,b.img,readonly=on,type=2.88M"), {
    disk: { file: "a,b.img", readOnly: true, snapshot: false },
    type: "2.88M",
  });
  assert.deepEqual(parseFloppy("none"), {});
  assert.deepEqual(parseFloppy("none,type=1.2M"), { type: "1.2M" });
});

test("mistakes are told with what to change", () => {
  for (const [text, says] of [
    ["", /names no file/],
    ["a.img,size=3", /"size=3" is no setting of a floppy; known are readonly=, snapshot=, type=/],
    ["a.img,type=8inch", /must be one of 360K, 1.2M, 720K, 1.44M, 2.88M/],
    ["a.img,readonly", /needs a value, such as readonly=on/],
    ["a.img,readonly=yes", /must be readonly=on or readonly=off/],
    ["a.img,readonly=on,readonly=on", /given twice/],
    ["none,readonly=on", /an empty drive has no such setting/],
  ] as const) {
    assert.throws(() => parseFloppy(text), { name: "CliError", message: says });
  }
});
