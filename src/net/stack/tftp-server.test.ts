import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import type { FileTree } from "../file-tree.ts";
import { FilesInMemory } from "../files-in-memory.ts";
import { FakeGuest, ip, mac, networkRig } from "../testing/node/network-rig.ts";
import { makeTftp, parseTftp, TFTP_ERROR, type TftpPacket } from "../wire/tftp.ts";
import { servedPath } from "./file-path.ts";
import { TRIES } from "./tftp-transfer.ts";

const SECOND = 1e9;

function content(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new SeededRandom(length + 1).fill(bytes);
  return bytes;
}

/** Counts what is open, and may fail or take long. */
class WatchedFiles implements FileTree {
  readonly files = new Map<string, Uint8Array>();
  opened = 0;
  reads = 0;
  readonly #tree = new FilesInMemory(this.files);
  /** What a read resolves to instead of the count. */
  shorterBy = 0;
  failure: Error | undefined;
  held: Promise<void> | undefined;

  async open(path: string) {
    const file = await this.#tree.open(path);
    await this.held;
    if (this.failure) throw this.failure;
    if (file === undefined) return undefined;
    this.opened++;
    return {
      size: file.size,
      read: async (offset: number, target: Uint8Array) => {
        this.reads++;
        return (await file.read(offset, target)) - this.shorterBy;
      },
      close: async () => void this.opened--,
    };
  }
}

function rig() {
  const files = new WatchedFiles();
  const network = networkRig({ files });
  const { guest, settle, time } = network;
  /** What came, with the port that it came from. */
  const take = (from = guest) =>
    from.takeDatagrams().map(({ sourcePort, destinationPort, payload }) => ({
      port: sourcePort,
      to: destinationPort,
      packet: parseTftp(payload) ?? assert.fail("no packet of TFTP"),
    }));
  const send = (port: number, packet: TftpPacket, from = guest, localPort = 2000) =>
    from.sendDatagram(localPort, port, makeTftp(packet));
  const request = (file: string, options: Record<string, number | string> = {}, from = guest, localPort = 2000) => {
    const entries = Object.entries(options).map(([name, value]) => [name, `${value}`] as const);
    send(69, { kind: "read", file, mode: "octet", options: new Map(entries) }, from, localPort);
  };
  const acknowledge = (port: number, block: number) => send(port, { kind: "acknowledgment", block });
  return {
    ...network,
    files,
    take,
    send,
    request,
    acknowledge,
    /** Sends a request and gives what came. */
    ask: async (file: string, options: Record<string, number | string> = {}) => {
      request(file, options);
      await settle();
      return take();
    },
    /** Gets a whole file; `acknowledges` tells after which blocks of data. */
    load: async (file: string, options: Record<string, number | string> = {}) => {
      request(file, options);
      await settle();
      let answers = take();
      const blockSize = Number(options.blksize ?? 512);
      const windowSize = Number(options.windowsize ?? 1);
      const parts: Uint8Array[] = [];
      for (;;) {
        assert.ok(answers.length > 0 && answers.length <= windowSize, `${answers.length} answers`);
        const [{ port, packet }] = answers as [(typeof answers)[0]];
        if (packet.kind === "option-acknowledgment") acknowledge(port, 0);
        else {
          for (const { packet } of answers) {
            assert.ok(packet.kind === "data");
            assert.equal(packet.block, (parts.length + 1) & 0xffff);
            parts.push(packet.data);
          }
          acknowledge(port, parts.length & 0xffff);
          if ((parts.at(-1) as Uint8Array).length < blockSize) break;
        }
        await settle();
        answers = take();
      }
      await settle();
      time.advance(100 * SECOND);
      assert.equal(guest.frames.length, 0);
      assert.equal(files.opened, 0);
      return Buffer.concat(parts);
    },
  };
}

const error = (answers: { packet: TftpPacket }[]) => {
  assert.equal(answers.length, 1);
  const [{ packet }] = answers as [{ packet: TftpPacket }];
  assert.ok(packet.kind === "error", packet.kind);
  return packet.code;
};

for (const [length, options] of [
  [0, {}],
  [1, {}],
  [511, {}],
  [512, {}],
  [1300, {}],
  [10_000, { blksize: 8 }],
  [1468 * 3, { blksize: 1468, tsize: 0 }],
  [300_000, { blksize: 1024, windowsize: 7 }],
  [200_000, { blksize: 1468, windowsize: 32, timeout: 3, tsize: 0 }],
] as const) {
  test(`a guest gets a file of ${length} bytes with ${JSON.stringify(options)}`, async () => {
    const { files, load } = rig();
    files.files.set("file", content(length));
    assert.ok((await load("file", options)).equals(content(length)));
  });
}

test("block numbers go on with 0 after 65535", async () => {
  const { files, load } = rig();
  const length = 8 * 65_536 * 2 + 5;
  files.files.set("file", content(length));
  assert.ok((await load("file", { blksize: 8, windowsize: 32 })).equals(content(length)));
  assert.ok(files.reads < 40, `${files.reads} reads`);
});

