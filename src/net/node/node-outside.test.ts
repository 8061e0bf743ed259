import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { type TestContext, test } from "node:test";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { ConnectFailure, OutsideAddress } from "../outside.ts";
import { ip } from "../testing/node/network-rig.ts";
import { NodeOutside } from "./node-outside.ts";

const LOOPBACK = "127.0.0.1";
const SOMEWHERE = ip("203.0.113.5");
const bytes = (content: string) => new TextEncoder().encode(content);
const text = (content: Uint8Array) => new TextDecoder().decode(content);

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

async function server(t: TestContext, talk: (socket: Socket) => void): Promise<number> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    talk(socket);
    socket.resume();
  });
  listening.listen(0, LOOPBACK);
  await once(listening, "listening");
  t.after(() => listening.close());
  return portOf(listening);
}

/** A connection with what it was told. */
function connected(outside: NodeOutside, target: OutsideAddress | "name-server") {
  const told: string[] = [];
  let received = 0;
  let wake = () => {};
  const note = (line: string) => {
    told.push(line);
    wake();
  };
  const connection = outside.connect(target, {
    connected: () => note("connected"),
    failed: (why: ConnectFailure) => note(why),
    data: (data) => {
      received += data.length;
      note(`"${text(data.subarray(0, 20))}"`);
    },
    drained: () => wake(),
    ended: () => note("ended"),
    closed: (isReset) => note(isReset ? "reset" : "closed"),
  });
  return {
    connection,
    told,
    received: () => received,
    until: async (condition: () => boolean) => {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

const toHost = { route: () => LOOPBACK };

test("bytes go both ways, and each side ends by itself", async (t) => {
  let said = "";
  const port = await server(t, (socket) => {
    socket.on("data", (data: Uint8Array) => (said += text(data)));
    socket.on("end", () => socket.end("bye"));
  });
  const { connection, told, until } = connected(new NodeOutside(toHost), { address: SOMEWHERE, port });
  await until(() => told.length > 0);
  connection.write(bytes("hel"));
  connection.write(bytes("lo"));
  assert.equal(connection.backlog, 5);
  connection.end();
  await until(() => told.includes("closed"));
  assert.deepEqual(told, ["connected", '"bye"', "ended", "closed"]);
  assert.equal(said, "hello");
});

test("a socket that is paused leaves the bytes with the host, and goes on later", async (t) => {
  const size = 8 << 20;
  const port = await server(t, (socket) => void socket.end(new Uint8Array(size)));
  const { connection, told, until, received } = connected(new NodeOutside(toHost), { address: SOMEWHERE, port });
  await until(() => told.length > 1);
  connection.pause();
  const then = received();
  for (let i = 0; i < 100; i++) await setImmediate();
  assert.ok(received() - then <= 65_536, `${received() - then} bytes`);
  connection.resume();
  connection.end();
  await until(() => told.includes("closed"));
  assert.equal(received(), size);
});

test("where nobody listens, and where a guest may not go, it is refused", async (t) => {
  const closed = createServer();
  closed.listen(0, LOOPBACK);
  await once(closed, "listening");
  const port = portOf(closed);
  closed.close();
  await once(closed, "close");
  const listening = await server(t, () => assert.fail("reached"));
  for (const [outside, target] of [
    [new NodeOutside(toHost), port],
    [new NodeOutside({ route: () => undefined }), listening],
  ] as const) {
    const { told, until } = connected(outside, { address: SOMEWHERE, port: target });
    assert.deepEqual(told, []);
    await until(() => told.length > 0);
    assert.deepEqual(told, ["refused"]);
  }
});

test("all addresses of this host are out of reach, by connections and datagrams", async (t) => {
  const own = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ family }) => family === "IPv4");
  assert.ok(own.length > 0);
  const listening = createServer(() => assert.fail("reached"));
  const receiver = createSocket("udp4", () => assert.fail("reached"));
  listening.listen(0);
  receiver.bind(0);
  await Promise.all([once(listening, "listening"), once(receiver, "listening")]);
  t.after(() => {
    listening.close();
    receiver.close();
  });
  const outside = new NodeOutside();
  const datagrams = outside.openDatagrams(() => {});
  for (const { address } of own) {
    const { told, until } = connected(outside, { address: ip(address), port: portOf(listening) });
    datagrams.send({ address: ip(address), port: portOf(receiver) }, bytes("x"));
    await until(() => told.length > 0);
    assert.deepEqual(told, ["refused"], address);
  }
  await setTimeout(50);
  datagrams.close();
});

