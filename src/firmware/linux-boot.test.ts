import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical, MIB } from "../bits/units.ts";
import { PlainMemory, SeededRandom } from "../machine/testing/rig.ts";
import { BootError } from "./boot-error.ts";
import { type LinuxBootOptions, loadLinux } from "./linux-boot.ts";
import { memoryMap } from "./memory-map.ts";
import { GuestView } from "./testing/guest-view.ts";
import { bzImage } from "./testing/kernel-images.ts";
import { linearModeOf } from "./vga/linear-screen.ts";

function boot(options: Partial<LinuxBootOptions> = {}, ramSize = 64 * MIB) {
  const memory = new PlainMemory(ramSize);
  memory.bytes.fill(0xaa);
  const target = { memory, map: memoryMap(ramSize), rsdp: guestPhysical(0xf_0000) };
  const loaded = loadLinux(target, { kernel: bzImage(), commandLine: "console=ttyS0", ...options });
  return { loaded, state: loaded.state, guest: new GuestView(memory.bytes), ramSize };
}
const refuses = (options: Partial<LinuxBootOptions>, kind: BootError["kind"], text: RegExp, ramSize = 64 * MIB) =>
  assert.throws(
    () => boot(options, ramSize),
    (error: Error) => {
      assert.ok(error instanceof BootError);
      assert.equal(error.kind, kind, error.message);
      assert.match(error.message, text);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    },
  );

test("a 64-bit kernel is entered at 0x200 of its preferred address with the zero page in RSI", () => {
  const { loaded, state, guest } = boot();
  assert.equal(loaded.description, "Linux 6.6.6-test, boot protocol 2.15, 64-bit entry");
  assert.equal(state.mode, "long");
  assert.equal(state.rip, 0x100_0200n);
  assert.equal(guest.u32(0x100_0000), 0xc0c0c0c0);
  const page = Number(state.registers.rsi);
  assert.equal(guest.u32(page + 0x202), 0x53726448);
  assert.equal(guest.u8(page + 0x210), 0xff, "type_of_loader");
  assert.equal(guest.u32(page + 0x214), 0x100_0000, "code32_start");
  assert.equal(guest.text(guest.u32(page + 0x228)), "console=ttyS0");
  assert.equal(guest.u64(page + 0x70), 0xf_0000, "acpi_rsdp_addr");
  assert.equal(guest.u8(page + 0x1ef), 0, "sentinel");
  assert.equal(guest.u8(page + 0x0f), 0, "no VGA console");
});

test("the zero page tells the memory map, in E820 records and in the older fields", () => {
  const { state, guest, ramSize } = boot();
  const page = Number(state.registers.rsi);
  const records = Array.from({ length: guest.u8(page + 0x1e8) }, (_, index) => {
    const at = page + 0x2d0 + index * 20;
    return [guest.u64(at), guest.u64(at + 8), guest.u32(at + 16)];
  });
  const map = memoryMap(ramSize);
  assert.deepEqual(
    records,
    map.entries.map(({ address, size, type }) => [address, size, type]),
  );
  assert.equal(guest.u32(page + 0x1e0), 63 * 1024 - 64);
  assert.equal(guest.u16(page + 0x02), 63 * 1024 - 64);
});

