import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { type CpioEntry, CpioError, joinArchives, readCpio, writeCpio } from "./cpio.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const ENTRIES: CpioEntry[] = [
  { kind: "file", path: "/bin/program", permissions: 0o755, content: bytes("odd") },
  { kind: "symlink", path: "/bin/sh", target: "program" },
  { kind: "directory", path: "tmp", permissions: 0o1777 },
  { kind: "character-device", path: "/dev/console", major: 5, minor: 1 },
  { kind: "block-device", path: "/dev/vda", major: 254, minor: 0 },
  { kind: "file", path: "empty", content: bytes("") },
];

test("an archive reads back as it was written, with the directories that were left out", () => {
  assert.deepEqual(readCpio(writeCpio(ENTRIES)), [
    { kind: "directory", path: "bin", permissions: 0o755 },
    { kind: "file", path: "bin/program", permissions: 0o755, content: bytes("odd") },
    { kind: "symlink", path: "bin/sh", target: "program" },
    { kind: "directory", path: "tmp", permissions: 0o1777 },
    { kind: "directory", path: "dev", permissions: 0o755 },
    { kind: "character-device", path: "dev/console", permissions: 0o600, major: 5, minor: 1 },
    { kind: "block-device", path: "dev/vda", permissions: 0o600, major: 254, minor: 0 },
    { kind: "file", path: "empty", permissions: 0o644, content: bytes("") },
  ]);
});

test("the same entries give the same bytes, of root and without a time", () => {
  const archive = writeCpio(ENTRIES);
  assert.deepEqual(writeCpio(ENTRIES), archive);
  const header = new TextDecoder().decode(archive.subarray(0, 110));
  //                       magic   ino       mode      uid       gid       nlink     mtime     filesize
  assert.equal(
    header.slice(0, 62),
    "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000002" + "00000000" + "00000000",
  );
});

test("every header and every content begins at a multiple of four bytes", () => {
  for (const name of ["a", "ab", "abc", "abcd"]) {
    for (const content of ["", "x", "xy", "xyz", "wxyz"]) {
      const archive = writeCpio([
        { kind: "file", path: name, content: bytes(content) },
        { kind: "directory", path: "z" },
      ]);
      assert.equal(archive.length % 4, 0);
      assert.deepEqual(
        readCpio(archive).map((entry) => entry.path),
        [name, "z"],
      );
    }
  }
});

test("joined archives begin at multiples of four bytes, also behind a compressed one", () => {
  const first = gzipSync(writeCpio([{ kind: "directory", path: "first" }]));
  const second = writeCpio([{ kind: "directory", path: "second" }]);
  const joined = joinArchives([first, second]);
  const at = Math.ceil(first.length / 4) * 4;
  assert.deepEqual(readCpio(joined.subarray(at)), readCpio(second));
});

test("a path given twice, or none, is refused", () => {
  const file = (path: string): CpioEntry => ({ kind: "file", path, content: bytes("") });
  assert.throws(() => writeCpio([file("a"), file("/a")]), CpioError);
  assert.throws(() => writeCpio([file("/")]), CpioError);
});

test("a malformed archive is refused", () => {
  const archive = writeCpio(ENTRIES);
  assert.throws(() => readCpio(archive.subarray(0, 130)), CpioError);
  assert.throws(() => readCpio(archive.subarray(1)), CpioError);
  const badNumber = archive.slice();
  badNumber.set(bytes("g"), 20);
  assert.throws(() => readCpio(badNumber), CpioError);
});

test("cpio lists an archive of ours with modes, owners and devices", (t) => {
  const tools: [string, string[]][] = [
    ["cpio", []],
    ["busybox", ["cpio"]],
  ];
  const [tool, args] = tools.find(([name, before]) => !spawnSync(name, [...before, "--help"]).error) ?? [];
  if (tool === undefined || args === undefined) return t.skip("neither cpio nor busybox is installed");
  const { stdout, status } = spawnSync(tool, [...args, "-t", "-v"], { input: writeCpio(ENTRIES), encoding: "utf8" });
  assert.equal(status, 0);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/));
  assert.deepEqual(
    lines.map((words) => [words[0], words.slice(-1)[0]]),
    [
      ["drwxr-xr-x", "bin"],
      ["-rwxr-xr-x", "bin/program"],
      ["lrwxrwxrwx", "program"],
      ["drwxrwxrwt", "tmp"],
      ["drwxr-xr-x", "dev"],
      ["crw-------", "dev/console"],
      ["brw-------", "dev/vda"],
      ["-rw-r--r--", "empty"],
    ],
  );
});
