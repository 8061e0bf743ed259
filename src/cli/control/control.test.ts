import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { Ps2Keyboard } from "../../device/i8042/ps2-keyboard.ts";
import { Ps2Mouse } from "../../device/i8042/ps2-mouse.ts";
import { ManualTime, SeededRandom } from "../../machine/testing/rig.ts";
import { GuestInput } from "../../vm/input/guest-input.ts";
import { ScreenReader } from "../../vm/screen/screen-reader.ts";
import { TestDisplay } from "../../vm/screen/testing/test-display.ts";
import { CliError } from "../failure.ts";
import { askMachine, findMachine } from "./control-client.ts";
import { controlCommand } from "./control-commands.ts";
import { ControlServer } from "./control-server.ts";
import { MachineControls } from "./machine-controls.ts";
import { LONGEST_REQUEST, parseRequest, RequestError } from "./protocol.ts";
import { makeRuntimeDirectory, nameAfter, runtimeDirectory } from "./runtime-directory.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-control-"));
});
after(() => rm(directory, { recursive: true }));

/** A machine's keyboard that is read as fast as it sends, and its control socket. */
async function rig(name: string, { hasScreen = true } = {}) {
  const keyboard = new Ps2Keyboard();
  const time = new ManualTime();
  const received: number[] = [];
  const input: GuestInput = new GuestInput({
    keyboard,
    mouse: new Ps2Mouse(),
    time,
    wake: () =>
      setImmediate(() => {
        for (let i = 0; i < 100; i++) {
          input.pump();
          for (let byte = keyboard.take(); byte !== undefined; byte = keyboard.take()) received.push(byte);
          time.advance(20e6);
        }
      }),
  });
  const display = new TestDisplay(64, 48);
  const server = await ControlServer.listen(path.join(directory, "run"), name);
  server.attach(new MachineControls(name, input, hasScreen ? new ScreenReader(display, []) : undefined));
  return { server, display, received };
}

const run = () => path.join(directory, "run");

test("a machine is found by its name; keys, text and screenshots go through its socket", async () => {
  const { server, received } = await rig("guest");
  try {
    assert.equal((await stat(server.path)).mode & 0o777, 0o600);
    assert.equal((await stat(run())).mode & 0o777, 0o700);
    const sendkeys = { verb: "sendkeys", machine: "guest", layout: "us" } as const;
    await controlCommand({ ...sendkeys, keys: ["ctrl-c", "ret"], text: "a" }, run());
    assert.deepEqual(received, [0x1c, 0xf0, 0x1c, 0x14, 0x21, 0xf0, 0x21, 0xf0, 0x14, 0x5a, 0xf0, 0x5a]);
    const file = path.join(directory, "shot.png");
    await controlCommand({ verb: "screenshot", machine: String(process.pid), file }, run());
    assert.equal((await readFile(file)).readUInt32BE(16), 64);
    await assert.rejects(
      controlCommand({ verb: "screenshot", machine: "guest", file: path.join(directory, "no", "x") }, run()),
      (error) => error instanceof CliError && error.status === 66,
    );
    await assert.rejects(controlCommand({ ...sendkeys, keys: ["ctrl-nokey"], text: undefined }, run()), {
      status: 64,
    });
  } finally {
    server.close();
  }
  assert.deepEqual(await readdir(run()), []);
});

test("floppy disks are changed through the socket, and not by who has no say over files", async () => {
  const { server } = await rig("dos");
  const changes: unknown[] = [];
  const media = {
    changeFloppy: async (drive: number, disk: unknown) => {
      if (drive === 1) throw new RangeError("the machine has no floppy drive 1");
      changes.push([drive, disk]);
    },
  };
  const floppy = { verb: "floppy", machine: "dos", drive: "a", readOnly: false, snapshot: false } as const;
  try {
    await assert.rejects(controlCommand({ ...floppy, file: "x" }, run()), /cannot be changed from here/);
    const keyboard = new Ps2Keyboard();
    const input = new GuestInput({ keyboard, mouse: new Ps2Mouse(), time: new ManualTime(), wake: () => {} });
    server.attach(new MachineControls("dos", input, undefined, media));
    await controlCommand({ ...floppy, file: "disk.img", readOnly: true }, run());
    await controlCommand({ ...floppy, file: undefined }, run());
    const disk = { file: path.resolve("disk.img"), readOnly: true, snapshot: false };
    assert.deepEqual(changes, [
      [0, disk],
      [0, undefined],
    ]);
    await assert.rejects(controlCommand({ ...floppy, drive: "b", file: undefined }, run()), /no floppy drive 1/);
  } finally {
    server.close();
  }
  for (const line of ['{"verb":"floppy","drive":2}', '{"verb":"floppy","drive":0,"file":7}']) {
    assert.throws(() => parseRequest(line), RequestError);
  }
});

