import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical, MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { BootError } from "./boot-error.ts";
import type { KernelFiles } from "./loaded-kernel.ts";
import { memoryMap } from "./memory-map.ts";
import { loadPvh } from "./pvh.ts";
import { GuestView } from "./testing/guest-view.ts";
import { elfFile, pvhNote, type TestSegment } from "./testing/kernel-images.ts";

const code: TestSegment = {
  type: 1,
  vaddr: 0xffff_ffff_8100_0000n,
  paddr: 0x100_0000,
  content: new Uint8Array(0x1800).fill(0xc0),
  memsz: 0x4000,
};
const note = (size: 4 | 8): TestSegment => ({ type: 4, vaddr: 0n, paddr: 0, content: pvhNote(0x100_0850, size) });

function boot(kernel: Uint8Array, files: Partial<KernelFiles> = {}) {
  const memory = new PlainMemory(64 * MIB);
  memory.bytes.fill(0xaa);
  const map = memoryMap(64 * MIB);
  const loaded = loadPvh({ memory, map, rsdp: guestPhysical(0xf_0000) }, { kernel, ...files });
  return { loaded, map, state: loaded.state, guest: new GuestView(memory.bytes) };
}
const refuses = (kernel: Uint8Array, kind: BootError["kind"], text: RegExp) =>
  assert.throws(
    () => boot(kernel),
    (error: Error) => {
      assert.ok(error instanceof BootError, String(error));
      assert.equal(error.kind, kind, error.message);
      assert.match(error.message, text);
      return true;
    },
  );

for (const [wide, size] of [
  [true, 8],
  [false, 4],
] as const) {
  test(`a ${wide ? 64 : 32}-bit kernel is entered at its PVH note's address in 32-bit mode`, () => {
    const vaddr = wide ? 0xffff_ffff_8100_0000n : 0xc100_0000n;
    const kernel = elfFile(wide, 0x100_0000n, [{ ...code, vaddr }, note(size)]);
    const { state, guest, loaded } = boot(kernel);
    assert.equal(state.mode, "protected");
    assert.equal(state.rip, 0x100_0850n);
    assert.equal(state.cr0 & 0x8000_0000n, 0n);
    assert.equal(state.segments.tr.limit, 0x67);
    assert.equal(guest.u8(0x100_17ff), 0xc0);
    assert.equal(guest.u8(0x100_1800), 0, "bss is zero");
    assert.equal(guest.u8(0x100_3fff), 0);
    assert.equal(guest.u8(0x100_4000), 0xaa);
    assert.deepEqual(loaded.kernel, { address: 0x100_0000, size: 0x4000 });
  });
}

test("EBX leads to the start info with command line, RSDP, memory map and the RAM disk as module", () => {
  const kernel = elfFile(true, 0n, [code, note(8)]);
  const initrd = Uint8Array.from({ length: 5000 }, (_, index) => index & 0xff);
  const { state, guest, map, loaded } = boot(kernel, { initrd, commandLine: "console=hvc0 quiet" });
  const info = Number(state.registers.rbx);
  assert.equal(guest.u32(info), 0x336ec578);
  assert.equal(guest.u32(info + 4), 1, "version");
  assert.equal(guest.u32(info + 12), 1, "one module");
  const module = guest.u64(info + 16);
  assert.deepEqual([guest.u64(module), guest.u64(module + 8)], [loaded.initrd!.address, 5000]);
  assert.deepEqual(guest.bytes(loaded.initrd!.address, 5000), initrd);
  assert.equal(guest.text(guest.u64(info + 24)), "console=hvc0 quiet");
  assert.equal(guest.u64(info + 32), 0xf_0000);
  const list = guest.u64(info + 40);
  const entries = Array.from({ length: guest.u32(info + 48) }, (_, index) => {
    const at = list + index * 24;
    return { address: guest.u64(at), size: guest.u64(at + 8), type: guest.u32(at + 16) };
  });
  assert.deepEqual(entries, map.entries);
});

test("without a RAM disk there is no module", () => {
  const { state, guest } = boot(elfFile(true, 0n, [code, note(8)]));
  const info = Number(state.registers.rbx);
  assert.equal(guest.u32(info + 12), 0);
  assert.equal(guest.u64(info + 16), 0);
});

test("ELF files that cannot start are refused with a reason", () => {
  const good = elfFile(true, 0n, [code, note(8)]);
  refuses(elfFile(true, 0n, [code]), "unsupported", /no PVH entry/);
  refuses(good.subarray(0, 40), "truncated", /cut short/);
  refuses(good.subarray(0, 100), "truncated", /cut short/);
  refuses(good.subarray(0, 0x1000), "truncated", /cut short/);
  refuses(elfFile(true, 0n, [code, note(8)], 183), "not-a-kernel", /ELF program for 64-bit Arm/);
  refuses(elfFile(true, 0n, [note(8)]), "not-a-kernel", /no segment to load/);
  refuses(elfFile(true, 0n, [{ ...code, memsz: 0x1000 }, note(8)]), "corrupt", /larger in the file/);
  refuses(elfFile(true, 0n, [{ ...code, paddr: 0x4000_0000 }, note(8)]), "no-room", /give it more than 1025 MiB/);
  refuses(elfFile(true, 0n, [{ ...code, paddr: 0xf_f000 }, note(8)]), "no-room", /needs RAM from 0xff000/);
  const object = good.slice();
  object[16] = 1;
  refuses(object, "not-a-kernel", /not executable/);
});

test("notes that run past their segment end the list", () => {
  const broken = pvhNote(0x100_0850, 8);
  broken[4] = 0xff;
  refuses(elfFile(true, 0n, [code, { ...note(8), content: broken }]), "unsupported", /no PVH entry/);
});
