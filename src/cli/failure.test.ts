import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockError } from "../disk/block-device.ts";
import { BootError } from "../firmware/boot-error.ts";
import { CatalogueError } from "../hypervisor/catalogue/failure.ts";
import { statusOfEnd, statusOfSignal } from "./exit-status.ts";
import { describeFailure, usageError } from "./failure.ts";

test("each kind of failure has its exit status and keeps its message", () => {
  const failures = [
    [usageError("wrong"), 64],
    [new BootError("not-a-kernel", "wrong"), 66],
    [new BootError("no-room", "wrong"), 64],
    [new BootError("bad-argument", "wrong"), 64],
    [new BlockError("io", "wrong"), 66],
  ] as const;
  for (const [error, status] of failures) assert.deepEqual(describeFailure(error), { status, text: "wrong" });
});

test("a guest that nobody knows is the command line's fault, a missing tool is the host's", () => {
  const unknown = new CatalogueError({ kind: "guest-unknown", name: "a", known: ["b"] });
  const missing = new CatalogueError({ kind: "tool-missing", tool: "apt-get" });
  const invalid = new CatalogueError({ kind: "entry-invalid", file: "a.json", problem: "not JSON" });
  assert.deepEqual(
    [unknown, missing, invalid].map((error) => describeFailure(error).status),
    [64, 69, 66],
  );
});

test("a defect is reported with where it happened", () => {
  const { status, text } = describeFailure(new TypeError("x is undefined"));
  assert.equal(status, 76);
  assert.match(text, /^internal error, please report it .*\nTypeError: x is undefined\n {4}at /);
  assert.equal(describeFailure("thrown text").status, 76);
});

test("a machine's end gives the exit status", () => {
  assert.equal(statusOfEnd({ kind: "power-off" }), 0);
  assert.equal(statusOfEnd({ kind: "stopped" }), 0);
  assert.equal(statusOfEnd({ kind: "crash", report: "" }), 70);
  assert.equal(statusOfEnd({ kind: "reset", cause: "" }), 72);
  // The debug-exit port gives 2v + 1; of that a process passes on eight bits.
  assert.equal(statusOfEnd({ kind: "debug-exit", status: 33 }), 33);
  assert.equal(statusOfEnd({ kind: "debug-exit", status: 0x101 }), 1);
});

test("a signal's exit status is the shell's", () => {
  assert.deepEqual((["SIGHUP", "SIGINT", "SIGTERM"] as const).map(statusOfSignal), [129, 130, 143]);
});
