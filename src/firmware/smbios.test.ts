import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { guestPhysical, MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { installSmbios, type SmbiosSystem } from "./smbios.ts";
import { GuestView } from "./testing/guest-view.ts";

const SYSTEM: SmbiosSystem = {
  ramSize: 512 * MIB,
  sockets: 2,
  coresPerSocket: 3,
  processorId: { signature: 0x000306a9, features: 0x078bfbff },
  uuid: "01234567-89ab-cdef-0123-456789abcdef",
  serialNumber: "ds=nocloud;s=http://10.0.2.2/",
  version: "0.1.0",
  oemStrings: ["io.systemd.credential:a=b", "second"],
};

function install(system: SmbiosSystem = SYSTEM) {
  const memory = new PlainMemory(MIB);
  const end = installSmbios(memory, system, guestPhysical(0xf_0030));
  return { guest: new GuestView(memory.bytes), memory, end };
}

interface Structure {
  readonly type: number;
  readonly at: number;
  readonly strings: string[];
}
function structures(guest: GuestView, start: number, length: number): Structure[] {
  const found: Structure[] = [];
  for (let at = start; at < start + length; ) {
    const strings: string[] = [];
    let next = at + guest.u8(at + 1);
    while (guest.u8(next) !== 0) {
      const text = guest.text(next);
      strings.push(text);
      next += text.length + 1;
    }
    found.push({ type: guest.u8(at), at, strings });
    at = next + (strings.length === 0 ? 2 : 1);
  }
  return found;
}

test("both entry points are found on 16-byte boundaries with correct checksums and name the same table", () => {
  const { guest, end } = install();
  assert.equal(guest.text(0xf_0030, 5), "_SM3_");
  assert.equal(guest.sum(0xf_0030, guest.u8(0xf_0036)), 0);
  assert.equal(guest.text(0xf_0050, 4), "_SM_");
  assert.equal(guest.u8(0xf_0055), 31);
  assert.equal(guest.sum(0xf_0050, 31), 0);
  assert.equal(guest.sum(0xf_0060, 15), 0, "intermediate");
  assert.equal(guest.u32(0xf_0068), guest.u64(0xf_0040));
  assert.equal(guest.u32(0xf_0068) + guest.u16(0xf_0066), end);
  assert.equal(guest.u32(0xf_003c), guest.u16(0xf_0066));
});

test("the structures are those of the machine and end with type 127", () => {
  const { guest } = install();
  const all = structures(guest, guest.u32(0xf_0068), guest.u16(0xf_0066));
  assert.deepEqual(
    all.map(({ type }) => type),
    [0, 1, 3, 4, 4, 11, 16, 17, 19, 32, 127],
  );
  assert.equal(guest.u16(0xf_006c), all.length);
  const [bios, system, , cpu] = all as [Structure, Structure, Structure, Structure];
  assert.equal(bios.strings[0], "Bunkhouse");
  assert.equal(guest.u8(bios.at + 19) & 0x10, 0x10, "a virtual machine");
  assert.deepEqual(system.strings.slice(0, 4), ["Bunkhouse", "Bunkhouse VM", "0.1.0", SYSTEM.serialNumber]);
  assert.equal(Buffer.from(guest.bytes(system.at + 8, 16)).toString("hex"), "67452301ab89efcd0123456789abcdef");
  assert.equal(guest.u32(cpu.at + 8), 0x000306a9);
  assert.equal(guest.u8(cpu.at + 35), 3, "cores");
  assert.deepEqual(all.find(({ type }) => type === 11)!.strings, SYSTEM.oemStrings);
  assert.equal(guest.u16(all.find(({ type }) => type === 17)!.at + 12), 512, "MiB");
});

test("a machine without serial number and OEM strings has neither", () => {
  const { serialNumber: _, oemStrings: __, ...rest } = SYSTEM;
  const { guest } = install(rest);
  const all = structures(guest, guest.u32(0xf_0068), guest.u16(0xf_0066));
  assert.equal(guest.u8(all[1]!.at + 7), 0);
  assert.ok(all.every(({ type }) => type !== 11));
});

test("tables that do not fit in the BIOS segment, or a bad UUID, are mistakes of the caller", () => {
  const memory = new PlainMemory(2 * MIB);
  assert.throws(() => installSmbios(memory, SYSTEM, guestPhysical(0xf_0001)), RangeError);
  assert.throws(() => installSmbios(memory, SYSTEM, guestPhysical(0xf_fff0)), RangeError);
  assert.throws(() => install({ ...SYSTEM, uuid: "123" }), RangeError);
});

const dmidecode = spawnSync("dmidecode", ["--version"]).status === 0;
test("dmidecode reads the tables without complaint", { skip: dmidecode ? false : "dmidecode is not installed" }, () => {
  const { guest } = install();
  const folder = mkdtempSync(path.join(tmpdir(), "bunkhouse-smbios-"));
  try {
    // Its dump format: the entry point, then the table at byte 32, which the entry point's address is set to.
    const dump = Buffer.alloc(32 + guest.u16(0xf_0066));
    dump.set(guest.bytes(0xf_0030, 24));
    dump.writeBigUInt64LE(32n, 16);
    dump[5] = 0;
    dump[5] = -dump.subarray(0, 24).reduce((sum, byte) => sum + byte, 0) & 0xff;
    dump.set(guest.bytes(guest.u32(0xf_0068), guest.u16(0xf_0066)), 32);
    const file = path.join(folder, "dump");
    writeFileSync(file, dump);
    const text = execFileSync("dmidecode", ["--from-dump", file], { encoding: "utf8" });
    assert.match(text, /SMBIOS 3\.0\.0 present/);
    assert.match(text, /Manufacturer: Bunkhouse/);
    assert.match(text, /UUID: 01234567-89ab-cdef-0123-456789abcdef/);
    assert.match(text, /Core Count: 3/);
    assert.match(text, /Size: 512 MB/);
    assert.match(text, /String 1: io\.systemd\.credential:a=b/);
    assert.doesNotMatch(text, /BAD INDEX|OUT OF SPEC|TRUNCATED|Wrong|broken/i);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
