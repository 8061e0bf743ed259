import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { createWebSocketStream, WebSocket } from "ws";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { RfbClient } from "../../vm/rfb/testing/rfb-client.ts";
import { webRig } from "./testing/web-rig.ts";

let rig: Awaited<ReturnType<typeof webRig>>;
before(async () => {
  rig = await webRig();
});
after(() => rig.close());

/** A request with headers of one's own choice. */
function get(address: string, headers: Record<string, string> = {}, method = "GET") {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>((resolve, reject) => {
    request(address, { headers, method }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    })
      .on("error", reject)
      .end();
  });
}

const origin = () => new URL(rig.url).origin;
const socketAt = (path: string, headers: Record<string, string> = { Origin: origin() }) =>
  new WebSocket(new URL(path, rig.url).href.replace("http:", "ws:"), { headers });

/** The status that a WebSocket was refused with. */
function refusal(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("error", ({ message }) => resolve(message));
    socket.once("open", () => {
      socket.close();
      resolve("it was let in");
    });
  });
}

test("the page comes at its secret address, with a policy that lets nothing else in", async () => {
  const { status, headers, body } = await get(rig.url);
  assert.equal(status, 200);
  assert.match(body.toString(), /<title>guest &#60;1&#62; – Bunkhouse<\/title>/);
  assert.match(String(headers["content-security-policy"]), /^default-src 'none'; script-src 'self' 'nonce-/);
  assert.equal(headers["referrer-policy"], "no-referrer");
});

test("without the address's secret there is nothing", async () => {
  const token = new URL(rig.url).pathname.slice(1, -1);
  for (const path of ["/", "/x/", `/${token.slice(1)}/`, `/${token}x/`, `/${token}`, "/style.css", "//", "/%00/"]) {
    assert.equal((await get(origin() + path)).status, 404, path);
  }
});

test("nothing but the page's own files can be had", async () => {
  for (const path of [
    "package.json",
    "page/novnc.d.ts",
    "novnc/../../package.json",
    "novnc/core/..%2f..%2fpackage.json",
    "page/",
  ]) {
    const address = `${rig.url}${path}`;
    const { hostname, port } = new URL(rig.url);
    const status = await new Promise((resolve) =>
      // As it is, not as URL tidies it.
      request({ hostname, port, path: address.slice(origin().length) }, (response) =>
        resolve(response.statusCode),
      ).end(),
    );
    assert.equal(status, 404, path);
  }
  for (const path of ["page/main.ts", "novnc/core/rfb.js", "xterm/xterm.mjs"]) {
    const { status, headers } = await get(`${rig.url}${path}`);
    assert.deepEqual([status, headers["content-type"]], [200, "text/javascript; charset=utf-8"], path);
  }
  assert.equal((await get(rig.url, {}, "POST")).status, 404);
});

test("another site's name that leads here is refused", async () => {
  assert.equal((await get(rig.url, { Host: "evil.example" })).status, 404);
  assert.equal((await get(rig.url, { Host: `localhost:${new URL(rig.url).port}` })).status, 200);
});

test("WebSockets of other sites' pages, of none, and at other places are refused", async () => {
  assert.match(await refusal(socketAt("screen", { Origin: "http://evil.example" })), /403/);
  assert.match(await refusal(socketAt("screen", {})), /403/);
  assert.match(await refusal(socketAt("nothing")), /404/);
  assert.match(await refusal(socketAt("constructor")), /404/);
  assert.match(await refusal(socketAt("../screen")), /403/);
});

test("the screen comes over a WebSocket", async () => {
  rig.display.paint({ x: 0, y: 0, width: 640, height: 400 }, (x, y) => (x ^ y) * 257);
  const socket = socketAt("screen");
  const client = new RfbClient(createWebSocketStream(socket));
  await client.open();
  client.setEncodings(16);
  client.request(false);
  await client.update();
  assert.deepEqual(client.picture, rig.display.pixels);
  socket.close();
  await once(socket, "close");
});

test("the serial console shows what was said before, and takes what is typed", async () => {
  rig.serial.write(Buffer.from("before "));
  const socket = socketAt("serial");
  let text = "";
  socket.on("message", (data: Buffer) => {
    text += data.toString();
  });
  await once(socket, "open");
  rig.serial.write(Buffer.from("after"));
  while (text !== "before after") await once(socket, "message");
  socket.send(Buffer.from("typed"));
  while (rig.serialInput.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(Buffer.from(rig.serialInput).toString(), "typed");
  socket.close();
});

test("what the serial console remembers is bounded", async () => {
  for (let i = 0; i < 1000; i++) rig.serial.write(Buffer.alloc(1000, 0x61 + (i % 26)));
  const socket = socketAt("serial");
  const [data] = (await once(socket, "message")) as [Buffer];
  assert.ok(data.length >= 128 * 1024 && data.length <= 140 * 1024, `${data.length} bytes`);
  socket.close();
});

test("the page asks for what the control socket has, and answers come in order", async () => {
  const socket = socketAt("control");
  await once(socket, "open");
  const replies: unknown[] = [];
  socket.on("message", (data: Buffer) => replies.push(JSON.parse(data.toString())));
  rig.keys.length = 0;
  for (const ask of [{ verb: "type", text: "ab" }, { verb: "nothing" }, { verb: "keys", keys: ["ret"] }]) {
    socket.send(JSON.stringify(ask));
  }
  while (replies.length < 3) await once(socket, "message");
  assert.deepEqual(replies, [
    { ok: true },
    { ok: false, error: "verb must be one of status, screenshot, keys, type, floppy, mouse" },
    { ok: true },
  ]);
  assert.deepEqual(rig.keys, [0x1c, 0xf0, 0x1c, 0x32, 0xf0, 0x32, 0x5a, 0xf0, 0x5a]);
  socket.close();
});

test("noise on every WebSocket harms nobody", async () => {
  const random = new SeededRandom(8080);
  for (const path of ["screen", "serial", "control"]) {
    for (let i = 0; i < 10; i++) {
      const socket = socketAt(path);
      socket.on("error", () => {});
      await once(socket, "open");
      for (let n = 0; n < 100; n++) {
        const bytes = Buffer.from(Uint8Array.from({ length: random.below(200) }, () => random.next() & 0xff));
        if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
      }
      socket.close();
      await once(socket, "close");
    }
  }
  assert.equal((await get(rig.url)).status, 200);
  assert.equal(rig.hub.viewers, 0);
});

test("a screenshot is a PNG file", async () => {
  const { headers, body } = await get(`${rig.url}screenshot.png`);
  assert.equal(headers["content-type"], "image/png");
  assert.deepEqual([body.readUInt32BE(16), body.readUInt32BE(20)], [640, 400]);
});
