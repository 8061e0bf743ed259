/** The reports of the mouse as a guest reads them, with its extensions, here and in QEMU. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { assemble } from "../../src/isa/assemble.ts";
import { bytesOf, type InputGuest, ours, qemus } from "./qemu-input.ts";
import { hasQemu } from "./qemu-screen.ts";

const skip =
  process.env.BUNKHOUSE_TEST_QEMU === "1" && hasQemu() ? false : "needs qemu-system-x86 and BUNKHOUSE_TEST_QEMU=1";

/** Sample rates that turn the extensions on. */
const KNOCKS = { "three buttons": [], "a wheel": [200, 100, 80], "five buttons": [200, 200, 80] } as const;

/** Asks the mouse for its kind and its status, has it report, and sends all that comes to COM1. */
function kernel(rates: readonly number[]): Uint8Array {
  const commands = [0xff, ...rates.flatMap((rate) => [0xf3, rate]), 0xf2, 0xe9, 0xe8, 2, 0xe6, 0xf4];
  /** Bytes of the answer. */
  const length = (command: number) => ({ 255: 3, 242: 2, 233: 4 })[command] ?? 1;
  return assemble(
    `
    header: dd 0x1badb002, 0x10000, 0xe4514ffe
    dd header, header, 0, 0, start
    start: mov esp,0x90000
    call ready
    mov al,0x60
    out 0x64,al
    call ready
    mov al,0x44
    out 0x60,al
    ${commands.map((command) => `mov bl,${command}\n mov ecx,${length(command)}\n call tell\n`).join("")}
    next: call take
    call send
    jmp next
    send: mov dx,0x3f8
    out dx,al
    mov dx,0x3fd
    sent: in al,dx
    test al,0x20
    jz sent
    ret
    ready: in al,0x64
    test al,2
    jnz ready
    ret
    take: in al,0x64
    test al,1
    jz take
    in al,0x60
    ret
    tell: call ready
    mov al,0xd4
    out 0x64,al
    call ready
    mov al,bl
    out 0x60,al
    answer: call take
    call send
    dec ecx
    jnz answer
    ret
    `,
    { bits: 32, origin: 0x10_0000n },
  ).bytes;
}

const ACTIONS: Readonly<Record<string, (guest: InputGuest) => Promise<void>>> = {
  "right and down": (guest) => guest.move(5, 3, 0),
  "left and up": (guest) => guest.move(-7, -100, 0),
  left: (guest) => guest.buttons(1),
  "a drag": (guest) => guest.move(1, 0, 0),
  released: (guest) => guest.buttons(0),
  right: (guest) => guest.buttons(2),
  "right released": (guest) => guest.buttons(0),
  middle: (guest) => guest.buttons(4),
  "middle released": (guest) => guest.buttons(0),
};
const WHEEL: typeof ACTIONS = {
  "wheel away": (guest) => guest.move(0, 0, 1),
  "wheel back": (guest) => guest.move(0, 0, -1),
};

for (const [title, rates] of Object.entries(KNOCKS)) {
  test(`a mouse with ${title} reports what it reports in QEMU`, { skip }, async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-mouse-"));
    const file = path.join(directory, "kernel");
    await writeFile(file, kernel(rates));
    const guests = await Promise.all([qemus(file, directory), ours(file)]);
    const [qemu, vm] = guests;
    const hex = (bytes: readonly number[]) => bytes.map((byte) => byte.toString(16)).join(" ");
    try {
      // Reset, kind and status, as far as both tell: the answers end with the last command's.
      while (guests.some(({ received }) => received.length < 2 * rates.length + 13)) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(hex(vm.received), hex(qemu.received));
      for (const [name, act] of Object.entries(rates.length > 0 ? { ...ACTIONS, ...WHEEL } : ACTIONS)) {
        await bytesOf(qemu, act, rates.length > 0 ? 4 : 3);
        await new Promise((resolve) => setTimeout(resolve, 60));
        // QEMU's wheel is a button, whose release is a report of nothing.
        const theirs = hex(qemu.received).replace(/^(8 0 0 [1f]{1,2}) 8 0 0 0$/, "$1");
        assert.equal(await bytesOf(vm, act, theirs.split(" ").length), theirs, name);
      }
    } finally {
      await Promise.all(guests.map((guest) => guest.stop()));
      await rm(directory, { recursive: true });
    }
  });
}
