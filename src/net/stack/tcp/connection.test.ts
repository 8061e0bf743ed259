import assert from "node:assert/strict";
import { test } from "node:test";
import { establishedPeer, tcpPeer } from "../../testing/tcp-peer.ts";
import { parseTcpOptions } from "../../wire/tcp-options.ts";
import { ACKNOWLEDGMENT_DELAY, TIME_WAIT } from "./connection.ts";

const SECOND = 1e9;

test("a SYN is answered with the size of segments, and with a window shift only where it has one", () => {
  for (const windowShift of [undefined, 7]) {
    const { take, connection } = tcpPeer(windowShift === undefined ? {} : { windowShift });
    const [answer] = take();
    assert.deepEqual(answer?.flags, { ack: true, syn: true, fin: false, psh: false });
    assert.equal(answer?.acknowledgment, 1001);
    const options = parseTcpOptions(answer?.options ?? assert.fail());
    assert.deepEqual(options, { maximumSegmentSize: 1460, ...(windowShift === undefined ? {} : { windowShift: 4 }) });
    assert.equal(answer?.window, 8000);
    assert.equal(connection.state, "syn-received");
  }
});

test("a SYN's answer that is lost comes again, ever later, and at once where the SYN does", () => {
  const { heard, time, say } = tcpPeer();
  heard();
  time.advance(SECOND - 1);
  assert.deepEqual(heard(), []);
  time.advance(1);
  assert.deepEqual(heard(), ["syn ack 0 +1"]);
  time.advance(2 * SECOND - 1);
  assert.deepEqual(heard(), []);
  time.advance(1);
  assert.deepEqual(heard(), ["syn ack 0 +1"]);
  say({ flags: { syn: true, ack: false } });
  assert.deepEqual(heard(), ["syn ack 0 +1"]);
});

test("an acknowledgment of what was never sent resets a connection that is not established", () => {
  const { heard, say, connection } = tcpPeer();
  heard();
  say({ sequence: 1, acknowledgment: 2 });
  assert.deepEqual(heard(), ["rst 2"]);
  assert.equal(connection.state, "syn-received");
});

test("what is written before the peer has acknowledged the SYN is sent afterwards", () => {
  const { heard, say, write } = tcpPeer();
  heard();
  write("hello");
  assert.deepEqual(heard(), []);
  say({ sequence: 1, acknowledgment: 1 });
  assert.deepEqual(heard(), ['ack 1 +1 "hello"']);
});

test("bytes are cut in segments of the size that the peer takes, as far as its window goes", () => {
  const { heard, say, write } = establishedPeer({ maximumSegmentSize: 64, window: 150 });
  const text = "x".repeat(300);
  write(text);
  assert.deepEqual(
    heard().map((line) => line.length - 'ack 1 +1 ""'.length),
    [64, 65],
  );
  say({ sequence: 1, acknowledgment: 65 });
  assert.deepEqual(heard(), [`ack 129 +1 "${"x".repeat(64)}"`]);
  say({ sequence: 1, acknowledgment: 193 });
  assert.deepEqual(
    heard().map((line) => line.length - 'ack 193 +1 ""'.length),
    [64, 44],
  );
});

test("windows of the peer's are shifted as its SYN says, but for the SYN's own", () => {
  const { take, say, write } = tcpPeer({ windowShift: 3, window: 100 });
  take();
  write("x".repeat(2000));
  say({ sequence: 1, acknowledgment: 1 });
  assert.equal(
    take().reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0),
    800,
  );
});

test("the peer's bytes are acknowledged after a moment, together", () => {
  const { heard, say, time, peer } = establishedPeer();
  say({ sequence: 1, acknowledgment: 1, text: "ab" });
  say({ sequence: 3, acknowledgment: 1, text: "cd" });
  assert.equal(peer.heard, "abcd");
  assert.deepEqual(heard(), []);
  time.advance(ACKNOWLEDGMENT_DELAY);
  assert.deepEqual(heard(), ["ack 1 +5"]);
});

