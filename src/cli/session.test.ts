import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ConsoleOutput } from "./console-output.ts";
import { runSession } from "./session.ts";
import { FakeMachine, FakeTerminal, fakeProcess } from "./testing/fake-machine.ts";

async function rig({ output = new PassThrough() as Writable } = {}) {
  const machine = new FakeMachine();
  const terminal = new FakeTerminal();
  const process = fakeProcess();
  let messages = "";
  let serial: ConsoleOutput | undefined;
  const end = runSession(
    async (sink) => {
      serial = sink;
      return machine;
    },
    { input: terminal, output, messages: { write: (text) => (messages += text) }, process },
  );
  // By then the machine is made.
  await turn();
  const send = (text: string) => serial?.write(Buffer.from(text));
  return { machine, terminal, process, output, end, send, messages: () => messages };
}

test("a guest that switches itself off ends the session, with all of its output written", async () => {
  const { machine, terminal, output, end, send, process } = await rig();
  assert.equal(terminal.isRaw, true);
  send("Power down\r\n");
  machine.end({ kind: "power-off" });
  assert.deepEqual(await end, { kind: "power-off" });
  assert.equal(output instanceof PassThrough && String(output.read()), "Power down\r\n");
  assert.equal(terminal.isRaw, false);
  assert.deepEqual(process.eventNames(), []);
});

test("a terminal's user is told how to quit, and Ctrl-A X does it", async () => {
  const { terminal, end, messages } = await rig();
  assert.match(messages(), /Ctrl-A X quits/);
  terminal.write("\x01x");
  assert.deepEqual(await end, { kind: "stopped" });
  assert.equal(terminal.isRaw, false);
});

test("Ctrl-A H lists the keys, Ctrl-A P presses the power button, the machine goes on", async () => {
  const { terminal, machine, end, messages } = await rig();
  terminal.write("\x01h\x01plater");
  await turn();
  assert.match(messages(), /Ctrl-A P {2}press the power button/);
  assert.equal(machine.powerButtonPresses, 1);
  assert.equal(machine.received, "later");
  machine.end({ kind: "power-off" });
  await end;
});

test("a signal stops the machine and gives the terminal back", async () => {
  const { process, terminal, end } = await rig();
  process.emit("SIGTERM", "SIGTERM");
  process.emit("SIGTERM", "SIGTERM");
  assert.deepEqual(await end, { kind: "signal", signal: "SIGTERM" });
  assert.equal(terminal.isRaw, false);
});

test("a process that exits in the middle gives the terminal back", async () => {
  const { process, terminal, machine, end } = await rig();
  process.emit("exit", 76);
  assert.equal(terminal.isRaw, false);
  machine.stop();
  await end;
});

test("a terminal that comes back from its shell is raw again", async () => {
  const { process, terminal, machine, end } = await rig();
  terminal.isRaw = false;
  process.emit("SIGCONT", "SIGCONT");
  assert.equal(terminal.isRaw, true);
  machine.stop();
  await end;
});

test("a defect of the machine is passed on, with the terminal as before", async () => {
  const { machine, terminal, end, output, send } = await rig();
  send("last words");
  machine.fail(new Error("a defect"));
  await assert.rejects(end, /a defect/);
  assert.equal(terminal.isRaw, false);
  assert.equal(output instanceof PassThrough && String(output.read()), "last words");
});

test("a machine whose output's reader is gone is stopped", async () => {
  const { output, end } = await rig();
  const error = new Error("EPIPE");
  output.destroy(error);
  assert.deepEqual(await end, { kind: "output-failed", error });
});

test("a signal ends a session whose output nobody takes", async () => {
  const stuck = new Writable({ write: () => {} });
  const { process, end, send } = await rig({ output: stuck });
  send("never read");
  await turn();
  process.emit("SIGINT", "SIGINT");
  assert.deepEqual(await end, { kind: "signal", signal: "SIGINT" });
});
