import assert from "node:assert/strict";
import { test } from "node:test";
import { Ps2Keyboard } from "../../device/i8042/ps2-keyboard.ts";
import { Ps2Mouse } from "../../device/i8042/ps2-mouse.ts";
import { UsbTablet } from "../../device/usb-tablet/usb-tablet.ts";
import { ManualTime } from "../../machine/testing/rig.ts";
import { chord } from "./chord.ts";
import { GuestInput, PACE } from "./guest-input.ts";
import { typedText } from "./layouts.ts";

function rig() {
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  const time = new ManualTime();
  const input = new GuestInput({ keyboard, mouse, time, wake: () => {} });
  const drain = () => {
    const bytes: number[] = [];
    for (let byte = keyboard.take(); byte !== undefined; byte = keyboard.take()) bytes.push(byte);
    return bytes;
  };
  return { keyboard, time, input, drain };
}

test("typed keys come one at a time, at their pace and when the guest has taken the one before", async () => {
  const { time, input, drain } = rig();
  const typed = input.type(typedText("a"));
  input.pump();
  assert.deepEqual(drain(), [0x1c]);
  time.advance(PACE - 1);
  assert.deepEqual(drain(), []);
  time.advance(1);
  time.advance(10 * PACE);
  assert.deepEqual(drain(), [0xf0, 0x1c]);
  assert.equal(await typed.done, true);
  input.type(typedText("b"));
  input.pump();
  time.advance(10 * PACE);
  input.pump();
  assert.deepEqual(drain(), [0x32], "the release waits while the press is not taken");
  input.pump();
  assert.deepEqual(drain(), [0xf0, 0x32]);
});

test("pressed keys come at once and all of them, more than the keyboard has room for", () => {
  const { input, drain } = rig();
  for (let i = 0; i < 100; i++) {
    input.key("KeyA", true);
    input.key("KeyA", false);
  }
  const bytes: number[] = [];
  for (let i = 0; i < 20; i++) {
    input.pump();
    bytes.push(...drain());
  }
  assert.equal(bytes.length, 300);
});

test("keys pressed on a keyboard that is off are lost, typed ones wait", () => {
  const { keyboard, time, input, drain } = rig();
  keyboard.send(0xf5);
  drain();
  input.key("KeyA", true);
  input.key("KeyA", false);
  input.type(typedText("b"));
  input.pump();
  keyboard.send(0xf4);
  drain();
  input.pump();
  time.advance(PACE);
  input.pump();
  assert.deepEqual(drain(), [0x32]);
});

test("what a person or a program sends without an end is bounded", () => {
  const { input } = rig();
  for (let i = 0; i < 100_000; i++) input.key("KeyA", i % 2 === 0);
  const text = typedText("x".repeat(100_000));
  input.type(text);
  input.type(text);
  assert.throws(() => input.type(text), /too much text waits/);
});

test("typing ends with the machine", async () => {
  const { input } = rig();
  const typed = input.type(typedText("hello"));
  input.end();
  assert.equal(await typed.done, false);
  assert.equal(await input.type(typedText("more")).done, false);
});

test("what the machine ends on has been typed, though the last key is still down", async () => {
  const { input } = rig();
  const typed = input.type(typedText("\n"));
  input.pump();
  assert.equal(typed.left, 1);
  input.end();
  assert.equal(await typed.done, true);
});

test("what is cancelled lets go of its keys, and the next is typed", async () => {
  const { time, input, drain } = rig();
  const chords = input.type(chord("ctrl-alt-delete"));
  const next = input.type(typedText("a"));
  for (let i = 0; i < 2; i++) {
    input.pump();
    drain();
    time.advance(PACE);
  }
  assert.equal(chords.left, 3);
  drain();
  chords.cancel();
  chords.cancel();
  assert.equal(await chords.done, false);
  input.pump();
  assert.deepEqual(drain(), [0xf0, 0x14, 0xf0, 0x11, 0xe0, 0xf0, 0x71]);
  time.advance(PACE);
  input.pump();
  assert.deepEqual(drain(), [0x1c]);
  assert.equal(next.left, 1);
});

test("a chord goes down in order and up in the other order, by names of several kinds", () => {
  const changes = (text: string) =>
    chord(text)
      .map(({ code, down }) => `${down ? "+" : "-"}${code}`)
      .join(" ");
  assert.equal(changes("ctrl-alt-delete"), "+ControlLeft +AltLeft +Delete -Delete -AltLeft -ControlLeft");
  assert.equal(changes("Ctrl+Alt+Del"), changes("ctrl-alt-delete"));
  assert.equal(changes("ret"), changes("Enter"));
  assert.equal(changes("-"), "+Minus -Minus");
  assert.equal(changes("alt-/"), "+AltLeft +Slash -Slash -AltLeft");
  assert.equal(changes("shift-kp_5"), "+ShiftLeft +Numpad5 -Numpad5 -ShiftLeft");
  assert.throws(() => chord("ctrl-delte"), /"delte" in "ctrl-delte" is no key; there are delete, del/);
  assert.throws(() => chord("ctrl--"), /is no key/);
  assert.throws(() => chord(""), /is no key/);
  assert.throws(() => chord("a-b-c-d-e-f-g-h-i"), /more than 8 keys/);
});

test("places go to a tablet that the guest uses, and buttons to what moved the pointer last", () => {
  const tablet = new UsbTablet();
  const mouse = new Ps2Mouse();
  const input = new GuestInput({ keyboard: new Ps2Keyboard(), mouse, tablet, time: new ManualTime(), wake: () => {} });
  assert.equal(input.takesPlaces, false);
  input.buttons(1);
  assert.deepEqual([mouse.state.buttons, tablet.state.present.buttons], [1, 0]);
  tablet.control({ bmRequestType: 0, bRequest: 9, wValue: 1, wIndex: 0, wLength: 0 });
  tablet.interruptIn(1);
  assert.equal(input.takesPlaces, true);
  input.place({ x: 100, y: 200, wheel: 1 });
  input.buttons(2);
  assert.deepEqual([mouse.state.buttons, tablet.state.present.buttons], [0, 2]);
  const packets = [tablet.interruptIn(1), tablet.interruptIn(1)].map((packet) => [...(packet as Uint8Array)]);
  assert.deepEqual(packets, [
    [0, 100, 0, 200, 0, 0xff],
    [2, 100, 0, 200, 0, 0],
  ]);
  input.move({ dx: 1 });
  input.buttons(4);
  assert.deepEqual([mouse.state.buttons, tablet.state.present.buttons], [4, 0]);
  tablet.stopAsking(1);
  assert.equal(input.takesPlaces, false);
  assert.equal(rig().input.takesPlaces, false, "a machine without one");
});