test("no machine, another one, and several of the name are told apart", async () => {
  await assert.rejects(findMachine(run(), "guest"), {
    status: 69,
    message: 'no machine "guest" runs; none does; bunk run --name NAME starts one',
  });
  const { server } = await rig("other");
  await assert.rejects(findMachine(run(), "guest"), {
    message: `no machine "guest" runs; there are other (process ${process.pid})`,
  });
  // The name of one may be the process of another.
  const second = await rig(String(process.pid));
  await assert.rejects(findMachine(run(), String(process.pid)), /several machines go by/);
  server.close();
  second.server.close();
});

test("a machine without a screen refuses a screenshot, with its reason", async () => {
  const { server } = await rig("blind", { hasScreen: false });
  await assert.rejects(askMachine(await findMachine(run(), "blind"), { verb: "screenshot" }), {
    message: /^blind: the machine has no screen; bunk run --display none/,
  });
  server.close();
});

test("sockets of machines that are gone are removed", async () => {
  await writeFile(path.join(run(), "gone.12345.sock"), "");
  await writeFile(path.join(run(), "unrelated.txt"), "");
  await assert.rejects(findMachine(run(), "gone"), /no machine "gone" runs/);
  assert.deepEqual(await readdir(run()), ["unrelated.txt"]);
});

test("a directory that others can write to is refused, and one that cannot be", async () => {
  const open = path.join(directory, "open");
  await makeRuntimeDirectory(open);
  const { chmod } = await import("node:fs/promises");
  await chmod(open, 0o777);
  await assert.rejects(makeRuntimeDirectory(open), /is not yours alone/);
  await writeFile(path.join(directory, "file"), "");
  await assert.rejects(makeRuntimeDirectory(path.join(directory, "file", "run")), {
    status: 69,
    message: /where control sockets are.*; set XDG_RUNTIME_DIR/,
  });
});

test("the runtime directory is where the environment says, else one of the user's own", () => {
  assert.equal(runtimeDirectory({ XDG_RUNTIME_DIR: "/run/user/1" }), "/run/user/1/bunkhouse");
  assert.match(runtimeDirectory({ XDG_RUNTIME_DIR: "relative" }), /bunkhouse-\d+$/);
  assert.match(runtimeDirectory({}), /bunkhouse-\d+$/);
});

test("a machine's name is made from its guest or file", () => {
  assert.deepEqual(["debian", "/a/b zImage.bin", "..", "-x-", "é"].map(nameAfter), [
    "debian",
    "b-zImage",
    "machine",
    "x-",
    "machine",
  ]);
});

for (const [line, problem] of [
  ["", /line of JSON/],
  ["[]", /object with a verb/],
  ["null", /object with a verb/],
  ['{"verb":"constructor"}', /verb must be one of status, screenshot, keys, type, floppy, mouse/],
  ['{"verb":"keys","keys":"a"}', /keys must be a list/],
  ['{"verb":"keys","keys":[1]}', /keys must be a list/],
  ['{"verb":"keys","keys":["nokey"]}', /is no key/],
  ['{"verb":"type"}', /text must be a string/],
  ['{"verb":"type","text":"a","layout":"xx"}', /layout must be one of/],
  ['{"verb":"mouse","dx":1e300}', /dx must be a whole number/],
] as const) {
  test(`the request ${line} is refused`, () => {
    assert.throws(() => parseRequest(line), problem);
  });
}

test("a hostile client of the socket gets refusals, and an end where it sends too much", async () => {
  const { server } = await rig("victim");
  const random = new SeededRandom(7);
  for (let i = 0; i < 20; i++) {
    const socket = connect(server.path);
    socket.on("error", () => {});
    socket.resume();
    const noise = Buffer.from(Uint8Array.from({ length: 2000 }, () => random.next() & 0xff));
    socket.end(noise);
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const long = connect(server.path);
  long.on("error", () => {});
  long.write("x".repeat(LONGEST_REQUEST + 100_000));
  await new Promise((resolve) => long.once("close", resolve));
  const reply = await askMachine(await findMachine(run(), "victim"), { verb: "status" });
  assert.deepEqual(reply, { ok: true, name: "victim", pid: process.pid });
  assert.throws(() => parseRequest("{"), RequestError);
  server.close();
});
