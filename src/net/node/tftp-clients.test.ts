/** TFTP clients of the host get files from a virtual network's server. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { TftpRelay } from "../testing/node/tftp-relay.ts";
import { FolderTree } from "./folder-tree.ts";

const run = promisify(execFile);
const output = (program: string, ...args: string[]) => spawnSync(program, args, { encoding: "utf8" }).stdout ?? "";
const withoutCurl = /\btftp\b/.test(output("curl", "--version")) ? false : "curl is not here, or has no TFTP";
const withoutBusybox = /^tftp$/m.test(output("busybox", "--list")) ? false : "busybox is not here, or has no tftp";
const SIZE = 700_001;

let scratch: string;
let relay: TftpRelay;
const content = new Uint8Array(SIZE);

before(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), "bunkhouse-tftp-"));
  new SeededRandom(69).fill(content);
  await writeFile(path.join(scratch, "file"), content);
  relay = new TftpRelay(new FolderTree(scratch));
});

after(async () => {
  await relay.close();
  await rm(scratch, { recursive: true });
});

async function mustGet(program: string, args: (port: number, target: string) => string[]): Promise<void> {
  const target = path.join(scratch, "received");
  await run(program, args(await relay.port(), target), { timeout: 60_000 });
  assert.ok((await readFile(target)).equals(content));
}

test("curl gets a file in blocks of its own choice", { skip: withoutCurl }, async () => {
  for (const options of [[], ["--tftp-blksize", "1468"], ["--tftp-no-options"]]) {
    await mustGet("curl", (port, target) => ["-sS", ...options, "-o", target, `tftp://127.0.0.1:${port}/file`]);
  }
});

test("curl is told that there is no such file", { skip: withoutCurl }, async () => {
  const url = `tftp://127.0.0.1:${await relay.port()}/nothing`;
  // 68: "File not found on TFTP server".
  await assert.rejects(run("curl", ["-sS", url], { timeout: 60_000 }), { code: 68 });
});

test("busybox gets a file", { skip: withoutBusybox }, async () => {
  for (const options of [[], ["-b", "1400"]]) {
    await mustGet("busybox", (port, target) => [
      "tftp",
      "-g",
      ...options,
      "-l",
      target,
      "-r",
      "file",
      "127.0.0.1",
      `${port}`,
    ]);
  }
});
