/** What the BIOS boots, and what it says where there is nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlockDevice } from "../../src/disk/block-device.ts";
import { assemble } from "../../src/isa/assemble.ts";
import { biosGuest, bootSector, diskOf, POWER_OFF, runMachine, screenText } from "./bios-guest.ts";
import { bootableDisc } from "./el-torito-disc.ts";

/** Says where it was booted from: DL at 600h, CS and SP behind it. */
const SAYS = `
    mov [0x600],dl
    mov [0x602],cs
    mov [0x604],sp
    call here
  here: pop ax
    mov [0x606],ax
    ${POWER_OFF}
`;
const sayingDisk = (mark: number): BlockDevice => diskOf(bootSector(`mov byte [0x608],${mark}\n${SAYS}`));
const GIVES_UP = "int 0x18";

async function bootedFrom(definition: Parameters<typeof runMachine>[0]) {
  const { end, ram, guest } = await runMachine(definition);
  assert.deepEqual(end, { kind: "power-off" });
  return { drive: ram.getUint8(0x600), mark: ram.getUint8(0x608), ram, guest };
}

test("a boot sector starts at 0000:7C00 with its drive's number, on a stack below it", async () => {
  const { drive, ram, guest } = await bootedFrom({ disks: [{ device: sayingDisk(1) }] });
  assert.equal(drive, 0x80);
  assert.deepEqual([ram.getUint16(0x602, true), ram.getUint16(0x604, true)], [0, 0x7c00]);
  assert.ok(ram.getUint16(0x606, true) > 0x7c00 && ram.getUint16(0x606, true) < 0x7e00);
  assert.equal(screenText(guest)[0], "Booting from disk...");
});

test("the order of kinds decides, and what gives up by INT 18h is followed by the next", async () => {
  const definition = {
    disks: [{ device: diskOf(bootSector(GIVES_UP)) }, { device: sayingDisk(2) }],
    floppies: [{ type: "1.44M", device: diskOf(bootSector(`mov byte [0x608],3\n${SAYS}`), 2880 * 512) }],
    cdroms: [{ medium: diskOf(new Uint8Array(512), 100 * 2048) }],
  } as const;
  const usual = await bootedFrom(definition);
  assert.deepEqual([usual.drive, usual.mark], [0x81, 2], "disks before floppies, the second after the first");
  const floppy = await bootedFrom({ ...definition, bios: { order: ["floppy", "disk"] } });
  assert.deepEqual([floppy.drive, floppy.mark], [0, 3]);
});

test("where nothing can be booted the machine ends and says why, medium by medium", async () => {
  const noCode = new Uint8Array(512);
  noCode.set([0x55, 0xaa], 510);
  noCode[0x1be] = 0x80;
  const { end, guest } = await runMachine({
    disks: [{ device: diskOf(new Uint8Array(512)) }, { device: diskOf(noCode) }],
    cdroms: [{ medium: diskOf(bootableDisc([{ image: bootSector(SAYS), platform: 0xef }])) }, {}],
    floppies: [{ type: "1.44M", device: diskOf(new Uint8Array(512).fill(0x41), 2880 * 512) }],
    bios: { order: ["net", "cd", "disk", "floppy"] },
  });
  const reasons = [
    "network: the machine has no network card",
    "CD 1: it boots by UEFI only: it has no entry for a BIOS",
    "CD 2: no medium",
    "disk 1: blank (its first sector is all zeros)",
    "disk 2: not bootable (a partition table, but no boot code)",
    "floppy: not bootable (no boot sector: the signature 55 AA is missing)",
  ];
  assert.deepEqual(end, { kind: "not-bootable", reasons });
  assert.deepEqual(screenText(guest).slice(0, 8), [
    "No bootable device.",
    ...reasons.map((reason) => `  ${reason}`),
    "",
  ]);
});

test("with somebody at the display the BIOS waits for a key and tries again", async () => {
  const guest = await biosGuest({
    disks: [{ device: diskOf(new Uint8Array(512)) }],
    bios: { keepTrying: true, serialScreen: true },
  });
  guest.machine.sendSerial(new TextEncoder().encode("x"));
  assert.equal((await guest.machine.run()).kind, "reset");
  assert.match(guest.serial(), /Press a key to try again\./);
});