test("options are agreed on as far as the server can follow", async () => {
  const agreed = async (options: Record<string, number | string>) => {
    const { files, ask } = rig();
    files.files.set("file", content(5000));
    const [answer] = await ask("file", options);
    assert.ok(answer);
    return answer.packet.kind === "option-acknowledgment"
      ? Object.fromEntries(answer.packet.options)
      : answer.packet.kind;
  };
  assert.deepEqual(await agreed({ BLKSIZE: 65464, TSize: 0, timeout: 5, windowsize: 65535, multicast: "" }), {
    blksize: "1468",
    tsize: "5000",
    timeout: "5",
    windowsize: "32",
  });
  assert.deepEqual(await agreed({ blksize: 8, timeout: 255 }), { blksize: "8" });
  assert.deepEqual(await agreed({ blksize: 7, timeout: 0, windowsize: 0, color: "blue" }), "data");
  assert.deepEqual(await agreed({ blksize: "big" }), "data");
});

test("each transfer has a port of its own, and answers its client's port", async () => {
  const { files, request, settle, take } = rig();
  files.files.set("file", content(5));
  request("file", {}, undefined, 2000);
  request("file", {}, undefined, 2001);
  await settle();
  const [one, other] = take();
  assert.deepEqual([one?.to, other?.to], [2000, 2001]);
  assert.ok(one && other && one.port !== other.port && one.port >= 49152);
});

test("a file that is not there, a path out of the tree and writing are refused", async () => {
  const { ask, send, settle, take, network, files } = rig();
  files.files.set("b", content(5));
  assert.equal(error(await ask("nothing")), TFTP_ERROR.fileNotFound);
  assert.equal(error(await ask("")), TFTP_ERROR.fileNotFound);
  assert.equal(error(await ask("a/../b")), TFTP_ERROR.accessViolation);
  send(69, { kind: "write", file: "b", mode: "octet", options: new Map() });
  await settle();
  assert.equal(error(take()), TFTP_ERROR.accessViolation);
  send(69, { kind: "read", file: "b", mode: "mail", options: new Map() });
  await settle();
  assert.equal(error(take()), TFTP_ERROR.illegalOperation);
  send(69, { kind: "acknowledgment", block: 1 });
  await settle();
  assert.equal(take().length, 0);
  await network.close();
  assert.equal(files.opened, 0);
});

test("paths begin at the tree's root, with whatever slashes", () => {
  for (const name of ["pxe/boot.0", "/pxe/boot.0", "\\pxe\\boot.0", "//pxe//boot.0"])
    assert.equal(servedPath(name), "pxe/boot.0");
  for (const name of ["..", "../a", "a/..", "a\\..\\b", "./a", "a/./b", "/.."])
    assert.equal(servedPath(name), undefined, name);
  assert.equal(servedPath("a/...b/..c"), "a/...b/..c");
});

test("a file that the host cannot read, or that has become shorter, ends in an error", async () => {
  const { files, ask } = rig();
  files.files.set("file", content(5000));
  files.shorterBy = 1;
  assert.equal(error(await ask("file")), TFTP_ERROR.undefined);
  files.failure = new Error("the disk is broken");
  assert.equal(error(await ask("file")), TFTP_ERROR.undefined);
  assert.equal(files.opened, 0);
});

test("a block that is not acknowledged is sent again each second, and then no more", async () => {
  const { files, ask, take, time, settle } = rig();
  files.files.set("file", content(5));
  assert.equal((await ask("file")).length, 1);
  for (let i = 1; i < TRIES; i++) {
    time.advance(0.9 * SECOND);
    assert.equal(take().length, 0);
    time.advance(0.1 * SECOND);
    assert.equal(take().length, 1);
  }
  time.advance(100 * SECOND);
  await settle();
  assert.equal(take().length, 0);
  assert.equal(files.opened, 0);
});

test("a guest that repeats itself while it is given up is given up all the same", async () => {
  const { files, ask, acknowledge, take, time, settle } = rig();
  files.files.set("file", content(10_000));
  const port = (await ask("file", { windowsize: 4 }))[0]?.port ?? assert.fail();
  acknowledge(port, 0);
  await settle();
  time.advance((TRIES - 0.5) * SECOND);
  take();
  acknowledge(port, 0);
  await settle();
  assert.ok(take().length > 0);
  time.advance(100 * SECOND);
  await settle();
  take();
  assert.equal(files.opened, 0);
});

test("a guest may choose the time until then", async () => {
  const { files, ask, take, time } = rig();
  files.files.set("file", content(5));
  await ask("file", { timeout: 10 });
  time.advance(9.9 * SECOND);
  assert.equal(take().length, 0);
  time.advance(0.2 * SECOND);
  assert.equal(take()[0]?.packet.kind, "option-acknowledgment");
});

test("an acknowledgment that comes twice does not have blocks sent twice", async () => {
  const { files, ask, acknowledge, take, settle } = rig();
  files.files.set("file", content(5000));
  const [first] = await ask("file");
  assert.ok(first);
  for (let i = 0; i < 3; i++) acknowledge(first.port, 1);
  await settle();
  assert.deepEqual(
    take().map(({ packet }) => packet.kind === "data" && packet.block),
    [2],
  );
});

