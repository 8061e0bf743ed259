import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { withLock } from "./build-lock.ts";

async function lockFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-lock-"));
  t.after(() => rm(directory, { recursive: true }));
  return path.join(directory, "new/build.lock");
}

test("a second build waits until the first is through", async (t) => {
  const file = await lockFile(t);
  const events: string[] = [];
  const entered = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  const first = withLock(file, async () => {
    entered.resolve();
    await waiting.promise;
    events.push("first ends");
  });
  await entered.promise;
  await withLock(file, async () => events.push("second begins"), { onWait: waiting.resolve });
  await first;
  assert.deepEqual(events, ["first ends", "second begins"]);
});

test("a build that failed gives the lock back", async (t) => {
  const file = await lockFile(t);
  await assert.rejects(
    withLock(file, () => Promise.reject(new Error("no"))),
    { message: "no" },
  );
  assert.equal(await withLock(file, async () => 1), 1);
});

test("the lock of a killed process is free at once", async (t) => {
  const file = await lockFile(t);
  const script = `import { withLock } from ${JSON.stringify(import.meta.resolve("./build-lock.ts"))};
    await withLock(${JSON.stringify(file)}, () => { console.log("locked"); return new Promise((end) => setTimeout(end, 60_000)); });`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "--eval", script];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  let waited = false;
  const locked = withLock(file, async () => waited, {
    onWait: () => {
      waited = true;
      child.kill("SIGKILL");
    },
  });
  assert.equal(await locked, true);
});

test("who waits can be told to give up", async (t) => {
  const file = await lockFile(t);
  const stop = new AbortController();
  await withLock(file, async () => {
    const second = withLock(file, async () => 2, { onWait: () => stop.abort(), signal: stop.signal });
    await assert.rejects(second, { name: "AbortError" });
  });
});
