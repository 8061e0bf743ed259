import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { Frame } from "../screen/frame.ts";
import { TestDisplay, TestInput } from "../screen/testing/test-display.ts";
import { RfbSession } from "./session.ts";

/** Bytes of one session's start: version, security type, ClientInit. */
const HELLO = [...Buffer.from("RFB 003.008\n"), 1, 1];

function rig(display: TestDisplay, hasPassword: boolean) {
  let sent = 0;
  let waiting = 0;
  let closed: string | undefined;
  const frame = new Frame(display);
  const input = new TestInput();
  const session = new RfbSession(
    {
      frame,
      input,
      name: "fuzz",
      deflater: () => ({ deflate: (bytes) => Promise.resolve(bytes.slice(0, 16)), close: () => {} }),
      ...(hasPassword ? { password: { challenge: () => new Uint8Array(16), matches: () => false } } : {}),
    },
    {
      send: (bytes) => {
        sent += bytes.length;
        waiting += bytes.length;
      },
      get waiting() {
        return waiting;
      },
      close: (why) => {
        closed = why;
      },
      wantsUpdate: () => {},
    },
  );
  const take = () => {
    waiting = 0;
  };
  return { session, frame, input, take, sent: () => sent, closed: () => closed };
}

/** A message that is mostly in order. */
function message(random: SeededRandom): number[] {
  const bytes = (count: number) => Array.from({ length: count }, () => random.next() & 0xff);
  switch (random.below(8)) {
    case 0:
      return [0, 0, 0, 0, [8, 16, 32, 24][random.below(4)]!, random.below(33), random.below(2), random.below(2)].concat(
        random.below(2) ? [0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0] : bytes(12),
      );
    case 1: {
      const encodings = [0, 16, -223, -257, -258, -261, -316, random.next() | 0].filter(() => random.below(2) === 1);
      const list = Buffer.alloc(4 * encodings.length);
      encodings.forEach((encoding, i) => list.writeInt32BE(encoding, 4 * i));
      return [2, 0, 0, encodings.length, ...list];
    }
    case 2:
      return [3, random.below(2), ...bytes(8)];
    case 3:
      return [3, random.below(2), 0, 0, 0, 0, 1, 0, 1, 0];
    case 4:
      return [4, random.below(2), 0, 0, 0, 0, random.below(2) ? 0xff : 0, random.next() & 0xff];
    case 5:
      return [5, ...bytes(5)];
    case 6:
      return [6, 0, 0, 0, 0, 0, random.below(4), 10].concat(bytes(random.below(900)));
    default:
      return [255, 0, 0, random.below(2), ...bytes(4), 0, 0, 0, random.next() & 0xff];
  }
}

test("random bytes end a session, and nothing else", () => {
  const random = new SeededRandom(6143);
  const display = new TestDisplay(70, 70);
  for (let i = 0; i < 2000; i++) {
    const { session, sent } = rig(display, random.below(4) === 0);
    if (random.below(2)) session.receive(Uint8Array.from(HELLO));
    for (let n = 0; n < 20; n++) {
      session.receive(Uint8Array.from({ length: random.below(300) }, () => random.next() & 0xff));
    }
    assert.ok(sent() < 200, "nothing but the greeting comes without being taken");
    session.close();
  }
});

test("messages in any order and in pieces keep what is sent bounded, and leave nothing pressed", async () => {
  const random = new SeededRandom(5900);
  for (let i = 0; i < 60; i++) {
    const display = new TestDisplay(100, 100);
    const { session, frame, input, take, sent } = rig(display, false);
    session.receive(Uint8Array.from(HELLO));
    for (let n = 0; n < 300; n++) {
      const bytes = Uint8Array.from(message(random));
      const cut = random.below(bytes.length);
      session.receive(bytes.subarray(0, cut));
      if (random.below(20) === 0) input.takesPlaces = !input.takesPlaces;
      if (random.below(20) === 0) display.resize(1 + random.below(200), 1 + random.below(200));
      else display.paint({ x: 0, y: 0, width: 1, height: 1 }, () => random.next() & 0xffffff);
      session.receive(bytes.subarray(cut));
      frame.refresh();
      const before = sent();
      await session.update();
      assert.ok(sent() - before <= 4 * 200 * 200 + 2000);
      if (random.below(4)) take();
    }
    session.close();
    const held = new Map<string, boolean>();
    for (const key of input.keys) held.set(key.slice(1), key.startsWith("+"));
    assert.deepEqual(
      [...held].filter(([, down]) => down),
      [],
    );
    assert.ok((input.buttonStates.at(-1) ?? 0) === 0);
    for (const { x, y } of input.places) assert.ok(x >= 0 && x <= 32767 && y >= 0 && y <= 32767);
  }
});

test("a viewer that asks and asks, and takes nothing, is sent two updates at the most", async () => {
  const display = new TestDisplay(256, 256);
  const { session, frame, sent } = rig(display, false);
  session.receive(Uint8Array.from(HELLO));
  for (let i = 0; i < 1000; i++) {
    session.receive(Uint8Array.from([0, 0, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    session.receive(Uint8Array.from([3, 0, 0, 0, 0, 0, 1, 0, 1, 0]));
    frame.refresh();
    await session.update();
  }
  assert.ok(sent() < 2 * (256 * 256 + 2000), `${sent()} bytes`);
});

test("a wrong password ends the session as refused", () => {
  const { session, closed } = rig(new TestDisplay(8, 8), true);
  session.receive(Uint8Array.from([...Buffer.from("RFB 003.008\n"), 2]));
  session.receive(new Uint8Array(16));
  assert.equal(closed(), "refused");
  session.receive(new Uint8Array(1000));
});

for (const [what, bytes] of [
  ["another protocol", [...Buffer.from("GET / HTTP/1.1\r\n")]],
  ["a security type that was not offered", [...Buffer.from("RFB 003.008\n"), 2]],
  ["an unknown message", [...HELLO, 99]],
  ["a cut text of four gigabytes", [...HELLO, 6, 0, 0, 0, 255, 255, 255, 255]],
  ["a pixel format that is none", [...HELLO, 0, 0, 0, 0, 17, ...new Array(15).fill(0)]],
] as const) {
  test(`${what} ends the session`, () => {
    const { session, closed } = rig(new TestDisplay(8, 8), false);
    session.receive(Uint8Array.from(bytes));
    assert.equal(closed(), "broken");
  });
}
