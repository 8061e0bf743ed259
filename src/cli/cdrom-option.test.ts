import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCdrom } from "./cdrom-option.ts";
import { CliError } from "./failure.ts";

test("a file is a disc on IDE, or on the bus that is given; a comma in its name is written twice", () => {
  assert.deepEqual(parseCdrom("debian.iso"), { file: "debian.iso", bus: undefined });
  assert.deepEqual(parseCdrom("a,,b.iso,bus=ahci"), { file: "a,b.iso", bus: "ahci" });
});

for (const [text, message] of [
  ["", /names no file/],
  ["a,readonly=on", /"readonly=on" is no setting of a CD drive; known is bus=/],
  ["a,bus=virtio", /bus=virtio must be one of ide, ahci, scsi/],
  ["a,bus", /bus needs a value, such as bus=ahci/],
  ["a,bus=ide,bus=ide", /bus is given twice/],
] as const) {
  test(`--cdrom "${text}" is refused with what to change`, () => {
    assert.throws(
      () => parseCdrom(text),
      (error) => error instanceof CliError && error.status === 64 && message.test(error.message),
    );
  });
}
