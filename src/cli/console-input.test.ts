import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ConsoleInput } from "./console-input.ts";
import { FakeMachine, FakeTerminal } from "./testing/fake-machine.ts";

test("a terminal is raw while the console is open, and again after a shell had it", () => {
  const terminal = new FakeTerminal();
  const input = new ConsoleInput(terminal, new FakeMachine(), () => {});
  input.open();
  assert.equal(terminal.isRaw, true);
  terminal.isRaw = false;
  input.setRaw();
  assert.equal(terminal.isRaw, true);
  input.close();
  assert.equal(terminal.isRaw, false);
  input.setRaw();
  assert.equal(terminal.isRaw, false);
});

test("a pipe's bytes reach the guest, its end stops nothing", async () => {
  const pipe = new PassThrough();
  const machine = new FakeMachine();
  const actions: string[] = [];
  new ConsoleInput(pipe, machine, ({ kind }) => actions.push(kind)).open();
  pipe.end("date\n\x01p");
  await turn();
  await turn();
  assert.equal(machine.received, "date\n");
  assert.deepEqual(actions, ["power-button"]);
});

test("a pipe is not read on while the guest has much left to read", async () => {
  const pipe = new PassThrough();
  const machine = new FakeMachine();
  const input = new ConsoleInput(pipe, machine, () => {});
  input.open();
  machine.serialBacklog = 64 * 1024;
  pipe.write("a");
  await turn();
  pipe.write("b");
  await turn();
  input.resume();
  await turn();
  assert.equal(machine.received, "a");
  machine.serialBacklog = 0;
  input.resume();
  await turn();
  assert.equal(machine.received, "ab");
});

test("a terminal is read on, so that the key to quit works on a guest that reads nothing", async () => {
  const terminal = new FakeTerminal();
  const machine = new FakeMachine();
  const actions: string[] = [];
  new ConsoleInput(terminal, machine, ({ kind }) => actions.push(kind)).open();
  machine.serialBacklog = 1024 * 1024;
  terminal.write("text");
  await turn();
  terminal.write("\x01x");
  await turn();
  assert.deepEqual(actions, ["quit"]);
});

test("nothing reaches the guest after the console is closed", async () => {
  const pipe = new PassThrough();
  const machine = new FakeMachine();
  const input = new ConsoleInput(pipe, machine, () => {});
  input.open();
  input.close();
  pipe.write("late");
  await turn();
  input.resume();
  await turn();
  assert.equal(machine.received, "");
});
