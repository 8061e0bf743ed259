import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDisk } from "./disk-option.ts";
import { CliError } from "./failure.ts";

const PLAIN = {
  readOnly: undefined,
  snapshot: false,
  serial: undefined,
  format: undefined,
  size: undefined,
  quota: undefined,
  bus: undefined,
};

test("a file alone is a disk with nothing set", () => {
  assert.deepEqual(parseDisk("disk.img"), { ...PLAIN, file: "disk.img" });
});

test("settings follow the file after commas", () => {
  assert.deepEqual(parseDisk("a.img,readonly=off,snapshot=on,serial=DISK 1,format=raw,size=8G,quota=1M,bus=ahci"), {
    file: "a.img",
    readOnly: false,
    snapshot: true,
    serial: "DISK 1",
    format: "raw",
    size: 8 * 1024 ** 3,
    quota: 1024 ** 2,
    bus: "ahci",
  });
});

test("a comma in a file's name is written twice", () => {
  assert.deepEqual(parseDisk("a,,b,,,readonly=on"), { ...PLAIN, file: "a,b,", readOnly: true });
});

test("an equals sign belongs to the serial", () => {
  assert.equal(parseDisk("a,serial=x=y").serial, "x=y");
});

for (const [text, message] of [
  ["", /names no file/],
  [",readonly=on", /names no file/],
  [
    "a,redonly=on",
    /"redonly=on" is no setting of a disk; known are readonly=, snapshot=, serial=, format=, size=, quota=, bus=/,
  ],
  ["a,", /"" is no setting of a disk/],
  ["a,readonly", /readonly needs a value, such as readonly=on/],
  ["a,readonly=yes", /readonly=yes must be readonly=on or readonly=off/],
  ["a,snapshot=on,snapshot=on", /snapshot is given twice/],
  ["a,serial=", /serial= must be 1 to 20 printable ASCII characters/],
  ["a,serial=123456789012345678901", /must be 1 to 20 printable/],
  ["a,serial=ü", /must be 1 to 20 printable/],
  ["a,format=qed", /format=qed is not supported; it must be one of raw, qcow2, vmdk, vdi, vhd, vhdx/],
  ["a,size=big", /size=big must be a size of at least 512 bytes, such as size=8G/],
  ["a,bus=mfm", /bus=mfm must be one of virtio, ide, ahci, nvme, scsi/],
  ["a,quota=1", /quota=1 must be a size of at least 512 bytes, such as quota=4G/],
] as const) {
  test(`--disk "${text}" is refused with what to change`, () => {
    assert.throws(
      () => parseDisk(text),
      (error) => error instanceof CliError && error.status === 64 && message.test(error.message),
    );
  });
}
