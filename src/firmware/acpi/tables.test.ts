import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { guestPhysical, MIB } from "../../bits/units.ts";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { memoryMap } from "../memory-map.ts";
import { GuestView } from "../testing/guest-view.ts";
import { type AcpiBoard, i440fxBoard, PC_HPET } from "./board.ts";
import { installAcpi } from "./tables.ts";

function install(board: AcpiBoard = i440fxBoard(4)) {
  const memory = new PlainMemory(16 * MIB);
  const map = memoryMap(16 * MIB);
  installAcpi(memory, map, board, guestPhysical(0xf_0010));
  return { guest: new GuestView(memory.bytes), map };
}

/** Finds the RSDP as an operating system does. @spec ACPI 6.5 section 5.2.5.1 */
function findRsdp(guest: GuestView): number {
  for (let at = 0xe_0000; at < MIB; at += 16) {
    if (guest.text(at, 8) === "RSD PTR " && guest.sum(at, 20) === 0) return at;
  }
  return assert.fail("no RSDP");
}

/** Addresses of all tables by signature, through the RSDT or the XSDT, and through the FADT. */
function findTables(guest: GuestView, root: "RSDT" | "XSDT"): Map<string, number> {
  const rsdp = findRsdp(guest);
  const rootAt = root === "RSDT" ? guest.u32(rsdp + 16) : guest.u64(rsdp + 24);
  const size = root === "RSDT" ? 4 : 8;
  const tables = new Map([[guest.text(rootAt, 4), rootAt]]);
  for (let at = rootAt + 36; at < rootAt + guest.u32(rootAt + 4); at += size) {
    const table = size === 4 ? guest.u32(at) : guest.u64(at);
    tables.set(guest.text(table, 4), table);
  }
  const fadt = tables.get("FACP")!;
  tables.set("DSDT", root === "RSDT" ? guest.u32(fadt + 40) : guest.u64(fadt + 140));
  tables.set("FACS", root === "RSDT" ? guest.u32(fadt + 36) : guest.u64(fadt + 132));
  return tables;
}

test("the RSDP is found by a scan of the BIOS area, with both checksums correct", () => {
  const { guest } = install();
  const rsdp = findRsdp(guest);
  assert.equal(rsdp, 0xf_0010);
  assert.equal(guest.u8(rsdp + 15), 2, "revision");
  assert.equal(guest.sum(rsdp, 36), 0);
});

for (const root of ["RSDT", "XSDT"] as const) {
  test(`every table is reached through the ${root}, in the region kept for tables, with a correct checksum`, () => {
    const { guest, map } = install(i440fxBoard(4, { hpet: PC_HPET }));
    const tables = findTables(guest, root);
    assert.deepEqual([...tables.keys()].sort(), ["APIC", "DSDT", "FACP", "FACS", "HPET", root, "WAET"].sort());
    for (const [signature, at] of tables) {
      const { address, size } = map.acpiTables;
      assert.ok(at >= address && at + guest.u32(at + 4) <= address + size, signature);
      assert.equal(guest.text(at, 4), signature);
      if (signature !== "FACS") assert.equal(guest.sum(at, guest.u32(at + 4)), 0, signature);
    }
    assert.equal(tables.get("FACS")! % 64, 0);
  });
}

test("the FADT gives the PIIX4's registers twice, and how to reset", () => {
  const { guest } = install();
  const fadt = findTables(guest, "XSDT").get("FACP")!;
  assert.equal(guest.u32(fadt + 4), 244);
  assert.equal(guest.u16(fadt + 46), 9, "SCI");
  assert.deepEqual([guest.u32(fadt + 48), guest.u8(fadt + 52), guest.u8(fadt + 53)], [0xb2, 0xf1, 0xf0]);
  assert.deepEqual(
    [56, 64, 76, 80].map((at) => guest.u32(fadt + at)),
    [0x600, 0x604, 0x608, 0x60c],
  );
  assert.deepEqual(
    [88, 89, 91, 92].map((at) => guest.u8(fadt + at)),
    [4, 2, 4, 4],
  );
  assert.deepEqual(
    [148, 172, 208, 220].map((at) => guest.u64(fadt + at + 4)),
    [0x600, 0x604, 0x608, 0x60c],
  );
  assert.deepEqual(
    [148, 172, 208, 220].map((at) => guest.u8(fadt + at + 1)),
    [32, 16, 32, 32],
    "bits",
  );
  assert.equal(guest.u64(fadt + 116 + 4), 0xcf9);
  assert.equal(guest.u8(fadt + 128), 0x06);
  assert.equal(guest.u32(fadt + 112) & (1 << 10), 1 << 10, "RESET_REG_SUP");
  assert.equal(guest.u32(fadt + 112) & (1 << 4), 0, "the power button is the fixed one");
});

test("a 32-bit timer and more than eight processors change the FADT's flags", () => {
  const flags = (board: AcpiBoard) => {
    const { guest } = install(board);
    return guest.u32(findTables(guest, "XSDT").get("FACP")! + 112);
  };
  const board = i440fxBoard(8);
  assert.equal(flags(board) & ((1 << 8) | (1 << 18)), 0);
  assert.equal(flags({ ...board, power: { ...board.power, timerBits: 32 } }) & (1 << 8), 1 << 8);
  assert.equal(flags(i440fxBoard(9)) & (1 << 18), 1 << 18);
});

