import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTftp, parseTftp, type TftpPacket } from "../../../net/wire/tftp.ts";
import { SECOND } from "./operation.ts";
import { networkRig, PEER_IP } from "./testing/rig.ts";
import { fileSize, openTransfer, readFile } from "./tftp-client.ts";

const FILE = { server: PEER_IP, name: "a/file" };
const SERVER_PORT = 3456;

interface ServerOptions {
  /** Whether the server knows options at all, or refuses them. */
  readonly options?: "accepts" | "ignores" | "refuses";
  /** Whether the nth packet to the server, or from it, is lost. */
  readonly losesRequest?: (n: number) => boolean;
  readonly losesAnswer?: (n: number) => boolean;
  readonly copies?: number;
}

/** A rig whose peer serves one file, a block for each acknowledgment. */
function rig(file: Uint8Array, { options = "accepts", losesRequest, losesAnswer, copies = 1 }: ServerOptions = {}) {
  const rigged = networkRig();
  rigged.configure();
  const { peer } = rigged;
  const asked: TftpPacket[] = [];
  let blockSize = 512;
  let [requests, answers] = [0, 0];
  peer.onDatagram = ({ payload, sourcePort, destinationPort }) => {
    if (losesRequest?.(requests++)) return;
    const packet = parseTftp(payload) as TftpPacket;
    asked.push(packet);
    const send = (answer: TftpPacket) => {
      if (losesAnswer?.(answers++)) return;
      for (let i = 0; i < copies; i++) {
        peer.send({ sourcePort: SERVER_PORT, destinationPort: sourcePort, payload: makeTftp(answer) });
      }
    };
    const block = (number: number) =>
      send({ kind: "data", block: number, data: file.subarray((number - 1) * blockSize, number * blockSize) });
    assert.equal(destinationPort, packet.kind === "read" ? 69 : SERVER_PORT);
    if (packet.kind === "read") {
      if (options === "refuses" && packet.options.size > 0) {
        send({ kind: "error", code: 8, message: "no options" });
      } else if (options === "accepts") {
        blockSize = Number(packet.options.get("blksize") ?? 512);
        send({
          kind: "option-acknowledgment",
          options: new Map([
            ["blksize", `${blockSize}`],
            ["tsize", `${file.length}`],
          ]),
        });
      } else block(1);
    } else if (packet.kind === "acknowledgment") {
      if (packet.block * blockSize <= file.length) block(packet.block + 1);
    }
  };
  const bytes = new Uint8Array(file.length);
  const take = (data: Uint8Array, at: number) => {
    bytes.set(data, at);
    return true;
  };
  return { ...rigged, asked, bytes, take };
}

const fileOf = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7) ^ (i >> 8));

test("a file comes in blocks that fill a frame, at one question and one acknowledgment a block", () => {
  const file = fileOf(5000);
  const { run, stack, asked, bytes, take } = rig(file);
  assert.equal(run(readFile(stack, FILE, take)).result, 5000);
  assert.deepEqual(bytes, file);
  assert.deepEqual(
    asked.map((packet) => (packet.kind === "acknowledgment" ? packet.block : packet.kind)),
    ["read", 0, 1, 2, 3, 4],
  );
  const [first] = asked;
  assert.ok(first?.kind === "read");
  assert.deepEqual(
    [first.file, first.mode, first.options.get("blksize"), first.options.get("tsize")],
    ["a/file", "octet", "1468", "0"],
  );
});

for (const options of ["ignores", "refuses"] as const) {
  test(`a server that ${options} options gives blocks of 512 bytes`, () => {
    const file = fileOf(2000);
    const { run, stack, bytes, take } = rig(file, { options });
    assert.equal(run(readFile(stack, FILE, take)).result, 2000);
    assert.deepEqual(bytes, file);
  });
}

test("files of no bytes and of whole blocks end with an empty block", () => {
  for (const size of [0, 1468, 2936]) {
    const file = fileOf(size);
    const { run, stack, bytes, take } = rig(file);
    assert.equal(run(readFile(stack, FILE, take)).result, size);
    assert.deepEqual(bytes, file);
  }
});

test("packets that are lost, either way, are sent again", () => {
  const file = fileOf(20_000);
  for (const lost of [{ losesRequest: (n: number) => n % 3 === 1 }, { losesAnswer: (n: number) => n % 3 === 1 }]) {
    const { run, stack, bytes, take } = rig(file, lost);
    assert.equal(run(readFile(stack, FILE, take)).result, 20_000);
    assert.deepEqual(bytes, file);
  }
});

