import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { SeededRandom } from "../bits/testing/seeded-random.ts";
import { GIB, guestPhysical, MIB } from "../bits/units.ts";
import { unpackNow } from "../disk/node/decompress.ts";
import { PlainMemory } from "../machine/testing/rig.ts";
import { concat } from "./concat.ts";
import { type LinuxBootOptions, loadLinux } from "./linux-boot.ts";
import { parseLinuxImage, payloadPacking } from "./linux-header.ts";
import { unpackLinux } from "./linux-unpack.ts";
import { memoryMap } from "./memory-map.ts";
import { GuestView } from "./testing/guest-view.ts";
import { bzImage, elfFile, lz4Payload, relocationTable } from "./testing/kernel-images.ts";

const LINKED_FOR = 16 * MIB;
const KERNEL_MAP = 0xffff_ffff_8000_0000n;
const INIT_SIZE = 4 * MIB;
const UNPACKED = "64-bit entry, unpacked by the host";
const pageOf = (byte: number) => new Uint8Array(0x1000).fill(byte);

/** Code, per-CPU data linked for 0, and data with room after it; entered at 0x40. */
const vmlinux = (fields: { entry?: number; dataAt?: number } = {}) => {
  const { entry = LINKED_FOR + 0x40, dataAt = LINKED_FOR + 0x20_0000 } = fields;
  return elfFile(true, BigInt(entry), [
    { type: 1, vaddr: KERNEL_MAP + BigInt(LINKED_FOR), paddr: LINKED_FOR, content: pageOf(0x11) },
    { type: 1, vaddr: 0n, paddr: LINKED_FOR + 0x10_0000, content: pageOf(0x22) },
    { type: 1, vaddr: KERNEL_MAP + BigInt(dataAt), paddr: dataAt, content: pageOf(0x33), memsz: 0x3000 },
  ]);
};
const RELOCATIONS = relocationTable(LINKED_FOR, [[0x20_0010], [0x10_0020], [0x30]]);

const ending = (packed: Uint8Array, size: number) => concat(packed, new Uint8Array(Uint32Array.of(size).buffer));
const PACKINGS = {
  gzip: (file: Uint8Array) => gzipSync(file),
  zstd: (file: Uint8Array) => ending(zstdCompressSync(file), file.length),
  lz4: lz4Payload,
};
type Fields = Parameters<typeof bzImage>[0];

/** A kernel whose payload lies between other code. */
function kernelOf(payload: Uint8Array, fields: Fields = {}): Uint8Array {
  const code = concat(new Uint8Array(0x300).fill(0xc0), payload, new Uint8Array(100).fill(0xc0));
  return bzImage({ payloadOffset: 0x300, payloadLength: payload.length, initSize: INIT_SIZE, ...fields }, code);
}
const usual = (fields?: Fields) => kernelOf(lz4Payload(concat(vmlinux(), RELOCATIONS)), fields);

async function boot(options: Partial<LinuxBootOptions> & { ramSize?: number } = {}) {
  const { ramSize = 64 * MIB, kernel = usual(), ...others } = options;
  const packing = payloadPacking(parseLinuxImage(kernel));
  const unpack = packing === "gzip" || packing === "zstd" ? await unpackNow(packing) : undefined;
  const memory = new PlainMemory(ramSize);
  memory.bytes.fill(0xaa);
  const loaded = loadLinux(
    { memory, map: memoryMap(ramSize), rsdp: guestPhysical(0xf_0000) },
    { kernel, unpack: (image, commandLine) => unpackLinux(image, commandLine, unpack), ...others },
  );
  const guest = new GuestView(memory.bytes);
  const { address } = loaded.kernel;
  const distance = (guest.u32(address + 0x30) - 0x1111_1111) >>> 0;
  const hasKaslr = (guest.u8(Number(loaded.state.registers.rsi) + 0x211) & 2) !== 0;
  return { loaded, guest, memory, address, distance, hasKaslr };
}
const isUnpacked = ({ loaded }: Awaited<ReturnType<typeof boot>>) => loaded.description.includes(UNPACKED);

for (const [packing, pack] of Object.entries(PACKINGS)) {
  test(`a kernel packed by ${packing} is unpacked and entered at its own entry`, async () => {
    const { loaded, guest, address, hasKaslr } = await boot({
      kernel: kernelOf(pack(vmlinux())),
      commandLine: "quiet",
    });
    assert.equal(loaded.description, `Linux 6.6.6-test, boot protocol 2.15, ${UNPACKED}`);
    assert.equal(address, LINKED_FOR);
    assert.equal(loaded.state.mode, "long");
    assert.equal(loaded.state.rip, BigInt(LINKED_FOR + 0x40));
    assert.deepEqual(guest.bytes(LINKED_FOR, 0x1000), pageOf(0x11));
    assert.deepEqual(guest.bytes(LINKED_FOR + 0x10_0000, 0x1000), pageOf(0x22));
    assert.deepEqual(guest.bytes(LINKED_FOR + 0x20_0000, 0x1000), pageOf(0x33));
    assert.deepEqual(guest.bytes(LINKED_FOR + 0x20_1000, 0x2000), new Uint8Array(0x2000), "what is beyond the file");
    const page = Number(loaded.state.registers.rsi);
    assert.equal(guest.u32(page + 0x202), 0x53726448);
    assert.equal(guest.text(guest.u32(page + 0x228)), "quiet");
    assert.equal(hasKaslr, false, "a kernel without relocations stays");
  });
}

