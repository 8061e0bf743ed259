import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { inflateSync } from "node:zlib";
import { TestDisplay, TestInput } from "../../screen/testing/test-display.ts";
import { ScreenHub } from "./screen-hub.ts";
import { VncServer } from "./vnc-server.ts";

const GVNCCAPTURE = "/usr/bin/gvnccapture";
/** Displays of VNC begin at this port. */
const FIRST_PORT = 5900;

/** Pixels of a PNG file of eight bits for each colour. @spec PNG (Third Edition) §9 */
function decodePng(png: Buffer): { width: number; height: number; pixels: number[] } {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const size = png[25] === 6 ? 4 : 3;
  const data: Buffer[] = [];
  for (let at = 8; at < png.length; at += png.readUInt32BE(at) + 12) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT")
      data.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const bytes = inflateSync(Buffer.concat(data));
  const stride = width * size;
  let above = Buffer.alloc(stride);
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) {
    const filter = bytes[y * (stride + 1)] as number;
    const row = Buffer.from(bytes.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)));
    for (let i = 0; i < stride; i++) {
      const a = row[i - size] ?? 0;
      const b = above[i] as number;
      const c = i < size ? 0 : (above[i - size] as number);
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, next) => (Math.abs(p - next) < Math.abs(p - best) ? next : best));
      row[i] = (row[i] as number) + ([0, a, b, (a + b) >> 1, nearest][filter] as number);
    }
    for (let i = 0; i < stride; i += size) pixels.push(row.readUIntBE(i, 3));
    above = row;
  }
  return { width, height, pixels };
}

test("gvnccapture of gtk-vnc sees the picture dot by dot", {
  skip: existsSync(GVNCCAPTURE) ? false : "needs the package gvncviewer",
}, async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-viewer-"));
  const display = new TestDisplay(300, 200);
  display.paint({ x: 0, y: 0, width: 300, height: 200 }, (x, y) =>
    x < 100 ? x * 257 : x < 200 ? y << 16 : (x ^ y) * 77,
  );
  const hub = new ScreenHub({ display, input: new TestInput(), name: "guest" });
  const server = await VncServer.listen({ host: "127.0.0.1", port: 0 });
  server.attach(hub);
  try {
    const file = path.join(directory, "screen.png");
    const number = Number(server.address.split(":").at(-1)) - FIRST_PORT;
    await promisify(execFile)(GVNCCAPTURE, ["-q", `127.0.0.1:${number}`, file], { timeout: 60_000 });
    const { width, height, pixels } = decodePng(await readFile(file));
    assert.deepEqual([width, height], [300, 200]);
    assert.deepEqual(pixels, [...display.pixels]);
  } finally {
    hub.close();
    server.close();
    await rm(directory, { recursive: true });
  }
});
