import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTftp, parseTftp, TFTP_ERROR, type TftpPacket, tftpNumber } from "./tftp.ts";

/** Latin-1 text as bytes. */
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));

const PACKETS: readonly (readonly [string, string, TftpPacket])[] = [
  [
    "a read request with options (the example of RFC 2347)",
    "\0\x01foobar\0octet\0blksize\x001432\0",
    { kind: "read", file: "foobar", mode: "octet", options: new Map([["blksize", "1432"]]) },
  ],
  ["a write request", "\0\x02a/b\0netascii\0", { kind: "write", file: "a/b", mode: "netascii", options: new Map() }],
  ["data", "\0\x03\x12\x34abc", { kind: "data", block: 0x1234, data: bytes("abc") }],
  ["an acknowledgment", "\0\x04\xff\xfe", { kind: "acknowledgment", block: 65534 }],
  ["an error", "\0\x05\0\x01not here\0", { kind: "error", code: TFTP_ERROR.fileNotFound, message: "not here" }],
  [
    "an acknowledgment of options",
    "\0\x06tsize\x00100\0windowsize\x004\0",
    {
      kind: "option-acknowledgment",
      options: new Map([
        ["tsize", "100"],
        ["windowsize", "4"],
      ]),
    },
  ],
];

for (const [name, text, packet] of PACKETS) {
  test(`${name} is read and made`, () => {
    assert.deepEqual(parseTftp(bytes(text)), packet);
    assert.deepEqual(makeTftp(packet), bytes(text));
  });
}

test("names of modes and options may be in capitals, and the first of two options counts", () => {
  assert.deepEqual(parseTftp(bytes("\0\x01A\0OCTET\0BlkSize\x008\0blksize\x009\0")), {
    kind: "read",
    file: "A",
    mode: "octet",
    options: new Map([["blksize", "8"]]),
  });
});

test("an option without a value is none, and so is a text that does not end", () => {
  for (const text of ["\0\x01A\0octet\0tsize\0", "\0\x01A\0octet\0tsize\x000"]) {
    assert.deepEqual(parseTftp(bytes(text)), { kind: "read", file: "A", mode: "octet", options: new Map() });
  }
});

test("names of files are UTF-8", () => {
  const packet = { kind: "read", file: "é/日", mode: "octet", options: new Map() } as const;
  assert.deepEqual(Buffer.from(makeTftp(packet)).toString("utf8"), "\0\x01é/日\0octet\0");
  assert.deepEqual(parseTftp(makeTftp(packet)), packet);
});

test("an error's text may lack its end", () => {
  assert.deepEqual(parseTftp(bytes("\0\x05\0\x00oh")), { kind: "error", code: 0, message: "oh" });
});

test("what is cut short or of no known kind is no packet", () => {
  for (const text of [
    "",
    "\0",
    "\0\x00ab",
    "\0\x07ab",
    "\0\x03\0",
    "\0\x04",
    "\0\x01file\0",
    "\0\x01file\0octet",
    "\x01\x03\0\0",
  ]) {
    assert.equal(parseTftp(bytes(text)), undefined, JSON.stringify(text));
  }
});

test("an option's number is decimal and within its limits", () => {
  assert.equal(tftpNumber("1432", 8, 65464), 1432);
  for (const wrong of [undefined, "", "7", "65465", "-8", "8.5", "0x10", " 9", "1e3", "9".repeat(100)]) {
    assert.equal(tftpNumber(wrong, 8, 65464), undefined, `${wrong}`);
  }
});
