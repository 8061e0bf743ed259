/**
 * Loads kernels of a distribution from a folder: BUNKHOUSE_TEST_KERNELS, or `bunkhouse-kernels` in the
 * system's folder for temporary files. Names tell the kind: vmlinuz-amd64, vmlinuz-i386, vmlinux-amd64.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { test } from "node:test";
import { MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { loadKernel } from "./direct-boot.ts";
import { memoryMap } from "./memory-map.ts";

const folder = process.env.BUNKHOUSE_TEST_KERNELS ?? path.join(tmpdir(), "bunkhouse-kernels");

function load(name: string, entry: "auto" | "32" | "16" = "auto") {
  const memory = new PlainMemory(256 * MIB);
  const map = memoryMap(256 * MIB);
  const initrd = new Uint8Array(MIB);
  return { memory, ...loadKernel({ memory, map }, { kernel: readFileSync(path.join(folder, name)), initrd, entry }) };
}
const needs = (name: string) => ({ skip: existsSync(path.join(folder, name)) ? false : `no ${name} in ${folder}` });

test(
  "a 64-bit distribution kernel is entered in long mode, or in any narrower mode on request",
  needs("vmlinuz-amd64"),
  () => {
    const { state, kernel, description, memory } = load("vmlinuz-amd64");
    assert.match(description, /^Linux \d+\.\d+\.\d+\S*, boot protocol 2\.\d\d, 64-bit entry$/);
    assert.equal(state.mode, "long");
    assert.equal(state.rip, BigInt(kernel.address) + 0x200n);
    // startup_64 begins with CLD, CLI.
    assert.deepEqual([...memory.bytes.subarray(Number(state.rip), Number(state.rip) + 2)], [0xfc, 0xfa]);
    assert.equal(load("vmlinuz-amd64", "32").state.mode, "protected");
    const real = load("vmlinuz-amd64", "16");
    assert.equal(real.state.mode, "real");
    assert.equal(Buffer.from(real.memory.bytes.subarray(0x90202, 0x90206)).toString(), "HdrS");
  },
);

test("a 32-bit distribution kernel is entered in protected mode", needs("vmlinuz-i386"), () => {
  const { state, memory } = load("vmlinuz-i386");
  assert.equal(state.mode, "protected");
  assert.equal(memory.bytes[Number(state.rip)], 0xfc, "startup_32 begins with CLD");
});

test("an uncompressed distribution kernel is entered through PVH", needs("vmlinux-amd64"), () => {
  const { protocol, state, kernel, memory } = load("vmlinux-amd64");
  assert.equal(protocol, "pvh");
  assert.ok(state.rip >= kernel.address && state.rip < kernel.address + kernel.size);
  assert.equal(memory.bytes[Number(state.rip)], 0xfc, "pvh_start_xen begins with CLD");
});
