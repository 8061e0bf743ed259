import assert from "node:assert/strict";
import { test } from "node:test";
import { Ps2Keyboard, QUEUE_LIMIT } from "./ps2-keyboard.ts";
import { KEYS } from "./scan-codes.ts";

function rig() {
  const leds: number[] = [];
  const keyboard = new Ps2Keyboard({ onLeds: (value) => leds.push(value) });
  const drain = () => {
    const bytes: number[] = [];
    for (let byte = keyboard.take(); byte !== undefined; byte = keyboard.take()) bytes.push(byte);
    return bytes;
  };
  const send = (...bytes: number[]) => {
    const answer: number[] = [];
    for (const byte of bytes) {
      keyboard.send(byte);
      answer.push(...drain());
    }
    return answer;
  };
  const type = (name: string) => {
    keyboard.key(name, true);
    const make = drain();
    keyboard.key(name, false);
    return [make, drain()];
  };
  return { keyboard, leds, drain, send, type };
}

test("set 2 is the power-on set; extended keys have the prefix E0, breaks F0", () => {
  const { type } = rig();
  assert.deepEqual(type("KeyA"), [[0x1c], [0xf0, 0x1c]]);
  assert.deepEqual(type("F7"), [[0x83], [0xf0, 0x83]]);
  assert.deepEqual(type("ControlRight"), [
    [0xe0, 0x14],
    [0xe0, 0xf0, 0x14],
  ]);
  assert.deepEqual(type("MetaLeft"), [
    [0xe0, 0x1f],
    [0xe0, 0xf0, 0x1f],
  ]);
});

test("set 1 is chosen with F0 01", () => {
  const { send, type } = rig();
  assert.deepEqual(send(0xf0, 0x01), [0xfa, 0xfa]);
  assert.deepEqual(send(0xf0, 0x00), [0xfa, 0xfa, 0x01]);
  assert.deepEqual(type("Escape"), [[0x01], [0x81]]);
  assert.deepEqual(type("F12"), [[0x58], [0xd8]]);
  assert.deepEqual(type("Delete"), [
    [0xe0, 0x53],
    [0xe0, 0xd3],
  ]);
  assert.deepEqual(type("Pause"), [[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], []]);
  assert.deepEqual(type("PrintScreen"), [
    [0xe0, 0x2a, 0xe0, 0x37],
    [0xe0, 0xb7, 0xe0, 0xaa],
  ]);
});

test("set 1 codes are in the order of the original keyboard, row by row", () => {
  const { send, type } = rig();
  send(0xf0, 0x01);
  const rows = [
    "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace",
    "Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Enter",
    "ControlLeft KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote",
    "ShiftLeft Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight NumpadMultiply",
    "AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock",
    "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd Numpad1 Numpad2 Numpad3 Numpad0",
    "NumpadDecimal",
  ];
  let code = 1;
  for (const name of rows.join(" ").split(" ")) assert.deepEqual(type(name)[0], [code++], name);
});

test("no two keys share a code in any set", () => {
  const set2 = [...KEYS.values()].map((codes) => codes.set2);
  const set3 = [...KEYS.values()].map((codes) => codes.set3).filter((code) => code !== 0);
  assert.equal(new Set(set2).size, set2.length);
  assert.equal(new Set(set3).size, set3.length);
  for (const codes of KEYS.values()) assert.ok(codes.set2 > 0 && codes.set2 < 0x200 && codes.set3 < 0x100);
});

test("in set 3 keys send a break only where they are make/break", () => {
  const { send, type } = rig();
  send(0xf0, 0x03);
  assert.deepEqual(type("ArrowUp"), [[0x63], []]);
  assert.deepEqual(type("ShiftLeft"), [[0x12], [0xf0, 0x12]]);
  assert.deepEqual(send(0xfc, 0x63), [0xfa, 0xfa]);
  assert.deepEqual(type("ArrowUp"), [[0x63], [0xf0, 0x63]]);
  assert.deepEqual(send(0xfd, 0x12), [0xfa, 0xfa]);
  assert.deepEqual(type("ShiftLeft"), [[0x12], []]);
  assert.deepEqual(send(0xf8), [0xfa]);
  assert.deepEqual(type("KeyA"), [[0x1c], [0xf0, 0x1c]]);
  assert.deepEqual(send(0xf7), [0xfa]);
  assert.deepEqual(type("KeyA"), [[0x1c], []]);
});

