import assert from "node:assert/strict";
import { test } from "node:test";
import { ExpectError, SerialStream } from "./serial-stream.ts";

function rig() {
  const sent: string[] = [];
  let fire = () => {};
  const stream = new SerialStream(
    (bytes) => sent.push(new TextDecoder().decode(bytes)),
    (_ms, callback) => {
      fire = callback;
      return () => {};
    },
  );
  const say = (text: string) => stream.receive(new TextEncoder().encode(text));
  return { stream, sent, say, timeOut: () => fire() };
}

test("expect resolves with what matched and what came before it", async () => {
  const { stream, say } = rig();
  const waiting = stream.expect(/uid=(\d+)/);
  say("root# id\r\nuid=");
  say("42 gid=0\r\n");
  const { match, groups, before } = await waiting;
  assert.equal(match, "uid=42");
  assert.deepEqual(groups, ["42"]);
  assert.equal(before, "root# id\r\n");
});

test("a second expect looks only at what came after the first match", async () => {
  const { stream, say } = rig();
  say("$ one\n$ ");
  await stream.expect("$ ");
  await stream.expect("$ ");
  const third = stream.expect("$ ");
  say("$ ");
  await third;
  assert.equal(stream.text, "$ one\n$ $ ");
});

test("a timeout names the pattern and shows the guest's last output", async () => {
  const { stream, say, timeOut } = rig();
  const waiting = stream.expect("login:");
  say("Kernel panic");
  timeOut();
  await assert.rejects(
    waiting,
    (error: Error) => error instanceof ExpectError && /login:.*Kernel panic/s.test(error.message),
  );
});

test("waiting ends when the machine does", async () => {
  const { stream, say } = rig();
  const waiting = stream.expect("never");
  say("bye");
  stream.end();
  await assert.rejects(waiting, /the machine ended before never appeared/);
});

test("characters of several bytes may arrive in pieces", () => {
  const { stream } = rig();
  for (const byte of new TextEncoder().encode("größe €😀")) stream.receive(Uint8Array.of(byte));
  assert.equal(stream.text, "größe €😀");
});

test("what is typed reaches the guest as UTF-8", () => {
  const { stream, sent } = rig();
  stream.write("ls ü\n");
  assert.deepEqual(sent, ["ls ü\n"]);
});
