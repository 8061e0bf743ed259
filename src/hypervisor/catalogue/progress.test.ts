import assert from "node:assert/strict";
import { test } from "node:test";
import { progressOn } from "./progress.ts";

function stream(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  return { isTTY, columns, write: (text: string) => written.push(text), written };
}

test("a terminal sees one line that is rewritten as a step comes on", () => {
  const terminal = stream(true);
  const progress = progressOn(terminal);
  progress.step("fetching");
  progress.step("fetching", 0.5);
  progress.step("fetching", 0.501);
  progress.finish();
  assert.deepEqual(terminal.written, ["\r\x1b[Kfetching ...", "\r\x1b[Kfetching ... 50%", "\r\x1b[K"]);
});

test("a line wider than the terminal is cut, so that it does not wrap", () => {
  const terminal = stream(true, 10);
  progressOn(terminal).step("fetching packages");
  assert.deepEqual(terminal.written, ["\r\x1b[Kfetching "]);
});

test("a log sees each step once and no percentages", () => {
  const log = stream(false);
  const progress = progressOn(log);
  progress.step("fetching", 0);
  progress.step("fetching", 0.5);
  progress.note("a source is gone");
  progress.step("unpacking");
  progress.finish("done");
  assert.deepEqual(log.written, ["fetching ...\n", "a source is gone\n", "unpacking ...\n", "done\n"]);
});

test("a note stays on the terminal while the step goes on below it", () => {
  const terminal = stream(true);
  const progress = progressOn(terminal);
  progress.step("fetching");
  progress.note("a source is gone");
  progress.step("fetching", 1);
  assert.deepEqual(terminal.written.slice(1), ["\r\x1b[Ka source is gone\n", "\r\x1b[Kfetching ... 100%"]);
});
