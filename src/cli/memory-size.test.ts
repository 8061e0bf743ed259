import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./failure.ts";
import { formatMemory, parseMemory } from "./memory-size.ts";

const MIB = 1024 * 1024;

for (const [text, bytes] of [
  ["2M", 2 * MIB],
  ["512m", 512 * MIB],
  ["2048K", 2 * MIB],
  ["1.5G", 1536 * MIB],
  ["3G", 3072 * MIB],
  ["64MiB", 64 * MIB],
] as const) {
  test(`--memory ${text} is ${bytes / MIB} MiB`, () => assert.equal(parseMemory(text), bytes));
}

for (const [text, message] of [
  ["lots", "--memory lots is not a size; write a number with K, M or G, such as 512M"],
  ["-5M", "--memory -5M is not a size; write a number with K, M or G, such as 512M"],
  ["512", "--memory 512 is too small: a machine needs at least 2M; did you mean 512M?"],
  ["0", "--memory 0 is too small: a machine needs at least 2M"],
  ["1M", "--memory 1M is too small: a machine needs at least 2M"],
  ["4G", "--memory 4G is too large: a machine can have at most 3G"],
  ["2500K", "--memory 2500K is not a whole number of MiB; use 2M or 3M"],
] as const) {
  test(`--memory ${text} is refused with what to write`, () => {
    assert.throws(
      () => parseMemory(text),
      (error) => error instanceof CliError && error.status === 64 && error.message === message,
    );
  });
}

test("sizes are shown as they are given", () => {
  assert.deepEqual([256 * MIB, 1024 * MIB, 1536 * MIB].map(formatMemory), ["256M", "1G", "1536M"]);
});