test("the MADT lists processors, I/O APIC, interrupt overrides and NMI", () => {
  const { guest } = install();
  const madt = findTables(guest, "XSDT").get("APIC")!;
  assert.deepEqual([guest.u32(madt + 36), guest.u32(madt + 40)], [0xfee0_0000, 1]);
  const entries: number[][] = [];
  for (let at = madt + 44; at < madt + guest.u32(madt + 4); at += guest.u8(at + 1)) {
    entries.push([...guest.bytes(at, guest.u8(at + 1))]);
  }
  assert.deepEqual(entries, [
    [0, 8, 0, 0, 1, 0, 0, 0],
    [0, 8, 1, 1, 1, 0, 0, 0],
    [0, 8, 2, 2, 1, 0, 0, 0],
    [0, 8, 3, 3, 1, 0, 0, 0],
    [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
    [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
    [2, 10, 0, 5, 5, 0, 0, 0, 0x0d, 0],
    [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
    [2, 10, 0, 10, 10, 0, 0, 0, 0x0d, 0],
    [2, 10, 0, 11, 11, 0, 0, 0, 0x0d, 0],
    [4, 6, 0xff, 0, 0, 1],
  ]);
});

test("a board with 254 processors fits in the region", () => {
  install(i440fxBoard(254, { hpet: PC_HPET, floppy: true }));
});

test("an RSDP that no guest would find is a mistake of the caller", () => {
  const memory = new PlainMemory(16 * MIB);
  for (const at of [0xf_0008, 0xd_fff0, 0xf_fff0]) {
    assert.throws(() => installAcpi(memory, memoryMap(16 * MIB), i440fxBoard(1), guestPhysical(at)), RangeError);
  }
});

const iasl = spawnSync("iasl", ["-v"]).status === 0;
const tools = { skip: iasl ? false : "iasl (package acpica-tools) is not installed" };

test("iasl disassembles every table, and compiles the DSDT again to the same behaviour", tools, () => {
  const { guest } = install(i440fxBoard(4, { hpet: PC_HPET, floppy: true }));
  const folder = mkdtempSync(path.join(tmpdir(), "bunkhouse-acpi-"));
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync("iasl", args, { cwd: folder, encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
    return stdout + stderr;
  };
  try {
    for (const [signature, at] of findTables(guest, "XSDT")) {
      writeFileSync(path.join(folder, `${signature}.aml`), guest.bytes(at, guest.u32(at + 4)));
      assert.doesNotMatch(run("-d", `${signature}.aml`), /error|warning|invalid|unknown/i, signature);
    }
    const source = readFileSync(path.join(folder, "DSDT.dsl"), "utf8");
    assert.match(source, /Name \(_HID, EisaId \("PNP0A03"\)/);
    assert.match(source, /Processor \(C003, 0x03, 0x00000000, 0x00\)/);
    // Processor objects are the one thing that a later specification discourages; older systems need them.
    const compiled = run("-vw", "3168", "-p", "again", "DSDT.dsl");
    assert.match(compiled, /0 Errors, 0 Warnings/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const acpiexec = spawnSync("acpiexec", ["-v"]).status === 0;
const interpreter = { skip: acpiexec ? false : "acpiexec (package acpica-tools) is not installed" };

test("ACPICA's interpreter loads the DSDT and evaluates what a guest evaluates at boot", interpreter, () => {
  const { guest } = install();
  const folder = mkdtempSync(path.join(tmpdir(), "bunkhouse-acpi-"));
  try {
    const at = findTables(guest, "XSDT").get("DSDT")!;
    writeFileSync(path.join(folder, "dsdt.aml"), guest.bytes(at, guest.u32(at + 4)));
    const commands = [
      "\\_S5",
      "\\_SB.PCI0._CRS",
      "\\_SB.LNKD._PRS",
      // The simulated configuration space begins with zeros: each line is routed to interrupt 0.
      "\\_SB.LNKD._STA",
      "\\_SB.LNKD._CRS",
      "\\_SB.LNKD._DIS",
      "\\_SB.LNKD._STA",
      "\\_SB.LNKC._SRS (89 06 00 09 01 0A 00 00 00 79 00)",
      "\\_SB.LNKC._CRS",
      "\\_SB.LNKC._DIS",
      "\\_SB.LNKC._CRS",
    ];
    const batch = commands.map((command) => `evaluate ${command}`).join(";");
    const text = execFileSync("acpiexec", ["-b", batch, "dsdt.aml"], { cwd: folder, encoding: "utf8" });
    assert.doesNotMatch(text, /ACPI Error|Exception/);
    const results = text.split("Evaluating ").slice(1);
    assert.equal(results.length, commands.length);
    assert.match(results[3]!, /\[Integer\] = 0+B\s/);
    assert.match(results[4]!, /89 06 00 09 01 00 00 00 00 79 00/);
    assert.match(results[6]!, /\[Integer\] = 0+9\s/, "disabled");
    assert.match(results[8]!, /89 06 00 09 01 0A 00 00 00 79 00/);
    assert.match(results[10]!, /89 06 00 09 01 00 00 00 00 79 00/, "disabled: no interrupt");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
