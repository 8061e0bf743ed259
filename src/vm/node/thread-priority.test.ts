import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

const skip = process.platform === "linux" ? false : "needs priorities of threads, which Linux has";

/** The nice value of each thread of this process, with its name. @spec proc(5), /proc/pid/stat */
function threads(): { name: string; nice: number }[] {
  return readdirSync("/proc/self/task").map((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
    const [name, rest] = [
      stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
      stat.slice(stat.lastIndexOf(")") + 2),
    ];
    return { name, nice: Number(rest.split(" ")[16]) };
  });
}

test("a thread that translates and V8's own give way to all others", { skip }, async () => {
  const before = threads();
  const usual = before.find(({ name }) => !name.includes("V8"))?.nice ?? 0;
  const code = new URL("./thread-priority.ts", import.meta.url);
  const source = `const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(code.href)}).then(({ giveWayToGuests }) => {
      giveWayToGuests();
      parentPort.postMessage("done");
      parentPort.once("message", () => {});
    });`;
  const worker = new Worker(source, { eval: true });
  try {
    await new Promise((resolve) => worker.once("message", resolve));
    const after = threads();
    const lower = after.filter(({ nice }) => nice > usual).map(({ name }) => name);
    const ofV8 = after.filter(({ name }) => name.includes("V8Worker")).length;
    assert.ok(ofV8 > 0, after.map(({ name }) => name).join());
    assert.equal(lower.filter((name) => name.includes("V8Worker")).length, ofV8);
    assert.equal(lower.length, ofV8 + 1, "and the worker");
  } finally {
    await worker.terminate();
  }
});
