import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./failure.ts";
import { parseTrace } from "./trace-option.ts";

const message = (text: string): string => {
  try {
    parseTrace(text);
  } catch (error) {
    assert.ok(error instanceof CliError);
    return error.message;
  }
  return "";
};

test("a trace goes to a file, without blocks and devices, from the start", () => {
  assert.deepEqual(parseTrace("t.txt"), {
    file: "t.txt",
    blocks: false,
    devices: false,
    from: 0,
    to: Number.POSITIVE_INFINITY,
    every: 1_000_000,
    size: 256 * 2 ** 20,
  });
});

test("settings follow the file's name, whose commas are doubled", () => {
  assert.deepEqual(parseTrace("a,,b,blocks=on,devices=on,from=5,to=9,every=2,size=1K"), {
    file: "a,b",
    blocks: true,
    devices: true,
    from: 5,
    to: 9,
    every: 2,
    size: 1024,
  });
});

test("what is wrong is said with what may stand there", () => {
  assert.match(message(""), /names no file/);
  assert.match(message("t,block=on"), /"block=on" is no setting of a trace; known are blocks=/);
  assert.match(message("t,blocks=yes"), /blocks=yes must be blocks=on or blocks=off/);
  assert.match(message("t,from=x"), /from= must be a count of instructions/);
  assert.match(message("t,every=0"), /every= must be a count/);
  assert.match(message("t,size=big"), /size= must be a size such as 64M/);
  assert.match(message("t,to=1,to=2"), /to is given twice/);
});
