import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime } from "../../machine/testing/rig.ts";
import { LATENCY, MOST_FRAMES, Outbox, PATIENCE } from "./outbox.ts";

function rig() {
  const time = new ManualTime();
  const heard: number[] = [];
  const receiver = { hasRoom: true, asked: 0 };
  const port = {
    transmit: (frame: Uint8Array) => {
      receiver.asked++;
      if (receiver.hasRoom) heard.push(frame[0] as number);
      return receiver.hasRoom;
    },
    roomAgain: () => {},
  };
  const outbox = new Outbox(port, time);
  return {
    time,
    heard,
    receiver,
    outbox,
    send: (...numbers: number[]) => numbers.forEach((n) => outbox.send(Uint8Array.of(n))),
  };
}

test("frames leave after 20 µs, in the order they were made", () => {
  const { time, heard, send } = rig();
  send(1, 2);
  time.advance(LATENCY / 2);
  send(3);
  assert.deepEqual(heard, []);
  time.advance(LATENCY / 2);
  assert.deepEqual(heard, [1, 2]);
  time.advance(LATENCY / 2);
  assert.deepEqual(heard, [1, 2, 3]);
});

test("a receiver without room gets the frame once it has room, not from within its call", () => {
  const { time, heard, receiver, outbox, send } = rig();
  receiver.hasRoom = false;
  send(1, 2);
  time.advance(PATIENCE / 2);
  assert.equal(receiver.asked, 1);
  receiver.hasRoom = true;
  outbox.roomAgain();
  assert.deepEqual(heard, []);
  time.advance(0);
  assert.deepEqual(heard, [1, 2]);
});

test("a receiver without room for 100 ms is not waited for until it has some", () => {
  const { time, heard, receiver, outbox, send } = rig();
  receiver.hasRoom = false;
  send(1, 2);
  time.advance(LATENCY + PATIENCE);
  assert.equal(receiver.asked, 3);
  send(3);
  time.advance(LATENCY);
  assert.equal(receiver.asked, 4);
  receiver.hasRoom = true;
  outbox.roomAgain();
  receiver.hasRoom = false;
  send(4);
  time.advance(LATENCY);
  receiver.hasRoom = true;
  outbox.roomAgain();
  time.advance(0);
  assert.deepEqual(heard, [4]);
});

test("what finds the queue full is lost", () => {
  const { time, heard, send } = rig();
  for (let i = 0; i < MOST_FRAMES + 10; i++) send(i & 0xff);
  time.advance(LATENCY);
  assert.equal(heard.length, MOST_FRAMES);
  send(7);
  time.advance(LATENCY);
  assert.equal(heard.at(-1), 7);
});

test("what waits may be forgotten", () => {
  const { time, heard, outbox, send } = rig();
  send(1);
  outbox.clear();
  send(2);
  time.advance(LATENCY);
  assert.deepEqual(heard, [2]);
});