test("what gives up in the middle of a line is followed by a line of its own, and by the next drive", async () => {
  const gives = "mov ax,0x0e21\nint 0x10\nint 0x18";
  const { end, guest } = await runMachine({
    disks: [{ device: diskOf(bootSector(gives)) }, { device: diskOf(bootSector(gives)) }],
  });
  const reasons = ["disk 1: what was booted gave up", "disk 2: what was booted gave up"];
  assert.deepEqual(end, { kind: "not-bootable", reasons });
  assert.deepEqual(screenText(guest).slice(0, 8), [
    "Booting from disk 1...",
    "!",
    "Booting from disk 2...",
    "!",
    "No bootable device.",
    ...reasons.map((reason) => `  ${reason}`),
    "",
  ]);
});

test("the boot menu offers the drives, and boots the one that is chosen", async () => {
  const guest = await biosGuest({
    disks: [{ device: sayingDisk(1) }, { device: sayingDisk(2) }],
    bios: { menu: true, serialScreen: true },
  });
  guest.machine.sendSerial(new TextEncoder().encode("92"));
  assert.deepEqual(await guest.machine.run(), { kind: "power-off" });
  assert.match(guest.serial(), /Boot from:\r\n\n {2}1 {2}disk 1\r\n {2}2 {2}disk 2\r\n/);
  assert.equal(guest.machine.ram.bytes[0x600], 0x81);
  assert.equal(guest.machine.ram.bytes[0x608], 2);
});

/** Puts the key that waits for a program at 60Ah: its scan code and character, or zero for none. */
const NEXT_KEY = `
    mov ah,0x11
    int 0x16
    jnz waits
    xor ax,ax
  waits: mov [0x60a],ax
`;
const twoDisks = () => ({
  disks: [{ device: diskOf(bootSector(`mov byte [0x608],1\n${NEXT_KEY}${SAYS}`)) }, { device: sayingDisk(2) }],
});

test("F12 at the start gives the boot menu, from the keyboard and from the serial line", async () => {
  const keyboard = await biosGuest({ ...twoDisks(), bios: { menu: "offered" }, display: true });
  keyboard.machine.board.keyboard.key("F12", true);
  keyboard.machine.board.keyboard.key("F12", false);
  for (const down of [true, false]) keyboard.machine.board.keyboard.key("Digit2", down);
  const serial = await biosGuest({ ...twoDisks(), bios: { menu: "offered", serialScreen: true } });
  serial.machine.sendSerial(new TextEncoder().encode("\x1b[24~2"));
  for (const { machine } of [keyboard, serial]) {
    assert.deepEqual(await machine.run(), { kind: "power-off" });
    assert.equal(machine.ram.bytes[0x608], 2);
  }
  assert.match(serial.serial(), /^F12: boot menu\r\n\nBoot from:\r\n\n {2}1 {2}disk 1\r\n/);
});

test("any other key at the start is for what is booted, at once", async () => {
  const guest = await biosGuest({ ...twoDisks(), bios: { menu: "offered", serialScreen: true } });
  guest.machine.sendSerial(new TextEncoder().encode("x"));
  assert.deepEqual(await guest.machine.run(), { kind: "power-off" });
  const { bytes } = guest.machine.ram;
  assert.deepEqual([bytes[0x608], bytes[0x60a]], [1, "x".charCodeAt(0)]);
});