test("segments that came too early wait for the one before, and ask for it at once", () => {
  const { heard, say, peer } = establishedPeer();
  say({ sequence: 5, acknowledgment: 1, text: "ef" });
  say({ sequence: 3, acknowledgment: 1, text: "cd" });
  assert.deepEqual(heard(), ["ack 1 +1", "ack 1 +1"]);
  assert.equal(peer.heard, "");
  say({ sequence: 1, acknowledgment: 1, text: "abc" });
  assert.equal(peer.heard, "abcdef");
});

test("bytes that come twice are delivered once, and acknowledged again at once", () => {
  const { heard, say, peer, time } = establishedPeer();
  say({ sequence: 1, acknowledgment: 1, text: "abcd" });
  time.advance(ACKNOWLEDGMENT_DELAY);
  heard();
  say({ sequence: 1, acknowledgment: 1, text: "abcd" });
  assert.deepEqual(heard(), ["ack 1 +5"]);
  say({ sequence: 3, acknowledgment: 1, text: "cdef" });
  time.advance(ACKNOWLEDGMENT_DELAY);
  assert.equal(peer.heard, "abcdef");
  assert.deepEqual(heard(), ["ack 1 +7"]);
});

test("numbers count on from the last one", () => {
  const { heard, say, peer, write, time } = establishedPeer({ peerInitial: 2 ** 32 - 3, initial: 2 ** 32 - 2 });
  say({ sequence: 1, acknowledgment: 1, text: "abcd" });
  say({ sequence: 5, acknowledgment: 1, text: "ef" });
  write("hello");
  assert.deepEqual(heard(), ['ack 1 +7 "hello"']);
  say({ sequence: 7, acknowledgment: 6 });
  time.advance(60 * SECOND);
  assert.deepEqual(heard(), []);
  assert.equal(peer.heard, "abcdef");
});

test("a segment that is lost comes again after a while, ever later, until it is acknowledged", () => {
  const { heard, say, write, time } = establishedPeer();
  write("hello");
  heard();
  time.advance(0.2 * SECOND);
  assert.deepEqual(heard(), ['ack 1 +1 "hello"']);
  time.advance(0.4 * SECOND - 1);
  assert.deepEqual(heard(), []);
  time.advance(1);
  assert.deepEqual(heard(), ['ack 1 +1 "hello"']);
  say({ sequence: 1, acknowledgment: 6 });
  time.advance(60 * SECOND);
  assert.deepEqual(heard(), []);
});

test("after a while without an answer only one segment is sent, then those behind it", () => {
  const { heard, say, write, time } = establishedPeer();
  write(`${"a".repeat(100)}${"b".repeat(100)}${"c".repeat(50)}`);
  assert.equal(heard().length, 3);
  time.advance(0.2 * SECOND);
  assert.deepEqual(heard(), [`ack 1 +1 "${"a".repeat(100)}"`]);
  say({ sequence: 1, acknowledgment: 101 });
  assert.deepEqual(heard(), [`ack 101 +1 "${"b".repeat(100)}"`, `ack 201 +1 "${"c".repeat(50)}"`]);
});

test("three acknowledgments of the same byte have the segment there sent again at once", () => {
  const { heard, say, write } = establishedPeer();
  write("x".repeat(500));
  heard();
  const same = () => say({ sequence: 1, acknowledgment: 101 });
  same();
  for (let i = 0; i < 2; i++) same();
  assert.deepEqual(heard(), []);
  same();
  assert.deepEqual(heard(), [`ack 101 +1 "${"x".repeat(100)}"`]);
  // What was lost besides is found by an acknowledgment that does not cover all.
  say({ sequence: 1, acknowledgment: 301 });
  assert.deepEqual(heard(), [`ack 301 +1 "${"x".repeat(100)}"`]);
  say({ sequence: 1, acknowledgment: 501 });
  assert.deepEqual(heard(), []);
});

