import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../bits/units.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { BootError } from "./boot-error.ts";
import { concat } from "./concat.ts";
import { memoryMap } from "./memory-map.ts";
import { loadMultiboot, type MultibootFiles } from "./multiboot.ts";
import { GuestView } from "./testing/guest-view.ts";
import { elfFile, multibootHeader } from "./testing/kernel-images.ts";

function boot(kernel: Uint8Array, files: Partial<MultibootFiles> = {}) {
  const memory = new PlainMemory(16 * MIB);
  memory.bytes.fill(0xaa);
  const map = memoryMap(16 * MIB);
  const loaded = loadMultiboot({ memory, map }, { kernel, ...files });
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

const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const elf = (flags: number) =>
  elfFile(false, 0xc010_0010n, [
    {
      type: 1,
      vaddr: 0xc010_0000n,
      paddr: 0x10_0000,
      content: concat(multibootHeader(flags), new Uint8Array(100).fill(0x90)),
      memsz: 0x3000,
    },
  ]);
/** A file with its header at byte 64, loaded from byte 32 on to 2 MiB. */
const kludge = (addresses: readonly number[], length = 0x200) =>
  concat(
    new Uint8Array(32).fill(0x11),
    new Uint8Array(32).fill(0x22),
    multibootHeader(0x1_0000),
    words(...addresses),
    new Uint8Array(length).fill(0x90),
  );

test("an ELF kernel starts at the physical address of its entry with the loader's magic in EAX", () => {
  const { state, guest, loaded } = boot(elf(3));
  assert.equal(state.mode, "protected");
  assert.equal(state.rip, 0x10_0010n);
  assert.equal(state.registers.rax, 0x2bad_b002n);
  assert.equal(guest.u32(0x10_0000), 0x1bad_b002);
  assert.equal(guest.u8(0x10_2fff), 0);
  assert.deepEqual(loaded.kernel, { address: 0x10_0000, size: 0x3000 });
});

test("EBX leads to memory sizes, memory map, command line and the loader's name", () => {
  const { state, guest, map } = boot(elf(3), { commandLine: "a=b" });
  const info = Number(state.registers.rbx);
  assert.equal(guest.u32(info), 0b10_0100_0101);
  assert.deepEqual([guest.u32(info + 4), guest.u32(info + 8)], [639, 15 * 1024 - 64]);
  assert.equal(guest.text(guest.u32(info + 16)), "kernel a=b");
  assert.equal(guest.text(guest.u32(info + 64)), "Bunkhouse");
  const entries: unknown[] = [];
  const end = guest.u32(info + 48) + guest.u32(info + 44);
  for (let at = guest.u32(info + 48); at < end; at += guest.u32(at) + 4) {
    entries.push({ address: guest.u64(at + 4), size: guest.u64(at + 12), type: guest.u32(at + 20) });
  }
  assert.deepEqual(entries, map.entries);
});

test("modules lie on pages after the kernel, the initial RAM disk first", () => {
  const initrd = new Uint8Array(5000).fill(1);
  const { state, guest, loaded } = boot(elf(3), {
    initrd,
    modules: [{ content: new Uint8Array(10).fill(2), commandLine: "second arg" }],
  });
  const info = Number(state.registers.rbx);
  assert.equal(guest.u32(info) & 8, 8);
  assert.equal(guest.u32(info + 20), 2);
  const list = guest.u32(info + 24);
  assert.deepEqual([guest.u32(list), guest.u32(list + 4)], [0x10_3000, 0x10_3000 + 5000]);
  assert.deepEqual([guest.u32(list + 16), guest.u32(list + 20)], [0x10_5000, 0x10_500a]);
  assert.equal(guest.text(guest.u32(list + 8)), "initrd");
  assert.equal(guest.text(guest.u32(list + 24)), "second arg");
  assert.equal(guest.u8(0x10_5009), 2);
  assert.deepEqual(loaded.initrd, { address: 0x10_3000, size: 5000 });
});

test("a file with addresses in its header is loaded by them, and its bss is zero", () => {
  const kernel = kludge([0x20_0020, 0x20_0000, 0x20_0100, 0x20_1000, 0x20_0040]);
  const { state, guest } = boot(kernel);
  assert.equal(state.rip, 0x20_0040n);
  assert.equal(guest.u8(0x20_0000), 0x22, "from byte 32 of the file");
  assert.equal(guest.u32(0x20_0020), 0x1bad_b002);
  assert.equal(guest.u8(0x20_00ff), 0x90);
  assert.equal(guest.u8(0x20_0100), 0);
  assert.equal(guest.u8(0x20_0fff), 0);
  assert.equal(guest.u8(0x20_1000), 0xaa);
});

test("a zero load end means the whole file, a zero bss end no bss", () => {
  const kernel = kludge([0x20_0020, 0x20_0000, 0, 0, 0x20_0040]);
  const { loaded } = boot(kernel);
  assert.equal(loaded.kernel.size, kernel.length - 32);
});

test("headers that cannot be followed are refused", () => {
  refuses(new Uint8Array(9000), "not-a-kernel", /no Multiboot 1 header/);
  refuses(concat(new Uint8Array(8192), elf(3)), "not-a-kernel", /no Multiboot 1 header/);
  refuses(elf(0x8003), "unsupported", /flags 0x8000/);
  refuses(concat(multibootHeader(0), new Uint8Array(100)), "unsupported", /no ELF file/);
  refuses(concat(multibootHeader(0x1_0000), new Uint8Array(4)), "truncated", /within its header/);
  refuses(kludge([0x20_0000, 0x20_0020, 0, 0, 0]), "corrupt", /contradict/);
  refuses(kludge([0x30_0000, 0x20_0000, 0, 0, 0]), "corrupt", /contradict/);
  refuses(kludge([0x20_0020, 0x20_0000, 0x1f_0000, 0, 0]), "corrupt", /contradict/);
  refuses(kludge([0x20_0020, 0x20_0000, 0x20_4000, 0, 0]), "truncated", /cut short/);
  refuses(kludge([0x20_0020, 0x20_0000, 0, 0xffff_ffff, 0]), "no-room", /needs RAM/);
});
