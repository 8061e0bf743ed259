import assert from "node:assert/strict";
import { test } from "node:test";
import { BENCH_LINES, isMark, type LineFormat, SPEED_LINES } from "./program-lines.ts";

function parse({ end, parse: read }: LineFormat, text: string) {
  const match = end.exec(text);
  assert.ok(match, text);
  return read(match);
}

test("a program's last line is read, with or without a carriage return", () => {
  const line = "BENCH end integer iterations=418 ns=300249489 cpu=154448888 checksum=9d445369 work=192217";
  for (const ending of ["\n", "\r\n"]) {
    assert.deepEqual(parse(BENCH_LINES, line + ending), {
      iterations: 418,
      guestSeconds: 0.300249489,
      cpuSeconds: 0.154448888,
      outcome: "checksum=9d445369 work=192217",
    });
  }
});

test("a line that has not come to its end yet is none", () => {
  assert.equal(BENCH_LINES.end.exec("BENCH end integer iterations=418 ns=300249489 cpu=1 checksum=9d445369 wor"), null);
});

test("a program that found a mistake of its own is an error", () => {
  const line = "BENCH failed integer iterations=2 ns=1 cpu=1 checksum=00000000 work=1\n";
  assert.throws(() => parse(BENCH_LINES, line), /gave other results/);
});

test("the lines of openssl speed tell blocks and seconds", () => {
  assert.match("+DT:AES-128-GCM:2:16384\r\n", SPEED_LINES.begin);
  assert.deepEqual(parse(SPEED_LINES, "+R:228294:AES-128-GCM:2.010000\r\n"), {
    iterations: 228294,
    guestSeconds: 2.01,
    outcome: "",
  });
});

test("lines that begin or end what is timed are marks, a typed command is none", () => {
  for (const line of [
    "BENCH begin fork",
    "BENCH end fork x",
    "BENCH failed fork x",
    "+DT:sha256:1:16384\r",
    "+R:1:sha256:1",
  ]) {
    assert.ok(isMark(line), line);
  }
  for (const line of ["root@bunkhouse:~# /bench/integer-64 500", " BENCH begin", "+H:16384"])
    assert.ok(!isMark(line), line);
});
