import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical, MIB } from "../../bits/units.ts";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { memoryMap } from "../memory-map.ts";
import { GuestView } from "../testing/guest-view.ts";
import { i440fxBoard } from "./board.ts";
import { fwCfgAcpiFiles } from "./table-loader.ts";
import { installAcpi } from "./tables.ts";

/** What a stock firmware does with the script, at addresses of the test's choosing. */
function follow(files: ReadonlyMap<string, Uint8Array>, places: ReadonlyMap<string, number>) {
  const loaded = new Map<string, Uint8Array>();
  const script = files.get("etc/table-loader")!;
  assert.equal(script.length % 128, 0);
  const view = new GuestView(script);
  for (let at = 0; at < script.length; at += 128) {
    const file = view.text(at + 4, 56);
    if (view.u32(at) === 1) {
      const alignment = view.u32(at + 60);
      assert.equal(places.get(file)! % alignment, 0);
      loaded.set(file, files.get(file)!.slice());
      continue;
    }
    const bytes = loaded.get(file)!;
    const target = new DataView(bytes.buffer);
    if (view.u32(at) === 2) {
      const [offset, size] = [view.u32(at + 116), view.u8(at + 120)];
      const base = places.get(view.text(at + 60, 56))!;
      if (size === 4) target.setUint32(offset, target.getUint32(offset, true) + base, true);
      else target.setBigUint64(offset, target.getBigUint64(offset, true) + BigInt(base), true);
    } else {
      assert.equal(view.u32(at), 3);
      const [offset, start, length] = [view.u32(at + 60), view.u32(at + 64), view.u32(at + 68)];
      bytes[offset] = bytes[offset]! - bytes.subarray(start, start + length).reduce((sum, byte) => sum + byte, 0);
    }
  }
  return loaded;
}

test("a firmware that follows the script builds the tables that Bunkhouse installs itself", () => {
  const board = i440fxBoard(3);
  const map = memoryMap(16 * MIB);
  const memory = new PlainMemory(16 * MIB);
  const end = installAcpi(memory, map, board, guestPhysical(0xf_0000));
  const places = new Map([
    ["etc/acpi/tables", map.acpiTables.address as number],
    ["etc/acpi/rsdp", 0xf_0000],
  ]);
  const loaded = follow(fwCfgAcpiFiles(board), places);
  const tables = loaded.get("etc/acpi/tables")!;
  assert.deepEqual(tables, memory.bytes.slice(map.acpiTables.address, map.acpiTables.address + tables.length));
  assert.deepEqual(loaded.get("etc/acpi/rsdp"), memory.bytes.slice(0xf_0000, end));
});