test("a peer that never answers is given up", () => {
  const { peer, write, time, connection } = establishedPeer();
  write("hello");
  time.advance(3600 * SECOND);
  assert.deepEqual(peer.events, ["closed: timed-out"]);
  assert.equal(connection.state, "closed");
  assert.equal(peer.sent.length, 1 + 12);
});

test("a peer without a window is asked with one byte, for as long as it answers", () => {
  const { heard, say, write, time, peer } = establishedPeer({ window: 0 });
  write("hello");
  assert.deepEqual(heard(), []);
  let asked = 0;
  for (let i = 0; i < 100; i++) {
    time.advance(60 * SECOND);
    const lines = heard();
    assert.deepEqual(new Set(lines), new Set(['ack 1 +1 "h"']));
    asked += lines.length;
    say({ sequence: 1, acknowledgment: 1 });
  }
  assert.ok(asked >= 100 && asked < 120, `${asked}`);
  assert.deepEqual(peer.events, []);
  say({ sequence: 1, acknowledgment: 1, window: 100 });
  assert.deepEqual(heard(), ['ack 1 +1 "hello"']);
});

test("a byte that was taken though there was no window is not sent again", () => {
  const { heard, say, write, time } = establishedPeer({ window: 0 });
  write("hello");
  time.advance(0.2 * SECOND);
  assert.deepEqual(heard(), ['ack 1 +1 "h"']);
  say({ sequence: 1, acknowledgment: 2, window: 100 });
  assert.deepEqual(heard(), ['ack 2 +1 "ello"']);
});

test("a window that closes has the peer wait, and it is told once there is room again", () => {
  const { take, say, peer, connection, time } = establishedPeer({ room: 4000, window: 100 });
  say({ sequence: 1, acknowledgment: 1, text: "x".repeat(4000) });
  time.advance(ACKNOWLEDGMENT_DELAY);
  assert.deepEqual(
    take().map(({ window }) => window),
    [0],
  );
  say({ sequence: 4001, acknowledgment: 1, text: "y" });
  assert.equal(peer.heard, "x".repeat(4000));
  assert.equal(take()[0]?.acknowledgment, 5001);
  peer.room = 100;
  connection.roomAgain();
  assert.deepEqual(take(), []);
  peer.room = 4000;
  connection.roomAgain();
  assert.deepEqual(
    take().map(({ window }) => window),
    [4000],
  );
});

test("what was promised as a window is taken, though there would be less room by now", () => {
  const { say, peer } = establishedPeer({ room: 4000 });
  peer.room = 0;
  say({ sequence: 1, acknowledgment: 1, text: "x".repeat(4100) });
  assert.equal(peer.heard, "x".repeat(4000));
});

test("a peer that ends first may still be sent to, until it has all", () => {
  const { heard, say, write, peer, connection } = establishedPeer();
  say({ sequence: 1, acknowledgment: 1, text: "ab", flags: { fin: true } });
  assert.deepEqual(peer.events, ["finished"]);
  assert.equal(connection.state, "close-wait");
  assert.deepEqual(heard(), ["ack 1 +4"]);
  write("cd");
  connection.finish();
  assert.equal(connection.state, "last-ack");
  assert.deepEqual(heard(), ['ack 1 +4 "cd"', "fin ack 3 +4"]);
  say({ sequence: 4, acknowledgment: 4 });
  assert.deepEqual(peer.events, ["finished", "closed: finished"]);
});

test("a peer may go on when it was sent the end, and the connection waits a while in the end", () => {
  const { heard, say, peer, connection, time } = establishedPeer();
  connection.finish();
  assert.equal(connection.state, "fin-wait-1");
  assert.deepEqual(heard(), ["fin ack 1 +1"]);
  say({ sequence: 1, acknowledgment: 2 });
  assert.equal(connection.state, "fin-wait-2");
  say({ sequence: 1, acknowledgment: 2, text: "still" });
  assert.equal(peer.heard, "still");
  say({ sequence: 6, acknowledgment: 2, flags: { fin: true } });
  assert.equal(connection.state, "time-wait");
  assert.deepEqual(heard(), ["ack 2 +7"]);
  time.advance(TIME_WAIT / 2);
  say({ sequence: 6, acknowledgment: 2, flags: { fin: true } });
  assert.deepEqual(heard(), ["ack 2 +7"]);
  time.advance(TIME_WAIT - 1);
  assert.deepEqual(peer.events, ["finished"]);
  time.advance(1);
  assert.deepEqual(peer.events, ["finished", "closed: finished"]);
});

