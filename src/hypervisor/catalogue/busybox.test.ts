import assert from "node:assert/strict";
import { test } from "node:test";
import { busyboxApplets } from "./busybox.ts";

test("applets are the sorted names of the table, up to its end", () => {
  const file = Buffer.from("\x7fELF...\x82\0[\0[[\0acpid\0cat\0sh\0zcat\0\0/var/log/wtmp\0", "latin1");
  assert.deepEqual(busyboxApplets(file), ["[", "[[", "acpid", "cat", "sh", "zcat"]);
});

test("strings behind the table that are out of order do not count", () => {
  assert.deepEqual(busyboxApplets(Buffer.from("[\0[[\0cat\0zcat\0abc\0", "latin1")), ["[", "[[", "cat", "zcat"]);
});

test("a file without the table has no applets", () => {
  assert.deepEqual(busyboxApplets(Buffer.from("not busybox")), []);
});
