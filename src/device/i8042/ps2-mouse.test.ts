import assert from "node:assert/strict";
import { test } from "node:test";
import { MouseButtons, Ps2Mouse, QUEUE_LIMIT } from "./ps2-mouse.ts";

function rig() {
  const mouse = new Ps2Mouse();
  const drain = () => {
    const bytes: number[] = [];
    for (let byte = mouse.take(); byte !== undefined; byte = mouse.take()) bytes.push(byte);
    return bytes;
  };
  const send = (...bytes: number[]) => {
    const answer: number[] = [];
    for (const byte of bytes) {
      mouse.send(byte);
      answer.push(...drain());
    }
    return answer;
  };
  return { mouse, drain, send };
}

const LEFT = MouseButtons.mask.left;
const knock = (rates: number[]) => rates.flatMap((rate) => [0xf3, rate]);

test("reset answers ACK, self test passed, standard mouse", () => {
  const { send } = rig();
  assert.deepEqual(send(0xff), [0xfa, 0xaa, 0x00]);
  assert.deepEqual(send(0xf2), [0xfa, 0x00]);
});

test("nothing is reported before reporting is enabled", () => {
  const { mouse, drain, send } = rig();
  mouse.move({ dx: 5 });
  mouse.buttons(LEFT);
  assert.deepEqual(drain(), []);
  assert.deepEqual(send(0xf4), [0xfa]);
  mouse.move({ dx: 1 });
  assert.deepEqual(drain(), [0x09, 1, 0], "the button is still down");
});

test("a report has nine-bit deltas, up and right positive", () => {
  const { mouse, drain, send } = rig();
  send(0xf4);
  mouse.move({ dx: -1, dy: 1 });
  assert.deepEqual(drain(), [0x38, 0xff, 0xff]);
  mouse.move({ dx: 255, dy: -255 });
  assert.deepEqual(drain(), [0x08, 0xff, 0xff]);
});

test("motion that does not fit one report goes into the next ones", () => {
  const { mouse, drain, send } = rig();
  send(0xf4);
  mouse.move({ dx: 600 });
  assert.deepEqual(drain(), [0x08, 255, 0, 0x08, 255, 0, 0x08, 90, 0]);
});

test("motion adds up while the host is busy, every click keeps its report", () => {
  const { mouse, drain, send } = rig();
  send(0xf4);
  mouse.move({ dx: 1 });
  mouse.move({ dx: 2 });
  mouse.buttons(LEFT);
  mouse.move({ dx: 4 });
  mouse.buttons(0);
  mouse.move({ dx: 8 });
  assert.deepEqual(drain(), [0x08, 1, 0, 0x09, 2, 0, 0x08, 4, 0, 0x08, 8, 0]);
});

test("the sample rates 200, 100, 80 turn the wheel on", () => {
  const { mouse, drain, send } = rig();
  send(...knock([200, 100, 80]));
  assert.deepEqual(send(0xf2), [0xfa, 0x03]);
  send(0xf4);
  mouse.move({ wheel: -1 });
  assert.deepEqual(drain(), [0x08, 0, 0, 0xff]);
  mouse.move({ wheel: 9 });
  assert.deepEqual(drain(), [0x08, 0, 0, 7, 0x08, 0, 0, 2]);
});

test("the sample rates 200, 200, 80 turn five buttons on", () => {
  const { mouse, drain, send } = rig();
  send(...knock([200, 200, 80]));
  assert.deepEqual(send(0xf2), [0xfa, 0x04]);
  send(0xf4);
  mouse.buttons(MouseButtons.mask.fourth | MouseButtons.mask.right);
  assert.deepEqual(drain(), [0x0a, 0, 0, 0x10]);
  mouse.move({ wheel: -2 });
  assert.deepEqual(drain(), [0x0a, 0, 0, 0x1e]);
});

test("status tells buttons, modes, resolution and sample rate", () => {
  const { mouse, send } = rig();
  assert.deepEqual(send(0xe9), [0xfa, 0x00, 2, 100]);
  mouse.buttons(LEFT);
  send(0xe8, 3, 0xf3, 40, 0xe7, 0xf4);
  assert.deepEqual(send(0xe9), [0xfa, 0x34, 3, 40]);
  send(0xf6);
  assert.deepEqual(send(0xe9), [0xfa, 0x04, 2, 100]);
});

test("scaling 2:1 bends small motions and doubles large ones", () => {
  const { mouse, drain, send } = rig();
  send(0xe7, 0xf4);
  const seen = [1, 2, 3, 4, 5, 6, 100, 200].map((dx) => {
    mouse.move({ dx });
    return drain()[1];
  });
  assert.deepEqual(seen, [1, 1, 3, 6, 9, 12, 200, 255]);
});

test("remote mode reports only when asked", () => {
  const { mouse, drain, send } = rig();
  send(0xf4, 0xf0);
  mouse.move({ dx: 3 });
  mouse.move({ dx: 4 });
  assert.deepEqual(drain(), []);
  assert.deepEqual(send(0xeb), [0xfa, 0x08, 7, 0]);
  assert.deepEqual(send(0xeb), [0xfa, 0x08, 0, 0]);
  send(0xea);
  mouse.move({ dx: 1 });
  assert.deepEqual(drain(), [0x08, 1, 0]);
});

test("wrap mode echoes all but its end and reset", () => {
  const { send } = rig();
  assert.deepEqual(send(0xee, 0xf4, 0x12), [0xfa, 0xf4, 0x12]);
  assert.deepEqual(send(0xec, 0xf2), [0xfa, 0xfa, 0x00]);
});

test("resend repeats the last report, an unknown command is an error", () => {
  const { mouse, drain, send } = rig();
  send(0xf4);
  mouse.move({ dx: 9 });
  drain();
  assert.deepEqual(send(0xfe), [0x08, 9, 0]);
  assert.deepEqual(send(0x01), [0xfe]);
});

test("the queue is bounded and ends with the last state of the buttons", () => {
  const { mouse, drain, send } = rig();
  send(0xf4);
  for (let i = 0; i < 10_001; i++) {
    mouse.buttons(i % 2 === 0 ? LEFT : 0);
    mouse.move({ dx: 1000, dy: -1000, wheel: 100 });
  }
  assert.ok(mouse.state.reports.length <= QUEUE_LIMIT);
  const bytes = drain();
  assert.ok(bytes.length < 1000);
  assert.equal(bytes.at(-3)! & 7, 1);
});
