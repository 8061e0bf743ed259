import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesToText, textToBytes } from "./hex.ts";
import { escapeBody, type Incoming, PACKET_SIZE, PacketReader, writePacket } from "./packets.ts";
import { packet } from "./testing/fake-target.ts";

function read(text: string): Incoming[] {
  const reader = new PacketReader();
  return [...textToBytes(text)].map((byte) => reader.take(byte)).filter((incoming) => incoming !== undefined);
}

test("packets are found between acknowledgements, Ctrl-C and noise", () => {
  assert.deepEqual(read("+$g#67 noise\n-\x03$m0,4#fd"), [
    { kind: "acknowledged" },
    { kind: "packet", body: "g" },
    { kind: "again" },
    { kind: "interrupt" },
    { kind: "packet", body: "m0,4" },
  ]);
});

test("a wrong checksum, or one that is no number, makes a packet damaged, and the next one is found", () => {
  for (const damaged of ["$g#68", "$g#zz", "$h#67", "$g#6$"]) {
    assert.deepEqual(read(`${damaged}$g#67`), [{ kind: "damaged" }, { kind: "packet", body: "g" }], damaged);
  }
});

test("a packet whose end was lost gives way to the next", () => {
  assert.deepEqual(read("$m0,40$g#67"), [{ kind: "packet", body: "g" }]);
});

test("escaped bytes of binary data are what they stand for", () => {
  assert.deepEqual(read(packet("X0,4:}\x03}\x04}]}\n")), [{ kind: "packet", body: "X0,4:#$}*" }]);
});

test("a packet that is longer than announced is told of, and costs no more memory", () => {
  const most = "a".repeat(PACKET_SIZE);
  assert.deepEqual(read(packet(most)), [{ kind: "packet", body: most }]);
  assert.deepEqual(read(`${packet(`${most}a`)}$g#67`), [{ kind: "too-long" }, { kind: "packet", body: "g" }]);
});

test("what is written is read again as it was", () => {
  const body = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  assert.deepEqual(read(bytesToText(writePacket(escapeBody(body)))), [{ kind: "packet", body }]);
});