test("F12 is waited for half a second where there is a choice, and not at all where there is none", async () => {
  const ticks = async (definition: Parameters<typeof runMachine>[0]) => {
    const { end, ram, guest } = await runMachine(definition);
    assert.deepEqual([end.kind, ram.getUint8(0x608), ram.getUint16(0x60a, true)], ["power-off", 1, 0]);
    return { ticks: ram.getUint16(0x46c, true), screen: screenText(guest) };
  };
  const offered = { bios: { menu: "offered" } } as const;
  const choice = await ticks({ ...twoDisks(), ...offered });
  assert.deepEqual(choice.screen.slice(0, 2), ["F12: boot menu", "Booting from disk 1..."]);
  const none = await ticks({ disks: twoDisks().disks.slice(0, 1), cdroms: [{}], ...offered });
  const quiet = await ticks(twoDisks());
  assert.deepEqual([quiet.screen[0], quiet.ticks - none.ticks <= 1], ["Booting from disk 1...", true]);
  assert.equal(none.screen[0], "Booting from disk...");
  const waited = choice.ticks - none.ticks;
  assert.ok(waited >= 9 && waited <= 11, `${waited} ticks of 55 ms`);
});

test("a disc without emulation loads its sectors where the catalogue says, and tells of them", async () => {
  const code = assemble(
    `
    cs mov byte [0x700],0x5a
    mov si,0x1000
    mov ax,0x4b01
    int 0x13
    setc [0x60a]
    ${SAYS}
    times 2048-($-$$) db 0
    `.replace("times 2048-($-$$) db 0", ""),
    { bits: 16, origin: 0n },
  ).bytes;
  const image = new Uint8Array(2048);
  image.set(code);
  image[2047] = 0x77;
  const disc = diskOf(bootableDisc([{ image, loadSegment: 0x2000 }]));
  const { drive, ram } = await bootedFrom({ cdroms: [{ medium: disc }] });
  assert.equal(drive, 0xe0);
  assert.equal(ram.getUint16(0x602, true), 0x2000);
  assert.equal(ram.getUint8(0x2_0700), 0x5a);
  assert.equal(ram.getUint8(0x2_07ff), 0x77);
  assert.equal(ram.getUint8(0x60a), 0);
  const packet = [0, 1, 2].map((at) => ram.getUint8(0x1000 + at));
  assert.deepEqual(packet, [0x13, 0, 0xe0]);
  assert.deepEqual(
    [ram.getUint32(0x1004, true), ram.getUint16(0x100c, true), ram.getUint16(0x100e, true)],
    [24, 0x2000, 4],
  );
});

/** A floppy image whose second sector begins with a mark. */
function floppyImage(code: string): Uint8Array {
  const image = new Uint8Array(1440 * 1024);
  image.set(bootSector(code));
  image.set([0x12, 0x34], 512);
  return image;
}

const READ_SECOND = `
    mov [0x60c],dl
    mov bx,0x1000
    mov ax,0x0201
    mov cx,2
    mov dh,0
    int 0x13
    mov [0x60a],ah
    mov ax,0x0301
    int 0x13
    mov [0x60b],ah
    mov dl,[0x60c]
`;

test("a disc with floppy emulation is drive A, which cannot be written, and the real one drive B", async () => {
  const disc = diskOf(
    bootableDisc([
      {
        image: floppyImage(`${READ_SECOND}\n mov ah,8\n int 0x13\n mov [0x60d],dl\n mov dl,[0x60c]\n${SAYS}`),
        media: 2,
      },
    ]),
  );
  const { drive, ram } = await bootedFrom({
    cdroms: [{ medium: disc }],
    floppies: [{ type: "1.44M", device: diskOf(new Uint8Array(512), 2880 * 512) }],
  });
  assert.equal(drive, 0);
  assert.equal(ram.getUint16(0x1000, true), 0x3412);
  assert.deepEqual([ram.getUint8(0x60a), ram.getUint8(0x60b), ram.getUint8(0x60d)], [0, 3, 2]);
});

test("a disc with disk emulation is drive 80h, and the real disk 81h", async () => {
  const image = new Uint8Array(64 * 512);
  image.set(bootSector(`${READ_SECOND}\n${SAYS}`).subarray(0, 0x1be));
  // A partition from sector 1 to 63, that ends at head 1, sector 32.
  image.set([0x80, 0, 2, 0, 6, 1, 32, 0, 1, 0, 0, 0, 63, 0, 0, 0], 0x1be);
  image.set([0x55, 0xaa], 510);
  image.set([0x56, 0x78], 512);
  const disc = diskOf(bootableDisc([{ image, media: 4 }]));
  const { drive, ram } = await bootedFrom({ cdroms: [{ medium: disc }], disks: [{ device: sayingDisk(9) }] });
  assert.equal(drive, 0x80);
  assert.equal(ram.getUint16(0x1000, true), 0x7856);
  assert.deepEqual([ram.getUint8(0x60a), ram.getUint8(0x60b)], [0, 3]);
});