test("a kernel with relocations runs at random addresses, all of which fit", async () => {
  const [physical, virtual] = [new Set<number>(), new Set<number>()];
  const initrd = new Uint8Array(20 * MIB).fill(0x77);
  const random = new SeededRandom(3);
  for (let i = 0; i < 60; i++) {
    const { loaded, guest, address, distance, hasKaslr } = await boot({ random, initrd, commandLine: "console=ttyS0" });
    assert.ok(hasKaslr);
    assert.equal(loaded.state.rip, BigInt(address + 0x40));
    assert.equal(guest.u32(Number(loaded.state.registers.rsi) + 0x214), address, "code32_start");
    assert.equal(address % (2 * MIB), 0);
    assert.ok(address >= LINKED_FOR && address + INIT_SIZE <= loaded.initrd!.address, "below the initial RAM disk");
    assert.equal(Buffer.compare(guest.bytes(loaded.initrd!.address, initrd.length), initrd), 0);
    assert.equal(distance % (2 * MIB), 0);
    assert.ok(LINKED_FOR + distance + INIT_SIZE <= GIB);
    assert.equal(guest.u32(address + 0x10_0020), (0x2222_2222 - distance) >>> 0);
    assert.equal(guest.u32(address + 0x20_0010), (0x3333_3333 + distance) >>> 0);
    assert.equal(guest.u32(address + 0x20_0014), 0x3333_3333);
    physical.add(address);
    virtual.add(distance);
  }
  // 11 places from 16 MiB up are below the initial RAM disk.
  assert.ok(physical.size > 8 && physical.size <= 12, `${physical.size} physical addresses`);
  assert.ok(virtual.size > 40, `${virtual.size} virtual addresses`);
});

test("the same random numbers give the same addresses", async () => {
  const places = async () => {
    const { address, distance } = await boot({ random: new SeededRandom(9) });
    return [address, distance];
  };
  assert.deepEqual(await places(), await places());
});

test("nokaslr, and no source of random numbers, keep a kernel where it was linked for", async () => {
  for (const options of [
    { random: new SeededRandom(1), commandLine: "quiet nokaslr mem=60M" },
    { commandLine: "console=ttyS0" },
  ]) {
    const booted = await boot(options);
    assert.ok(isUnpacked(booted));
    assert.deepEqual([booted.address, booted.distance, booted.hasKaslr], [LINKED_FOR, 0, false]);
  }
  assert.ok((await boot({ random: new SeededRandom(1), commandLine: "xnokaslr nokaslr=1" })).hasKaslr);
});

test("where there is room for one place only, the kernel runs there", async () => {
  const booted = await boot({ random: new SeededRandom(1), ramSize: 21 * MIB });
  assert.deepEqual([booted.address, booted.hasKaslr], [LINKED_FOR, true]);
});

test("a kernel that is not as expected unpacks itself, in memory that nobody touched", async () => {
  const whole = concat(vmlinux(), RELOCATIONS);
  const kernels = {
    "another packing": kernelOf(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 1)),
    "no payload": usual({ payloadOffset: 0, payloadLength: 0 }),
    "a payload beyond the file": usual({ payloadLength: 0x10_0000 }),
    "an old protocol": usual({ version: 0x20c, prefAddress: 0n }),
    "a size that is not the payload's": kernelOf(lz4Payload(whole).fill(0xff, -4, -3)),
    "more than the room that it asks for": usual({ initSize: 0x3000 }),
    "no gzip": kernelOf(gzipSync(whole).fill(0xff, 20, 100)),
    "no zstd": kernelOf(ending(zstdCompressSync(whole).fill(0xff, 20), whole.length)),
    "no ELF": kernelOf(lz4Payload(pageOf(1))),
    "a 32-bit ELF": kernelOf(
      lz4Payload(elfFile(false, 0n, [{ type: 1, vaddr: 0n, paddr: LINKED_FOR, content: pageOf(1) }])),
    ),
    "a segment below": kernelOf(lz4Payload(vmlinux({ dataAt: 15 * MIB }))),
    "a segment beyond": kernelOf(lz4Payload(vmlinux({ dataAt: LINKED_FOR + INIT_SIZE - 0x2fff }))),
    "an entry elsewhere": kernelOf(lz4Payload(vmlinux({ entry: LINKED_FOR + 0x1000 }))),
    "more than relocations": kernelOf(lz4Payload(concat(vmlinux(), pageOf(0), RELOCATIONS))),
    "relocations of what cannot move": usual({ relocatableKernel: 0 }),
  };
  for (const [what, kernel] of Object.entries(kernels)) {
    const booted = await boot({ kernel, random: new SeededRandom(1) });
    assert.ok(!isUnpacked(booted), what);
    assert.equal(booted.loaded.state.rip, BigInt(booted.address + 0x200), what);
    assert.equal(booted.guest.u32(booted.address), 0xc0c0_c0c0, what);
    assert.equal(booted.guest.u8(LINKED_FOR + 0x20_0000), 0xaa, what);
  }
  for (const commandLine of ["mem=60M", "quiet memmap=1M$24M", "hugepages=10"]) {
    assert.ok(!isUnpacked(await boot({ commandLine, random: new SeededRandom(1) })), commandLine);
  }
});

test("an entry that is asked for is the bzImage's own", async () => {
  const booted = await boot({ entry: "64", random: new SeededRandom(1) });
  assert.ok(!isUnpacked(booted));
  assert.equal(booted.loaded.state.rip, BigInt(LINKED_FOR + 0x200));
});

test("too little RAM is reported as without unpacking", async () => {
  await assert.rejects(boot({ ramSize: 19 * MIB }), /give it more than 20 MiB/);
});

test("a machine that starts again unpacks its kernel again", async () => {
  const kernel = usual();
  const [first, second] = [await boot({ kernel }), await boot({ kernel })];
  assert.ok(isUnpacked(second));
  assert.deepEqual(first.memory.bytes, second.memory.bytes);
});