test("a connection that is dropped tells nothing more, and resets the other side", async (t) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const port = await server(t, (socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.write("hello");
  });
  const { connection, told, until } = connected(new NodeOutside(toHost), { address: SOMEWHERE, port });
  await until(() => told.length > 1);
  connection.destroy();
  connection.write(bytes("x"));
  assert.equal(await promise, "ECONNRESET");
  await setImmediate();
  assert.deepEqual(told, ["connected", '"hello"']);
});

test("a reset by the other side is told", async (t) => {
  const port = await server(t, (socket) => void socket.on("data", () => socket.resetAndDestroy()));
  const { connection, told, until } = connected(new NodeOutside(toHost), { address: SOMEWHERE, port });
  await until(() => told.length > 0);
  connection.write(bytes("x"));
  await until(() => told.includes("reset"));
  assert.deepEqual(told, ["connected", "reset"]);
});

test("datagrams go out, and answers come in with where they are from", async (t) => {
  const echo = createSocket("udp4", (data, from) => echo.send(`${text(data)}!`, from.port, from.address));
  echo.bind(0, LOOPBACK);
  await once(echo, "listening");
  t.after(() => echo.close());
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const datagrams = new NodeOutside(toHost).openDatagrams((from, data) => resolve({ from, data: text(data) }));
  datagrams.send({ address: SOMEWHERE, port: portOf(echo) }, bytes("hello"));
  assert.deepEqual(await promise, { from: { address: ip(LOOPBACK), port: portOf(echo) }, data: "hello!" });
  datagrams.close();
  datagrams.send({ address: SOMEWHERE, port: portOf(echo) }, bytes("late"));
  datagrams.close();
});

test("who asks the same question again is answered by the next name server", async (t) => {
  const asked: string[] = [];
  const silent = createSocket("udp4", (data) => asked.push(`first ${text(data)}`));
  const second = createSocket("udp4", (data, from) => {
    asked.push(`second ${text(data)}`);
    second.send("answer", from.port, from.address);
  });
  for (const socket of [silent, second]) {
    socket.bind(0, LOOPBACK);
    await once(socket, "listening");
    t.after(() => socket.close());
  }
  const { promise, resolve } = Promise.withResolvers<string>();
  const servers = [`${LOOPBACK}:${portOf(silent)}`, `${LOOPBACK}:${portOf(second)}`];
  const questions = new NodeOutside({ nameServers: () => servers }).openQuestions((answer) => resolve(text(answer)));
  questions.ask(bytes("who?"));
  questions.ask(bytes("who?"));
  assert.equal(await promise, "answer");
  assert.equal(asked.at(-1), "second who?");
  questions.close();
  questions.ask(bytes("late"));
});

test("a name server may be connected to, on this host too", async (t) => {
  const port = await server(t, (socket) => void socket.end("names"));
  const { connection, told, until } = connected(
    new NodeOutside({ nameServers: () => [`${LOOPBACK}:${port}`] }),
    "name-server",
  );
  connection.end();
  await until(() => told.includes("closed"));
  assert.deepEqual(told, ["connected", '"names"', "ended", "closed"]);
  const none = connected(new NodeOutside({ nameServers: () => [] }), "name-server");
  await none.until(() => none.told.length > 0);
  assert.deepEqual(none.told, ["refused"]);
});