test("of several entries the first one for a PC is booted", async () => {
  const image = (mark: number) => bootSector(`mov byte [0x608],${mark}\n${SAYS}`);
  const disc = bootableDisc([
    { image: image(1), platform: 0xef },
    { image: image(2), bootable: false },
    { image: image(3) },
    { image: image(4) },
  ]);
  assert.equal((await bootedFrom({ cdroms: [{ medium: diskOf(disc) }] })).mark, 3);
});

test("damaged discs are said to be damaged", async () => {
  const reasonsFor = async (disc: Uint8Array) => {
    const { end } = await runMachine({ cdroms: [{ medium: diskOf(disc) }] });
    assert.ok(end.kind === "not-bootable");
    return end.reasons;
  };
  const image = bootSector(SAYS);
  assert.match((await reasonsFor(bootableDisc([{ image }], { damaged: true })))[0] as string, /checksum is wrong/);
  assert.match((await reasonsFor(bootableDisc([{ image, bootable: false }])))[0] as string, /marked as bootable/);
  const far = bootableDisc([{ image }]);
  new DataView(far.buffer).setUint32(17 * 2048 + 0x47, 1e6, true);
  assert.match((await reasonsFor(far))[0] as string, /behind the end of the disc/);
});

test("two runs with a count of instructions as clock are the same to the end", async () => {
  const once = async () => {
    const { guest, ram } = await runMachine({
      disks: [{ device: diskOf(bootSector(`${READ_SECOND}\n${SAYS}`)) }],
      bios: { serialScreen: true },
    });
    return [guest.machine.instructions, guest.serial(), ram.getUint32(0x46c, true)];
  };
  assert.deepEqual(await once(), await once());
});

test("the translator and the interpreter agree across the BIOS's services", async () => {
  const { end, ram } = await runMachine({
    check: true,
    disks: [
      { device: diskOf(bootSector(`mov cx,60\n again: push cx\n ${READ_SECOND}\n pop cx\n loop again\n${SAYS}`)) },
    ],
    bios: { serialScreen: true },
  });
  assert.deepEqual(end, { kind: "power-off" });
  assert.equal(ram.getUint8(0x600), 0x80);
});

test("a machine that is reset boots again, with its memory as it was", async () => {
  const { drive, ram } = await bootedFrom({
    noReboot: false,
    disks: [
      {
        device: diskOf(
          bootSector(`
            inc word [0x7000]
            cmp word [0x7000],3
            je done
            mov dx,0xcf9
            mov al,6
            out dx,al
          hang: jmp hang
          done: ${SAYS}
          `),
        ),
      },
    ],
  });
  assert.equal(drive, 0x80);
  assert.equal(ram.getUint16(0x7000, true), 3);
});

test("a machine can be stopped while the BIOS waits for a disk that never answers", async () => {
  const stuck = {
    ...diskOf(new Uint8Array(512)),
    size: 1 << 20,
    readOnly: true,
    read: () => new Promise<void>(() => {}),
  };
  const guest = await biosGuest({ clock: "real", disks: [{ device: stuck as BlockDevice }] });
  setTimeout(() => guest.machine.stop(), 50);
  assert.deepEqual(await guest.machine.run(), { kind: "stopped" });
});

test("what outlives a service is plain state, and another machine goes on with it", async () => {
  const { guest } = await runMachine({
    cdroms: [{ medium: diskOf(bootableDisc([{ image: floppyImage(SAYS), media: 2 }])) }],
  });
  const state = guest.machine.board.devices.get("bios")?.state;
  const copy = structuredClone(state) as { disc: { drive: number; entry: { media: number } } };
  assert.deepEqual([copy.disc.drive, copy.disc.entry.media], [0, 2]);
});
