/** The bytes of every key as a guest reads them, in every set of scan codes, here and in QEMU. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { assemble } from "../../src/isa/assemble.ts";
import { keyByName } from "../../src/vm/input/key-names.ts";
import { bytesOf, type InputGuest, ours, qemus } from "./qemu-input.ts";
import { hasQemu } from "./qemu-screen.ts";

const skip =
  process.env.BUNKHOUSE_TEST_QEMU === "1" && hasQemu() ? false : "needs qemu-system-x86 and BUNKHOUSE_TEST_QEMU=1";

/** QEMU's names of keys. */
const NAMES = (
  "esc grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p bracket_left bracket_right ret " +
  "a s d f g h j k l semicolon apostrophe backslash less z x c v b n m comma dot slash spc " +
  "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 insert delete home end pgup pgdn left up down right " +
  "kp_divide kp_multiply kp_subtract kp_add kp_enter kp_decimal kp_0 kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9 " +
  "shift shift_r ctrl ctrl_r alt alt_r meta_l meta_r compose caps_lock num_lock scroll_lock print pause " +
  // Not "alt-print": QEMU sends Alt again around it, IBM's keyboard does not.
  "ctrl-c shift-a ctrl-alt-delete ctrl-pause shift-print"
).split(" ");

const SETS = {
  "set 1 by translation": { commandByte: 0x64, set: 2 },
  "set 1": { commandByte: 0x24, set: 1 },
  "set 2": { commandByte: 0x24, set: 2 },
  "set 3": { commandByte: 0x24, set: 3 },
} as const;

/** What IBM's keyboard and Linux's driver have otherwise: in set 3, QEMU gives these the codes of "/" and "-". */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  "set 3": ["kp_divide: 77 f0 77, QEMU 4a f0 4a", "kp_subtract: 84 f0 84, QEMU 4e f0 4e"],
};

/** Sends all that comes from the keyboard to COM1, after the answers to its own commands. */
function kernel({ commandByte, set }: (typeof SETS)[keyof typeof SETS]): Uint8Array {
  const command = (byte: number) => `mov bl,${byte}\n call tell\n`;
  return assemble(
    `
    header: dd 0x1badb002, 0x10000, 0xe4514ffe
    dd header, header, 0, 0, start
    start: mov esp,0x90000
    mov al,0x60
    out 0x64,al
    call ready
    mov al,${commandByte}
    out 0x60,al
    ${command(0xf5)} ${command(0xf0)} ${command(set)} ${set === 3 ? command(0xf8) : ""} ${command(0xf4)}
    next: call take
    mov dx,0x3f8
    out dx,al
    mov dx,0x3fd
    sent: in al,dx
    test al,0x20
    jz sent
    jmp next
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
    mov al,bl
    out 0x60,al
    answer: call take
    cmp al,0xfa
    jz told
    cmp al,0xfe
    jnz answer
    told: ret
    `,
    { bits: 32, origin: 0x10_0000n },
  ).bytes;
}

const press = (name: string) => (guest: InputGuest) => guest.press(name);

for (const [title, settings] of Object.entries(SETS)) {
  test(`every key sends in ${title} what it sends in QEMU`, { skip }, async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-keys-"));
    const file = path.join(directory, "kernel");
    await writeFile(file, kernel(settings));
    const keyboards = await Promise.all([qemus(file, directory), ours(file)]);
    const [qemu, vm] = keyboards;
    try {
      // Until both kernels listen.
      for (const keyboard of keyboards) while ((await bytesOf(keyboard, press("a"), 1)) === "");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const differences: string[] = [];
      for (const name of NAMES) {
        for (const part of name.split("-")) assert.ok(keyByName(part), part);
        const theirs = await bytesOf(qemu, press(name), 1);
        await new Promise((resolve) => setTimeout(resolve, 60));
        const all = qemu.received.map((byte) => byte.toString(16)).join(" ") || theirs;
        const mine = await bytesOf(vm, press(name), qemu.received.length);
        if (mine !== all) differences.push(`${name}: ${mine}, QEMU ${all}`);
      }
      assert.deepEqual(differences, KNOWN[title] ?? []);
    } finally {
      await Promise.all(keyboards.map((keyboard) => keyboard.stop()));
      await rm(directory, { recursive: true });
    }
  });
}