test("at the 64-bit entry the first 4 GiB are mapped one to one", () => {
  const { state, guest } = boot();
  const walk = (linear: number) => {
    let table = Number(state.cr3);
    for (const shift of [39, 30, 21]) {
      const entry = guest.u64(table + (Math.floor(linear / 2 ** shift) % 512) * 8);
      assert.equal(entry & 3, 3, "present and writable");
      if (shift === 21) {
        assert.equal(entry & 0x80, 0x80, "a 2 MiB page");
        return entry - (entry % 4096) + (linear % 0x20_0000);
      }
      table = entry - (entry % 4096);
    }
    return undefined;
  };
  for (const linear of [0, 0x9_0123, 0x100_0200, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
    assert.equal(walk(linear), linear);
  }
  assert.equal(guest.u64(Number(state.cr3) + 8), 0, "nothing above 512 GiB");
});

for (const entry of ["64", "32"] as const) {
  test(`at the ${entry}-bit entry GDT and segments are __BOOT_CS and __BOOT_DS`, () => {
    const { state, guest } = boot({ entry });
    assert.equal(state.segments.cs.selector, 0x10);
    assert.deepEqual(state.segments.ds, state.segments.ss);
    assert.equal(state.segments.ds.selector, 0x18);
    assert.equal(state.gdt.limit, 0x1f);
    assert.equal(guest.u32(state.gdt.base + 0x14), entry === "64" ? 0x00af9b00 : 0x00cf9b00);
    assert.equal(guest.u32(state.gdt.base + 0x1c), 0x00cf9300);
    assert.equal(state.rflags & 0x200n, 0n, "interrupts are off");
  });
}

test("the 32-bit entry is the load address, with EBP, EDI and EBX zero", () => {
  const { state } = boot({ entry: "32" });
  assert.equal(state.mode, "protected");
  assert.equal(state.rip, 0x100_0000n);
  const { rsi, rbp, rdi, rbx } = state.registers;
  assert.deepEqual([rsi, rbp, rdi, rbx], [0x9_0000n, 0n, 0n, 0n]);
});

test("a kernel without the 64-bit entry starts in 32-bit mode", () => {
  const { state } = boot({ kernel: bzImage({ xloadflags: 0 }) });
  assert.equal(state.mode, "protected");
  refuses({ kernel: bzImage({ xloadflags: 0 }), entry: "64" }, "unsupported", /no 64-bit entry/);
});

test("a kernel that cannot be relocated goes to 1 MiB, and room is kept where it runs", () => {
  const kernel = bzImage({ version: 0x20a, relocatableKernel: 0 });
  const { state, loaded } = boot({ kernel, initrd: new Uint8Array(4096) });
  assert.equal(state.rip, 0x10_0000n);
  assert.equal(loaded.kernel.address + loaded.kernel.size, 0x120_0000);
  refuses({ kernel }, "no-room", /give it more than 18 MiB/, 16 * MIB);
});

test("the 16-bit entry runs the kernel's own setup code at 0x90000", () => {
  const { state, guest } = boot({ entry: "16" });
  assert.equal(state.mode, "real");
  assert.equal(state.segments.cs.selector, 0x9020);
  assert.equal(state.rip, 0n);
  assert.equal(state.segments.ss.selector, 0x9000);
  assert.equal(state.registers.rsp, 0xe000n);
  assert.equal(guest.u8(0x90211) & 0x80, 0x80, "CAN_USE_HEAP");
  assert.equal(guest.u16(0x90224), 0xde00, "heap_end_ptr");
  assert.equal(guest.u32(0x90228), 0x9_e000, "cmd_line_ptr");
  assert.equal(guest.u8(0x90000), 0x5e, "boot sector");
  assert.equal(guest.text(0x90800), "6.6.6-test (someone) #1");
});

test("a zImage of protocol 2.00 gets its command line the old way, below 0x9A000", () => {
  const kernel = bzImage({ version: 0x200, loadflags: 0, code32Start: 0x1000, relocatableKernel: 0, syssize: 7 });
  const { state, guest } = boot({ kernel, commandLine: "root=/dev/hda1" }, 4 * MIB);
  assert.equal(state.mode, "real");
  assert.equal(guest.u32(0x1_0000), 0xc0c0c0c0);
  assert.equal(guest.u16(0x90020), 0xa33f);
  assert.equal(guest.text(0x90000 + guest.u16(0x90022)), "root=/dev/hda1");
  assert.equal(guest.u32(0x90214), 0x1000, "code32_start is left alone");
  assert.equal(guest.u32(0x90228), 0, "cmd_line_ptr does not exist yet");
  assert.ok(state.registers.rsp <= 0x9800n);
  refuses({ kernel, entry: "32" }, "unsupported", /zImage/);
});

test("the initial RAM disk lies as high as kernel and RAM allow, on a page boundary", () => {
  const initrd = Uint8Array.from({ length: 5000 }, (_, index) => index & 0xff);
  const { loaded, guest, state, ramSize } = boot({ initrd });
  const { address, size } = loaded.initrd!;
  assert.equal(address, ramSize - 0x1_0000 - 0x2000);
  assert.deepEqual(guest.bytes(address, size), initrd);
  const page = Number(state.registers.rsi);
  assert.deepEqual([guest.u32(page + 0x218), guest.u32(page + 0x21c)], [address, 5000]);
  const limited = boot({ initrd, kernel: bzImage({ initrdAddrMax: 0x2ff_ffff }) });
  assert.equal(limited.loaded.initrd!.address, 0x300_0000 - 0x2000);
  const early = boot({ initrd, kernel: bzImage({ version: 0x202, relocatableKernel: 0 }) });
  assert.equal(early.loaded.initrd!.address, ramSize - 0x1_0000 - 0x2000);
  refuses({ initrd: new Uint8Array(50 * MIB) }, "no-room", /no room for the initial RAM disk/);
});

test("an empty initial RAM disk is none", () => {
  const { loaded, guest } = boot({ initrd: new Uint8Array(0) });
  assert.equal(loaded.initrd, undefined);
  assert.equal(guest.u32(0x90218), 0);
});

test("a random seed reaches the kernel through setup_data", () => {
  const { guest } = boot({ random: new SeededRandom(1) });
  const data = guest.u64(0x90250);
  assert.equal(guest.u64(data), 0, "no further entry");
  assert.equal(guest.u32(data + 8), 9, "SETUP_RNG_SEED");
  assert.equal(guest.u32(data + 12), 32);
  const expected = new Uint8Array(32);
  new SeededRandom(1).fill(expected);
  assert.deepEqual(guest.bytes(data + 16, 32), expected);
  assert.equal(boot({ random: new SeededRandom(1), kernel: bzImage({ version: 0x208 }) }).guest.u64(0x90250), 0);
});

test("a VGA text screen is announced only where there is one", () => {
  const { guest } = boot({ screen: "text" });
  assert.deepEqual([guest.u8(0x90006), guest.u8(0x90007), guest.u8(0x9000e), guest.u8(0x9000f)], [3, 80, 25, 1]);
});

test("a linear screen is announced with its place and its colours", () => {
  const mode = { number: 0x117, width: 1024, height: 768, bitsPerPixel: 16 } as const;
  const { guest } = boot({ screen: { mode, address: guestPhysical(0xe000_0000), size: 16 << 20 } });
  assert.equal(guest.u8(0x9000f), 0x23, "VIDEO_TYPE_VLFB");
  assert.deepEqual(
    [0x12, 0x14, 0x16, 0x24].map((at) => guest.u16(0x90000 + at)),
    [1024, 768, 16, 2048],
  );
  assert.equal(guest.u32(0x90018), 0xe000_0000);
  assert.equal(guest.u32(0x9001c), 256, "units of 64 KiB");
  assert.deepEqual([...guest.bytes(0x90026, 8)], [5, 11, 6, 5, 5, 0, 0, 0]);
});

test("vga= on the command line asks for a linear mode, and is refused where there is none", () => {
  assert.equal(linearModeOf("console=tty0 vga=791 quiet")?.number, 0x117);
  assert.equal(linearModeOf("vga=0x317")?.width, 1024);
  for (const line of ["", "quiet", "vga=normal", "vga=ask", "novga=791"]) assert.equal(linearModeOf(line), undefined);
  for (const line of ["vga=5", "vga=0x302", "vga=800x600"]) {
    assert.throws(() => linearModeOf(line), /the display has no mode vga=.*vga=791 \(1024x768x16\)/);
  }
});

test("command lines are UTF-8, as long as the kernel takes, and without zero characters", () => {
  const { guest } = boot({ commandLine: "hostname=bücher€😀" });
  assert.equal(Buffer.from(guest.bytes(0x9e000, 23)).toString(), "hostname=bücher€😀");
  boot({ commandLine: "x".repeat(2047) });
  refuses({ commandLine: "x".repeat(2048) }, "bad-argument", /2048 bytes; this Linux kernel takes at most 2047/);
  refuses({ commandLine: "x".repeat(256), kernel: bzImage({ version: 0x205 }) }, "bad-argument", /at most 255/);
  refuses({ commandLine: "a\0b" }, "bad-argument", /zero character/);
});

test("a file that ends too early is called cut short", () => {
  const whole = bzImage();
  for (const length of [0x240, 0x400, 5 * 512, whole.length - 16]) {
    refuses({ kernel: whole.subarray(0, length) }, "truncated", /cut short/);
  }
  boot({ kernel: whole.subarray(0, whole.length - 15) });
});

test("headers that contradict themselves or are older than the protocol are refused", () => {
  refuses({ kernel: bzImage({ version: 0x1ff }) }, "too-old", /older than 2.00/);
  refuses({ kernel: bzImage({ setupSects: 200 }) }, "corrupt", /impossible sizes/);
  refuses({ kernel: bzImage({ prefAddress: 2n ** 63n }) }, "no-room", /needs RAM/);
  refuses({ kernel: bzImage({ initSize: 0xffff_ffff }) }, "no-room", /needs RAM/);
});

test("a signature after the kernel is not loaded", () => {
  const signed = new Uint8Array(bzImage().length + 100).fill(0x77);
  signed.set(bzImage());
  const { guest } = boot({ kernel: signed });
  assert.equal(guest.u8(0x100_4000), 0xaa, "as before");
});
