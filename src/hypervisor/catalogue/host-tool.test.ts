import assert from "node:assert/strict";
import { test } from "node:test";
import { CatalogueError } from "./failure.ts";
import { runPipe, runToolForText } from "./host-tool.ts";

test("a program's output, input and status lines reach the caller", async () => {
  const lines: string[] = [];
  const output = await runToolForText("sh", ["-c", "echo half >&3; echo whole >&3; tr a-z A-Z"], {
    input: "text",
    onStatusLine: (line) => lines.push(line),
  });
  assert.equal(output, "TEXT");
  assert.deepEqual(lines, ["half", "whole"]);
});

test("a program that fails is named with its error", async () => {
  const script = "echo 'W: dull' >&2; echo 'E: no such archive' >&2; echo 'E: gave up' >&2; exit 3";
  await assert.rejects(runToolForText("sh", ["-c", script]), (error) => {
    assert.ok(error instanceof CatalogueError);
    assert.match(error.message, /^sh .* failed \(status 3\): no such archive$/);
    return true;
  });
});

test("a program that is not there is reported as missing, apt with what to do instead", async () => {
  await assert.rejects(runToolForText("no-such-program", []), {
    message: "needs the program no-such-program, which is not installed",
  });
  const error = new CatalogueError({ kind: "tool-missing", tool: "apt-get" });
  assert.equal(error.message, "needs apt and dpkg, found on Debian and its kin; or give --kernel and --initrd");
});

test("a consumer that stops reading early does not fail the pipe", async () => {
  await runPipe(["sh", "-c", "head -c 10000000 /dev/zero"], ["sh", "-c", "head -c 10 >/dev/null"]);
});

test("a failing end of a pipe fails the pipe", async () => {
  await assert.rejects(runPipe(["sh", "-c", "exit 1"], ["cat"]), CatalogueError);
  await assert.rejects(runPipe(["echo", "x"], ["sh", "-c", "exit 1"]), CatalogueError);
});
