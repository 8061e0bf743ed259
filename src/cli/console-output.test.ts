import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Host } from "../vm/definition.ts";
import { ConsoleOutput, pacedHost } from "./console-output.ts";

/** A stream whose reader takes a piece when the test says so. */
class SlowStream extends Writable {
  readonly pieces: string[] = [];
  #taken: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 4 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.pieces.push(chunk.toString());
    this.#taken = done;
  }

  take(): void {
    this.#taken?.();
  }
}

const rig = () => {
  const stream = new SlowStream();
  const errors: string[] = [];
  return { stream, errors, output: new ConsoleOutput(stream, ({ message }) => errors.push(message)) };
};
const send = (output: ConsoleOutput, text: string) => {
  for (const byte of Buffer.from(text)) output.write(Uint8Array.of(byte));
};
const host: Host = {
  monotonic: () => 1,
  unixTime: () => 2,
  random: (target) => target.fill(3),
  yield: () => turn(),
  sleep: () => ({ done: turn(), wake: () => {} }),
};

test("bytes that a guest sends one by one arrive in one piece at the machine's next pause", async () => {
  const { stream, output } = rig();
  send(output, "login: ");
  assert.deepEqual(stream.pieces, []);
  await turn();
  assert.deepEqual(stream.pieces, ["login: "]);
});

test("long output does not wait for a pause", () => {
  const { stream, output } = rig();
  send(output, "x".repeat(16 * 1024));
  assert.equal(stream.pieces[0]?.length, 16 * 1024);
});

test("the machine pauses until a slow reader has caught up", async () => {
  const { stream, output } = rig();
  let pauses = 0;
  const paced = pacedHost(host, output, () => pauses++);
  send(output, "more than four bytes");
  let isRunning = false;
  const pause = paced.yield().then(() => {
    isRunning = true;
  });
  await turn();
  await turn();
  assert.equal(isRunning, false);
  assert.equal(pauses, 1);
  stream.take();
  await pause;
  assert.equal(isRunning, true);
  await paced.sleep(1).done;
  assert.equal(pauses, 2);
});

test("all else that a host offers is there in a paced one", () => {
  const regions: NonNullable<Host["regions"]> = () => {
    throw new Error("not called");
  };
  const { yield: _, sleep: __, ...rest } = pacedHost({ ...host, regions }, undefined, () => {});
  assert.deepEqual(rest, { monotonic: host.monotonic, unixTime: host.unixTime, random: host.random, regions });
});

test("a machine that waits for its reader can be let go to stop", async () => {
  const { output } = rig();
  send(output, "more than four bytes");
  const pause = pacedHost(host, output, () => {}).yield();
  await turn();
  output.release();
  await pause;
});

test("finish waits until the reader has everything", async () => {
  const { stream, output } = rig();
  send(output, "bye, bye");
  let isFinished = false;
  const finished = output.finish().then(() => {
    isFinished = true;
  });
  await turn();
  assert.equal(isFinished, false);
  stream.take();
  await turn();
  stream.take();
  await finished;
  assert.deepEqual(stream.pieces, ["bye, bye", ""]);
});

test("a reader that goes away is told once, and holds up nothing", async () => {
  const { stream, output, errors } = rig();
  send(output, "more than four bytes");
  await turn();
  stream.destroy(new Error("EPIPE"));
  await turn();
  send(output, "more than four bytes");
  await output.finish();
  await pacedHost(host, output, () => {}).yield();
  assert.deepEqual(errors, ["EPIPE"]);
});