test("blocks that come twice are acknowledged once", () => {
  const file = fileOf(10_000);
  const { run, stack, asked, bytes, take } = rig(file, { copies: 2 });
  assert.equal(run(readFile(stack, FILE, take)).result, 10_000);
  assert.deepEqual(bytes, file);
  assert.equal(asked.length, 1 + 1 + Math.ceil(10_000 / 1468));
});

test("numbers of blocks begin anew after 65535", () => {
  const file = fileOf(65_540 * 8 + 3);
  const rigged = rig(file);
  const { run, stack, peer } = rigged;
  // A server of blocks of 8 bytes, which counts by itself.
  let number = 0;
  peer.onDatagram = ({ payload, sourcePort }) => {
    const packet = parseTftp(payload) as TftpPacket;
    const answer: TftpPacket =
      packet.kind === "read"
        ? { kind: "option-acknowledgment", options: new Map([["blksize", "8"]]) }
        : { kind: "data", block: ++number & 0xffff, data: file.subarray((number - 1) * 8, number * 8) };
    peer.datagrams.length = 0;
    peer.frames.length = 0;
    if ((number - 1) * 8 <= file.length) {
      peer.send({ sourcePort: SERVER_PORT, destinationPort: sourcePort, payload: makeTftp(answer) });
    }
  };
  assert.equal(run(readFile(stack, FILE, rigged.take)).result, file.length);
  assert.deepEqual(rigged.bytes, file);
});

test("what a server refuses is told with its words", () => {
  const { run, stack, peer } = rig(fileOf(1));
  peer.onDatagram = ({ sourcePort }) => {
    const payload = makeTftp({ kind: "error", code: 1, message: "there is no such file" });
    peer.send({ sourcePort: SERVER_PORT, destinationPort: sourcePort, payload });
  };
  const { result } = run(openTransfer(stack, FILE));
  assert.deepEqual(result, { kind: "refused", code: 1, message: "there is no such file" });
  assert.deepEqual(stack.udp.state.open, []);
});

test("a server that says nothing is asked four times in 15 seconds; one that is not there is told from it", () => {
  const { run, stack, peer } = rig(fileOf(1));
  peer.onDatagram = () => {};
  assert.deepEqual(run(openTransfer(stack, FILE)).result, { kind: "no-answer" });
  assert.deepEqual(
    peer.datagrams.map(({ at }) => Math.round(at / SECOND)),
    [0, 1, 3, 7],
  );
  peer.answersArp = false;
  stack.ip.state.neighbours = [];
  assert.deepEqual(run(openTransfer(stack, FILE)).result, { kind: "no-way" });
});

test("a block of more bytes than were agreed on, or an answer that is none, ends the transfer", () => {
  for (const answer of [
    { kind: "data", block: 1, data: new Uint8Array(600) },
    { kind: "data", block: 2, data: new Uint8Array(5) },
    { kind: "acknowledgment", block: 0 },
  ] as const) {
    const { run, stack, peer, take } = rig(fileOf(1));
    peer.onDatagram = ({ sourcePort }) =>
      peer.send({ sourcePort: SERVER_PORT, destinationPort: sourcePort, payload: makeTftp(answer) });
    assert.deepEqual(run(readFile(stack, FILE, take)).result, { kind: "nonsense" });
  }
});

test("packets from other ports of the server, or from others, do not disturb a transfer", () => {
  const file = fileOf(3000);
  const { run, stack, peer, bytes, take } = rig(file);
  const serve = peer.onDatagram;
  peer.onDatagram = (datagram) => {
    const payload = makeTftp({ kind: "data", block: 1, data: new Uint8Array(1468) });
    if (parseTftp(datagram.payload)?.kind === "acknowledgment") {
      peer.send({ sourcePort: 9999, destinationPort: datagram.sourcePort, payload });
    }
    serve(datagram);
  };
  assert.equal(run(readFile(stack, FILE, take)).result, 3000);
  assert.deepEqual(bytes, file);
});

test("a file's size is asked for without reading it, and a reader without room stops the server", () => {
  const { run, stack, asked } = rig(fileOf(100_000));
  assert.deepEqual(run(fileSize(stack, FILE)).result, { size: 100_000 });
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ["read", "error"],
  );
  const { result } = run(readFile(stack, FILE, (_, at) => at < 3000));
  assert.equal(result, "no-room");
  assert.equal(asked.at(-1)?.kind, "error");
});
