import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical, MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { i440fxBoard } from "./acpi/board.ts";
import { installTables } from "./install-tables.ts";
import { memoryMap } from "./memory-map.ts";
import { GuestView } from "./testing/guest-view.ts";

const SYSTEM = {
  ramSize: 16 * MIB,
  sockets: 1,
  coresPerSocket: 1,
  processorId: { signature: 0x663, features: 0 },
  uuid: "01234567-89ab-cdef-0123-456789abcdef",
  version: "0.1.0",
};

function install(at?: number) {
  const memory = new PlainMemory(16 * MIB);
  const machine = { board: i440fxBoard(1), system: SYSTEM };
  const place = at === undefined ? [] : [guestPhysical(at)];
  return { ...installTables(memory, memoryMap(16 * MIB), machine, ...place), guest: new GuestView(memory.bytes) };
}

test("RSDP and SMBIOS entry points lie one after another in the BIOS segment", () => {
  const { guest, rsdp, end } = install();
  assert.equal(rsdp, 0xf_0000);
  assert.equal(guest.text(0xf_0000, 8), "RSD PTR ");
  assert.equal(guest.text(0xf_0030, 5), "_SM3_");
  assert.equal(guest.text(0xf_0050, 4), "_SM_");
  assert.ok(end > 0xf_0070 && end < 0xf_1000);
  assert.equal(install(0xf_8000).guest.text(0xf_8030, 5), "_SM3_");
  assert.throws(() => install(0xe_0000), RangeError, "SMBIOS is not looked for below the BIOS segment");
});

test("the BIOS data area tells 639 KiB of conventional memory and 1 KiB of extended data after it", () => {
  const { guest } = install();
  assert.equal(guest.u16(0x40e), 0x9fc0);
  assert.equal(guest.u16(0x413), 639);
  assert.equal(guest.u8(0x9fc00), 1);
});