test("both may end at the same time", () => {
  const { heard, say, peer, connection } = establishedPeer();
  connection.finish();
  heard();
  say({ sequence: 1, acknowledgment: 1, flags: { fin: true } });
  assert.equal(connection.state, "closing");
  assert.deepEqual(heard(), ["ack 2 +2"]);
  say({ sequence: 2, acknowledgment: 2 });
  assert.equal(connection.state, "time-wait");
  assert.deepEqual(peer.events, ["finished"]);
});

test("an end that is lost comes again", () => {
  const { heard, say, connection, write, time } = establishedPeer();
  write("hello");
  connection.finish();
  assert.deepEqual(heard(), ['ack 1 +1 "hello"', "fin ack 6 +1"]);
  say({ sequence: 1, acknowledgment: 6 });
  time.advance(0.2 * SECOND);
  assert.deepEqual(heard(), ["fin ack 6 +1"]);
});

test("a peer's end that came too early waits for what is before it", () => {
  const { say, peer, connection } = establishedPeer();
  say({ sequence: 3, acknowledgment: 1, text: "cd", flags: { fin: true } });
  assert.equal(connection.state, "established");
  say({ sequence: 1, acknowledgment: 1, text: "ab" });
  assert.equal(peer.heard, "abcd");
  assert.equal(connection.state, "close-wait");
});

test("a reset ends the connection where its number is the next one, and is questioned elsewhere", () => {
  const { heard, say, peer } = establishedPeer();
  say({ sequence: 5, flags: { rst: true } });
  assert.deepEqual(heard(), ["ack 1 +1"]);
  say({ sequence: 0, flags: { rst: true } });
  assert.deepEqual(heard(), []);
  assert.deepEqual(peer.events, []);
  say({ sequence: 1, flags: { rst: true } });
  assert.deepEqual(peer.events, ["closed: reset"]);
  assert.deepEqual(heard(), []);
});

test("a SYN in a connection is questioned", () => {
  const { heard, say, peer } = establishedPeer();
  say({ sequence: 1, flags: { syn: true, ack: false } });
  assert.deepEqual(heard(), ["ack 1 +1"]);
  assert.deepEqual(peer.events, []);
});

test("a connection that is aborted tells the peer, and nothing any more", () => {
  const { heard, say, write, connection, time, peer } = establishedPeer();
  write("hello");
  heard();
  connection.abort();
  assert.deepEqual(heard(), ["rst ack 6 +1"]);
  say({ sequence: 1, acknowledgment: 6, text: "x" });
  time.advance(60 * SECOND);
  assert.deepEqual(heard(), []);
  assert.deepEqual([peer.heard, peer.events], ["", []]);
});

test("a new SYN takes the place of a connection that waits for its end alone", () => {
  const { say, connection, segment } = establishedPeer();
  const isReplaced = (sequence: number) =>
    connection.isReplacedBy(segment({ sequence, flags: { syn: true, ack: false } }));
  assert.equal(isReplaced(9000), false);
  connection.finish();
  say({ sequence: 1, acknowledgment: 2, flags: { fin: true } });
  assert.equal(connection.state, "time-wait");
  assert.equal(isReplaced(9000), true);
  assert.equal(isReplaced(1), false);
});

test("a peer that acknowledges nonsense is told what is right", () => {
  const { heard, say, write } = establishedPeer();
  write("hello");
  heard();
  say({ sequence: 1, acknowledgment: 77, text: "ab" });
  assert.deepEqual(heard(), ["ack 6 +1"]);
});