test("Pause with Ctrl is Break, PrintScreen with Alt is SysRq, with Shift it has no shift codes", () => {
  const { keyboard, type, drain } = rig();
  keyboard.key("ControlLeft", true);
  drain();
  assert.deepEqual(type("Pause")[0], [0xe0, 0x7e, 0xe0, 0xf0, 0x7e]);
  keyboard.key("ControlLeft", false);
  keyboard.key("AltRight", true);
  drain();
  assert.deepEqual(type("PrintScreen"), [[0x84], [0xf0, 0x84]]);
  keyboard.key("AltRight", false);
  keyboard.key("ShiftLeft", true);
  drain();
  assert.deepEqual(type("PrintScreen"), [
    [0xe0, 0x7c],
    [0xe0, 0xf0, 0x7c],
  ]);
});

test("ED sets the lights", () => {
  const { send, leds } = rig();
  assert.deepEqual(send(0xed, 0x05), [0xfa, 0xfa]);
  assert.deepEqual(leds, [5]);
});

test("a command in place of a parameter is taken as a command", () => {
  const { send, leds } = rig();
  assert.deepEqual(send(0xed, 0xee), [0xfa, 0xee]);
  assert.deepEqual(send(0x05), [0xfe]);
  assert.deepEqual(leds, []);
});

test("echo, identify, typematic, resend and unknown bytes are answered", () => {
  const { send } = rig();
  assert.deepEqual(send(0xee), [0xee]);
  assert.deepEqual(send(0xf2), [0xfa, 0xab, 0x83]);
  assert.deepEqual(send(0xf3, 0x2b), [0xfa, 0xfa]);
  assert.deepEqual(send(0xfe), [0xfa]);
  assert.deepEqual(send(0x12), [0xfe]);
  assert.deepEqual(send(0xf0, 0x09), [0xfa, 0xfe], "a set that is none");
});

test("F5 stops keys, F4 starts them again with an empty queue, F6 restores set 2", () => {
  const { keyboard, send, type } = rig();
  assert.deepEqual(send(0xf5), [0xfa]);
  assert.equal(keyboard.key("KeyA", true), false);
  assert.deepEqual(type("KeyA"), [[], []]);
  assert.deepEqual(send(0xf4), [0xfa]);
  send(0xf0, 0x01);
  assert.deepEqual(type("KeyA"), [[0x1e], [0x9e]]);
  assert.deepEqual(send(0xf6), [0xfa]);
  assert.deepEqual(type("KeyA"), [[0x1c], [0xf0, 0x1c]]);
});

test("reset answers ACK and the self test's success, and turns the lights off", () => {
  const { send, leds, type } = rig();
  send(0xed, 0x07);
  send(0xf5);
  assert.deepEqual(send(0xff), [0xfa, 0xaa]);
  assert.deepEqual(leds, [7, 0]);
  assert.deepEqual(type("Space"), [[0x29], [0xf0, 0x29]]);
});

test("an answer goes before keys that wait", () => {
  const { keyboard, send } = rig();
  keyboard.key("KeyA", true);
  assert.deepEqual(send(0xee), [0xee, 0x1c]);
});

test("the queue takes makes up to half of it, so that breaks have room; unknown keys are refused", () => {
  const { keyboard, drain } = rig();
  let accepted = 0;
  while (keyboard.key("KeyA", true)) accepted++;
  assert.equal(accepted, QUEUE_LIMIT / 2);
  assert.equal(keyboard.key("KeyA", false), true);
  assert.equal(drain().length, QUEUE_LIMIT / 2 + 2);
  assert.equal(keyboard.key("KeyA", true), true);
  assert.equal(keyboard.key("NoSuchKey", true), false);
});
