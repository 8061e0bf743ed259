import assert from "node:assert/strict";
import { test } from "node:test";
import { GIB, KIB, MIB } from "../bits/units.ts";
import { E820Type, extendedKib, memoryMap } from "./memory-map.ts";

test("256 MiB of RAM look to the guest like those of a PC", () => {
  const map = memoryMap(256 * MIB);
  const lines = map.entries.map(
    ({ address, size, type }) => `${address.toString(16)}-${(address + size).toString(16)} ${type}`,
  );
  assert.deepEqual(lines, [
    "0-9fc00 1",
    "9fc00-a0000 2",
    "e0000-100000 2",
    "100000-fff0000 1",
    "fff0000-10000000 4",
    "fffc0000-100000000 2",
  ]);
  assert.equal(extendedKib(map), 255 * KIB - 64);
});

for (const ramSize of [2 * MIB, 16 * MIB + 4 * KIB, 1 * GIB, 3 * GIB]) {
  test(`with ${ramSize} bytes of RAM the entries are in order, apart, and RAM ends below the PCI hole`, () => {
    const { entries, acpiTables } = memoryMap(ramSize);
    let end = 0;
    for (const entry of entries) {
      assert.ok(entry.address >= end && entry.size > 0);
      assert.equal(entry.address % KIB, 0);
      end = entry.address + entry.size;
    }
    const ram = entries.filter(({ type }) => type === E820Type.usable || type === E820Type.nvs);
    assert.ok(ram.every(({ address, size }) => address + size <= 0xc000_0000));
    assert.equal(acpiTables.address + acpiTables.size, ramSize);
  });
}

test("a size that no such board can have is a mistake of the caller", () => {
  for (const size of [0, MIB, 2 * MIB + 1, 3 * GIB + 4096, Number.NaN]) {
    assert.throws(() => memoryMap(size), RangeError);
  }
});