test("when blocks of a window are lost, what follows the last one that came is sent again", async () => {
  const { files, ask, acknowledge, take, settle } = rig();
  files.files.set("file", content(10_000));
  const port = (await ask("file", { windowsize: 4 }))[0]?.port ?? assert.fail();
  const blocks = async (block: number) => {
    acknowledge(port, block);
    await settle();
    return take().map(({ packet }) => packet.kind === "data" && packet.block);
  };
  assert.deepEqual(await blocks(0), [1, 2, 3, 4]);
  assert.deepEqual(await blocks(2), [3, 4, 5, 6]);
  // All are lost: told once, the server sends them again; told twice, it waits.
  assert.deepEqual(await blocks(2), [3, 4, 5, 6]);
  assert.deepEqual(await blocks(2), []);
  assert.deepEqual(await blocks(7), []);
  assert.deepEqual(await blocks(6), [7, 8, 9, 10]);
});

test("a request that comes again before an answer is heard is one request; afterwards it begins anew", async () => {
  const { files, request, acknowledge, take, settle } = rig();
  files.files.set("file", content(5000));
  files.files.set("other", content(6));
  request("file");
  request("file");
  await settle();
  request("file");
  await settle();
  const [one, ...rest] = take();
  assert.ok(one);
  assert.equal(rest.length, 0);
  acknowledge(one.port, 1);
  request("file");
  await settle();
  const blocks = take();
  assert.deepEqual(
    blocks.map(({ packet }) => packet.kind === "data" && packet.block),
    [2, 1],
  );
  assert.notEqual(blocks[1]?.port, one.port);
  request("other");
  await settle();
  assert.deepEqual(take()[0]?.packet, { kind: "data", block: 1, data: content(6) });
  assert.equal(files.opened, 1);
});

test("a guest that gives up is heard", async () => {
  const { files, ask, send, take, settle, time } = rig();
  files.files.set("file", content(5000));
  const [answer] = await ask("file", { tsize: 0 });
  send(answer?.port ?? assert.fail(), { kind: "error", code: 0, message: "only wanted the size" });
  await settle();
  assert.equal(files.opened, 0);
  time.advance(10 * SECOND);
  assert.equal(take().length, 0);
});

test("another guest cannot disturb a transfer", async () => {
  const { files, ask, hub, send, take, settle, acknowledge } = rig();
  files.files.set("file", content(5000));
  const port = (await ask("file"))[0]?.port ?? assert.fail();
  const other = new FakeGuest(hub);
  other.mac = mac("52:54:00:00:00:02");
  other.address = ip("10.0.2.16");
  send(port, { kind: "acknowledgment", block: 1 }, other);
  send(port, { kind: "error", code: 0, message: "" }, other);
  send(port, { kind: "acknowledgment", block: 1 }, undefined, 2001);
  await settle();
  const codes = other
    .take()
    .filter(({ source }) => source[1] === 0x55)
    .map(({ payload }) => parseTftp(payload.subarray(28)))
    .map((packet) => packet?.kind === "error" && packet.code);
  assert.deepEqual(codes, [TFTP_ERROR.unknownTransfer, TFTP_ERROR.unknownTransfer]);
  take();
  acknowledge(port, 1);
  await settle();
  assert.deepEqual(
    take().map(({ packet }) => packet.kind === "data" && packet.block),
    [2],
  );
});

test("there are 16 transfers at once, until those that nobody goes on with have ended", async () => {
  const { files, request, take, settle, time } = rig();
  files.files.set("file", content(5000));
  for (let i = 0; i < 20; i++) request("file", {}, undefined, 3000 + i);
  await settle();
  const kinds = take().map(({ packet }) => packet.kind);
  assert.deepEqual(
    [kinds.filter((kind) => kind === "data").length, kinds.filter((kind) => kind === "error").length],
    [16, 4],
  );
  assert.equal(files.opened, 16);
  time.advance(TRIES * SECOND);
  await settle();
  take();
  assert.equal(files.opened, 0);
  request("file");
  await settle();
  assert.equal(take()[0]?.packet.kind, "data");
});

test("a host that never answers, as the machine was reset, holds no transfer", async () => {
  const { files, request, take, settle, time } = rig();
  files.files.set("file", content(5));
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  files.held = promise;
  request("file");
  await settle();
  time.advance(TRIES * SECOND);
  answer();
  await settle();
  assert.equal(files.opened, 0);
  assert.equal(take().length, 0);
});

test("a reset ends what is under way and closes files", async () => {
  const { files, ask, network, take, time, settle } = rig();
  files.files.set("file", content(5000));
  await ask("file");
  network.reset();
  await settle();
  assert.equal(files.opened, 0);
  time.advance(10 * SECOND);
  assert.equal(take().length, 0);
});

test("a network without files has no TFTP server", async () => {
  const { guest, settle } = networkRig();
  guest.sendDatagram(2000, 69, makeTftp({ kind: "read", file: "a", mode: "octet", options: new Map() }));
  await settle();
  assert.equal(guest.takePackets()[0]?.protocol, 1);
});
