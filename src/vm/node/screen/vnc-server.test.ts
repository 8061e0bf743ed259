import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { SeededRandom } from "../../../machine/testing/rig.ts";
import { RfbClient } from "../../rfb/testing/rfb-client.ts";
import { TestDisplay, TestInput } from "../../screen/testing/test-display.ts";
import { ListenError } from "./listen.ts";
import { ScreenHub } from "./screen-hub.ts";
import { VncPassword } from "./vnc-password.ts";
import { VncServer } from "./vnc-server.ts";

const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-vnc-"));
const closers: (() => void)[] = [() => void rm(directory, { recursive: true })];
after(() => {
  for (const close of closers) close();
});

async function rig({ width = 200, height = 150, password = "" } = {}) {
  const display = new TestDisplay(width, height);
  const input = new TestInput();
  const server = await VncServer.listen(
    { host: "127.0.0.1", port: 0 },
    password === "" ? undefined : new VncPassword(password),
  );
  const hub = new ScreenHub({ display, input, name: "guest" });
  server.attach(hub);
  const sockets: Socket[] = [];
  const viewer = async (options: Parameters<RfbClient["open"]>[0] = {}) => {
    const socket = connect(Number(server.address.split(":").at(-1)), "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    const client = new RfbClient(socket);
    await client.open({ password, ...options });
    return { client, socket };
  };
  closers.push(() => {
    hub.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { display, input, server, hub, viewer };
}

const whole = (display: TestDisplay) => ({ x: 0, y: 0, ...display.size });

/** Pictures that make each way of a ZRLE tile the shortest. */
const PATTERNS: Record<string, (x: number, y: number, random: SeededRandom) => number> = {
  "one colour": () => 0x123456,
  "two colours": (x, y) => ((x ^ y) & 1 ? 0xffffff : 0x0000aa),
  "sixteen colours": (x, y) => (((x * 7) ^ (y * 3)) & 15) * 0x101010,
  "few colours in runs": (_, y) => (y % 40) * 0x050505,
  "a hundred colours in short runs": (x, y) => ((x >> 1) + y * 3) % 100,
  "many colours in runs": (x, y) => (y << 8) | (x >> 5),
  noise: (_x, _y, random) => random.next() & 0xffffff,
};

for (const [name, colour] of Object.entries(PATTERNS)) {
  test(`a picture of ${name} arrives the same as Raw and as ZRLE`, async () => {
    const { display, viewer } = await rig();
    const random = new SeededRandom(1);
    display.paint(whole(display), (x, y) => colour(x, y, random));
    for (const encodings of [[0], [16, 0]]) {
      const { client } = await viewer();
      client.setEncodings(...encodings);
      client.request(false);
      await client.update();
      assert.deepEqual(client.picture, display.pixels);
      assert.deepEqual(new Set(client.seen), new Set([encodings[0]]));
    }
  });
}

for (const version of ["003.003", "003.007", "003.008"]) {
  test(`version ${version} shakes hands with and without a password`, async () => {
    const { client } = await (await rig()).viewer({ version });
    assert.deepEqual([client.width, client.height, client.name], [200, 150, "guest"]);
    const locked = await rig({ password: "open sesame" });
    await locked.viewer({ version });
    // Only eight characters count.
    await locked.viewer({ version, password: "open ses" });
    await assert.rejects(
      locked.viewer({ version, password: "open" }),
      version === "003.008" ? /wrong password/ : /refused/,
    );
  });
}

for (const kind of ["565", "565-big", "map", "bgr-big"] as const) {
  test(`pixels of the format ${kind} come as asked`, async () => {
    const { display, viewer } = await rig();
    const random = new SeededRandom(2);
    // Colours that every format has exactly.
    display.paint(
      whole(display),
      (x, y) => [0, 0xff0000, 0x00ff00, 0x0000ff, 0xffffff][((x >> 4) % 5) ^ (random.below(2) * (y & 1))]! & 0xffffff,
    );
    for (const encoding of [0, 16]) {
      const { client } = await viewer();
      client.setPixelFormat(kind);
      client.setEncodings(encoding);
      client.request(false);
      await client.update();
      assert.deepEqual(client.picture, display.pixels);
    }
  });
}

test("a viewer that waits is sent nothing until something changes, and then only that", async () => {
  const { display, viewer } = await rig({ width: 640, height: 480 });
  display.exaggerates = true;
  const { client } = await viewer();
  client.setEncodings(16);
  client.request(false);
  await client.update();
  const before = client.bytes;
  client.request(true);
  const seen = display.draws;
  while (display.draws < seen + 5) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(client.bytes, before);
  display.paint({ x: 100, y: 100, width: 8, height: 16 }, () => 0xaaaaaa);
  await client.update();
  assert.deepEqual(client.picture, display.pixels);
  assert.ok(client.bytes - before < 200, `${client.bytes - before} bytes`);
});

test("pictures are drawn for viewers that wait only", async () => {
  const { display, viewer } = await rig();
  const { client } = await viewer();
  client.request(false);
  await client.update();
  const draws = display.draws;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(display.draws, draws);
});

test("a new size is told to viewers that know of sizes, and cut for others", async () => {
  const { display, viewer } = await rig();
  const { client: modern } = await viewer();
  const { client: plain } = await viewer();
  modern.setEncodings(16, -223);
  for (const client of [modern, plain]) {
    client.request(false);
    await client.update();
    client.request(true);
  }
  display.resize(720, 100);
  display.paint(whole(display), (x, y) => x * 256 + y);
  assert.deepEqual(await modern.update(), [-223]);
  assert.deepEqual([modern.width, modern.height], [720, 100]);
  modern.request(true);
  await modern.update();
  assert.deepEqual(modern.picture, display.pixels);
  await plain.update();
  assert.deepEqual([plain.width, plain.height], [200, 150]);
  assert.equal(plain.picture[50 * 200 + 199], display.pixel(199, 50));
  assert.equal(plain.picture[120 * 200], 0, "below the picture it is black");
});

test("a part that is asked for is sent, the rest waits to be asked for", async () => {
  const { display, viewer } = await rig();
  display.paint(whole(display), (x, y) => x ^ y);
  const { client } = await viewer();
  client.request(true, 10, 20, 30, 40);
  await client.update();
  assert.equal(client.picture[20 * 200 + 10], display.pixel(10, 20));
  assert.equal(client.picture[19 * 200 + 10], 0);
  client.request(true);
  await client.update();
  assert.deepEqual(client.picture, display.pixels);
});

test("a large picture comes in several updates", async () => {
  const { display, viewer } = await rig({ width: 1600, height: 1200 });
  display.paint(whole(display), (x, y) => (x * y) & 0xffffff);
  const { client } = await viewer();
  client.setEncodings(16);
  client.request(false);
  await client.update();
  assert.notDeepEqual(client.picture, display.pixels);
  client.request(true);
  await client.update();
  assert.deepEqual(client.picture, display.pixels);
});

test("a viewer that reads nothing is sent no more than an update", async () => {
  const { display, viewer } = await rig({ width: 1024, height: 768 });
  const { client, socket } = await viewer();
  socket.pause();
  for (let i = 0; i < 40; i++) {
    display.paint(whole(display), (x, y) => (x * y * i) & 0xffffff);
    client.request(false);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const draws = display.draws;
  while (display.draws < draws + 3) await new Promise((resolve) => setTimeout(resolve, 20));
  socket.resume();
  // What the kernel's buffers held, and the one update that waited; not forty of three megabytes.
  await client.update();
  client.write([6, 0, 0, 0, 0, 0, 0, 0]);
  let updates = 1;
  const timeout = Symbol();
  while ((await Promise.race([client.update(), new Promise((r) => setTimeout(r, 500, timeout))])) !== timeout)
    updates++;
  assert.ok(updates < 15, `${updates} updates`);
});

test("keysyms become the keys of a US keyboard, scan codes the keys they are", async () => {
  const { input, viewer } = await rig();
  const { client, socket } = await viewer();
  client.setEncodings(0, -258);
  client.request(false);
  assert.ok((await client.update()).includes(-258));
  const tap = (keysym: number) => {
    client.key(keysym, true);
    client.key(keysym, false);
  };
  tap(0x61); // a
  client.key(0xffe1, true); // Shift
  tap(0x41); // A
  client.key(0xffe1, false);
  tap(0x21); // !, on a layout that has it without Shift
  client.key(0xffe1, true);
  tap(0x31); // 1, on a layout that has it with Shift
  client.key(0xffe1, false);
  tap(0xff1b); // Escape
  tap(0x10020ac); // a character of no key
  client.extendedKey(0x10, 0x61, true); // a, on a French keyboard
  client.extendedKey(0x10, 0x61, false);
  client.extendedKey(0xc8, 0xff52, true); // up
  client.extendedKey(0xc8, 0xff52, false);
  client.extendedKey(0, 0x62, true); // a key without a scan code
  client.request(false);
  await client.update();
  assert.equal(
    input.keys.join(" "),
    "+KeyA -KeyA +ShiftLeft +KeyA -KeyA -ShiftLeft +ShiftLeft +Digit1 -ShiftLeft -Digit1 " +
      "+ShiftLeft -ShiftLeft +Digit1 +ShiftLeft -Digit1 -ShiftLeft +Escape -Escape " +
      "+KeyQ -KeyQ +ArrowUp -ArrowUp +KeyB",
  );
  socket.destroy();
  while (input.keys.at(-1) !== "-KeyB") await new Promise((resolve) => setTimeout(resolve, 5));
});

test("with CapsLock on in guest and viewer, a capital letter needs no Shift", async () => {
  const { input, viewer } = await rig();
  const { client } = await viewer();
  client.setEncodings(0, -261);
  input.leds = 4;
  client.key(0x41, true);
  client.request(false);
  await client.update();
  assert.deepEqual(input.keys, ["+KeyA"]);
  assert.equal(client.leds, 4);
});

test("pointer events become motion, wheel and buttons; at an edge the guest's pointer is pushed there", async () => {
  const { input, viewer } = await rig();
  const { client } = await viewer();
  client.pointer(0, 50, 60);
  client.pointer(1, 53, 58);
  client.pointer(0, 53, 58);
  client.pointer(2 | 4, 53, 58);
  client.pointer(0, 53, 58);
  client.pointer(8, 53, 58);
  client.pointer(0, 53, 58);
  client.pointer(16, 53, 58);
  client.pointer(0, 0, 149);
  client.request(false);
  await client.update();
  assert.deepEqual(input.motions, [
    { dx: 3, dy: -2, wheel: 0 },
    { dx: 0, dy: 0, wheel: -1 },
    { dx: 0, dy: 0, wheel: 1 },
    { dx: -200, dy: 150, wheel: 0 },
  ]);
  assert.deepEqual(input.buttonStates, [1, 0, 6, 0]);
});

test("viewers that know of it send relative motion and more buttons", async () => {
  const { input, viewer } = await rig();
  const { client } = await viewer();
  client.setEncodings(0, -257, -316);
  client.request(false);
  assert.deepEqual((await client.update()).slice(0, 2).sort(), [-257, -316].sort());
  client.pointer(0, 0x7fff + 5, 0x7fff - 6);
  client.pointer(0x80, 0x7fff, 0x7fff, 2);
  client.request(false);
  await client.update();
  assert.deepEqual(input.motions, [{ dx: 5, dy: -6, wheel: 0 }]);
  assert.deepEqual(input.buttonStates, [16]);
});

test("where the guest uses a tablet, pointer events are places: middles of pixels, edges at edges", async () => {
  const { input, viewer } = await rig();
  const { client } = await viewer();
  input.takesPlaces = true;
  client.pointer(0, 0, 149);
  client.pointer(1, 100, 75);
  client.pointer(8, 199, 0);
  client.request(false);
  await client.update();
  assert.deepEqual(input.places, [
    { x: 0, y: 32767, wheel: 0 },
    { x: Math.floor((100.5 / 200) * 32768), y: Math.floor((75.5 / 150) * 32768), wheel: 0 },
    { x: 32767, y: 0, wheel: -1 },
  ]);
  assert.deepEqual(input.motions, []);
  assert.deepEqual(input.buttonStates, [1, 0]);
  input.takesPlaces = false;
  client.pointer(0, 197, 4);
  client.request(false);
  await client.update();
  assert.deepEqual(input.motions, [{ dx: -2, dy: 4, wheel: 0 }], "it follows from where it was");
});

test("viewers that send motion are told to send places while the guest uses a tablet", async () => {
  const { input, viewer } = await rig();
  const { client } = await viewer();
  client.setEncodings(0, -257);
  client.request(false);
  assert.ok((await client.update()).includes(-257));
  assert.equal(client.sendsMotion, true);
  input.takesPlaces = true;
  client.request(false);
  assert.ok((await client.update()).includes(-257));
  assert.equal(client.sendsMotion, false);
  client.pointer(0, 0, 0);
  client.request(false);
  await client.update();
  assert.deepEqual([input.places, input.motions], [[{ x: 0, y: 0, wheel: 0 }], []]);
});

test("a Unix socket is its owner's alone, and one that is left over is replaced", async () => {
  const file = path.join(directory, "vnc.sock");
  const first = await VncServer.listen({ path: file });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await assert.rejects(VncServer.listen({ path: file }), (error) => {
    assert.ok(error instanceof ListenError);
    assert.match(error.message, /^VNC viewers cannot be waited for at .*vnc\.sock: it is in use/);
    return true;
  });
  first.close();
  const leave = `require("net").createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", leave]);
  assert.ok((await stat(file)).isSocket());
  (await VncServer.listen({ path: file })).close();
  await assert.rejects(
    VncServer.listen({ path: path.join(directory, "none", "x") }),
    /its directory does not exist, or/,
  );
});
