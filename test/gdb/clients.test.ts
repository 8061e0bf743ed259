/** Connections to the debugger's port by something else than a well-behaved gdb. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { packet } from "../../src/vm/gdb/testing/fake-target.ts";
import { VirtualMachine } from "../../src/vm/index.ts";
import { countingKernel } from "./counting-kernel.ts";

async function machine(t: TestContext): Promise<VirtualMachine> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-gdb-"));
  t.after(() => rm(directory, { recursive: true }));
  const { file } = await countingKernel(directory, { wide: true });
  const vm = await VirtualMachine.create({ memory: "32M", kernel: file, gdb: {} });
  t.after(() => vm.stop());
  void vm.start();
  return vm;
}

async function connect(t: TestContext, vm: VirtualMachine): Promise<net.Socket> {
  const [host, port] = (vm.gdbAddress ?? "").split(":");
  const socket = net.connect(Number(port), host).setEncoding("latin1");
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Sends bytes; resolves with what comes back once that matches. */
async function talk(socket: net.Socket, text: string, until: RegExp): Promise<string> {
  let said = "";
  const hear = (piece: string) => {
    said += piece;
  };
  socket.on("data", hear);
  socket.write(text, "latin1");
  while (!until.test(said)) await once(socket, "data");
  socket.off("data", hear);
  return said;
}

const REGISTERS = /\$[0-9a-f]{600,}#/;

test("an HTTP request, or a connection that says nothing, does not stop the guest", async (t) => {
  const vm = await machine(t);
  const silent = await connect(t, vm);
  silent.destroy();
  await once(silent, "close");
  const browser = await connect(t, vm);
  browser.write(`POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n${packet("?")}`);
  await once(browser, "close");
  await vm.serial.expect("...");
  const socket = await connect(t, vm);
  await talk(socket, packet("g"), REGISTERS);
});

test("a second connection is closed while there is a first, and the first goes on", async (t) => {
  const vm = await machine(t);
  const first = await connect(t, vm);
  await talk(first, packet("?"), /thread:1/);
  const second = await connect(t, vm);
  await once(second, "close");
  await talk(first, packet("g"), REGISTERS);
});

test("a client that asks for much and reads nothing is held up, and the next one is served", async (t) => {
  const vm = await machine(t);
  const greedy = await connect(t, vm);
  greedy.pause();
  const question = packet("m1000200,2000");
  let accepted = 0;
  for (let i = 0; i < 4000 && greedy.writableLength < 100_000; i++) {
    greedy.write(question.repeat(100));
    accepted += 100;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(greedy.writableLength >= 100_000, `${accepted} questions were taken`);
  greedy.destroy();
  await once(greedy, "close");
  const socket = await connect(t, vm);
  await talk(socket, packet("g"), REGISTERS);
});

/** Random commands, Ctrl-C, and well-formed writes to every register. */
function nonsense(random: SeededRandom): string {
  const commands = ["P", "G", "M", "X", "Z0,", "Z2,", "Z3,", "Z4,", "z2,", "m", "p", "c", "s", "vCont;", "qRcmd,", "?"];
  const alphabet = "0123456789abcdef,:=;";
  const bytes = new Uint8Array(64);
  let text = "";
  for (let i = 0; i < 200; i++) {
    random.fill(bytes);
    const [kind = 0, length = 0] = bytes;
    const rest = [...bytes.subarray(2, 2 + (length % 40))].map((byte) => alphabet[byte % alphabet.length]);
    text += packet(`${commands[kind % commands.length]}${rest.join("")}`);
    if (kind % 3 === 0) text += "\x03";
  }
  for (let number = 0; number < 70; number++) {
    for (const size of [4, 8, 10, 16]) {
      random.fill(bytes);
      const value = [...bytes.subarray(0, size)].map((byte) => byte.toString(16).padStart(2, "0"));
      text += packet(`P${number.toString(16)}=${value.join("")}`);
    }
  }
  return text;
}

test("nonsense ends a machine in no other way than the guest's crash, and the next client is served", async (t) => {
  const random = new SeededRandom(7);
  let vm = await machine(t);
  let served = 0;
  for (let round = 0; round < 20; round++) {
    const socket = await connect(t, vm);
    const questions = `${nonsense(random)}\x03${packet("vCont;s")}\x03${packet("qC")}`;
    const end = await Promise.race([talk(socket, questions, /QC1#/), vm.ended]);
    if (typeof end === "string") {
      served++;
      socket.destroy();
      await once(socket, "close");
    } else {
      assert.equal(end.kind, "crash");
      vm = await machine(t);
    }
  }
  assert.ok(served >= 5, `${served} of 20`);
  const socket = await connect(t, vm);
  await talk(socket, packet("g"), REGISTERS);
});
