/** What the BIOS does with a network: how a boot program is entered, what it may call, and what is said where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../src/isa/assemble.ts";
import type { BiosDefinition, MachineDefinition } from "../../src/vm/definition.ts";
import { biosGuest, bootSector, diskOf, POWER_OFF, runMachine, screenText } from "./bios-guest.ts";
import { ADDRESS, onNetwork, onNetworkOf } from "./network-guest.ts";

/** A boot program at 0000:7C00. */
const program = (code: string): Uint8Array => assemble(code, { bits: 16, origin: 0x7c00n }).bytes;

/** A machine that boots this program from its network, beside other files. */
function booting(
  code: string,
  files: Readonly<Record<string, Uint8Array | string>> = {},
  bios: BiosDefinition = {},
): Partial<MachineDefinition> {
  return { ...onNetwork({ nbp: program(code), ...files }, "nbp"), bios: { order: ["net", "disk"], ...bios } };
}

async function poweredOff(definition: Partial<MachineDefinition>) {
  const { end, ram, guest } = await runMachine(definition);
  assert.deepEqual(end, { kind: "power-off" }, screenText(guest).join("\n"));
  return { ram, guest };
}

const word = (ram: DataView, at: number) => ram.getUint16(at, true);
const bytesAt = (ram: DataView, at: number, length: number) => new Uint8Array(ram.buffer, ram.byteOffset + at, length);
const textAt = (ram: DataView, at: number, length: number) => String.fromCharCode(...bytesAt(ram, at, length));
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** Puts the far pointer of "!PXE"'s entry at 600h, and that of "PXENV+" at 604h. */
const FIND = `
  mov bp,sp
  lds si,[bp+4]
  mov eax,[si+0x10]
  xor dx,dx
  mov ds,dx
  mov [0x600],eax
  mov eax,[es:bx+0x0a]
  mov [0x604],eax
`;
/** Calls a function through "!PXE"; its AX and carry go to 608h and 60Ah. */
const callPxe = (number: number, block: number) => `
  push word 0
  push word ${block}
  push word ${number}
  call far [0x600]
  pushf
  pop word [0x60a]
  add sp,6
  mov [0x608],ax
`;
/** The same through "PXENV+". */
const callPxenv = (number: number, block: number) => `
  mov ax,0
  mov es,ax
  mov di,${block}
  mov bx,${number}
  call far [0x604]
  mov [0x608],ax
`;

test("a boot program is entered at 0000:7C00, with pointers to both structures and to where it returns", async () => {
  const code = `
      mov [0x600],cs
      mov [0x602],es
      mov [0x604],bx
      mov [0x606],ss
      mov [0x608],sp
      mov bp,sp
      mov eax,[bp]
      mov [0x60c],eax
      mov eax,[bp+4]
      mov [0x610],eax
      call here
    here: pop ax
      mov [0x60a],ax
      mov ax,[0x413]
      mov [0x614],ax
      ${POWER_OFF}
    `;
  const { ram, guest } = await poweredOff(booting(code));
  const [cs, ss, sp, ip] = [0x600, 0x606, 0x608, 0x60a].map((at) => word(ram, at));
  assert.deepEqual([cs, ss], [0, 0]);
  assert.ok(ip! > 0x7c00 && ip! < 0x7d00);
  assert.ok(sp! < 0x7c00 && sp! > 0x7c00 - 32);
  const pxenv = word(ram, 0x602) * 16 + word(ram, 0x604);
  assert.equal(textAt(ram, pxenv, 6), "PXENV+");
  assert.equal(word(ram, pxenv + 6), 0x0201);
  assert.equal(sum(bytesAt(ram, pxenv, ram.getUint8(pxenv + 8))), 0);
  const pxe = word(ram, 0x612) * 16 + word(ram, 0x610);
  assert.equal(textAt(ram, pxe, 4), "!PXE");
  assert.equal(ram.getUint8(pxe + 4), 0x58);
  assert.equal(sum(bytesAt(ram, pxe, 0x58)), 0);
  assert.equal(word(ram, pxenv + 0x2a) * 16 + word(ram, pxenv + 0x28), pxe);
  // INT 18h is where it returns to.
  assert.equal(word(ram, word(ram, 0x60e) * 16 + word(ram, 0x60c)), 0x18cd);
  // What UNDI says that it has in conventional memory is above what is left.
  assert.equal(word(ram, 0x614) * 64, word(ram, pxe + 0x28));
  assert.equal(word(ram, pxe + 0x28) * 16 + word(ram, pxe + 0x2e), 639 * 1024);
  assert.deepEqual(screenText(guest).slice(0, 4), [
    `Network ${ADDRESS}: DHCP.`,
    "Address 10.0.2.15/24, no gateway",
    `nbp from 10.0.2.2: ${program(code).length} bytes`,
    "Booting from network...",
  ]);
});

const CHECK = `
  mov ax,0x5650
  int 0x1a
  mov [0x600],ax
  mov [0x602],es
  mov [0x604],bx
  pushf
  pop word [0x606]
`;

test("INT 1Ah AX=5650h finds PXE where the network was booted from, and nowhere else", async () => {
  const { ram } = await poweredOff(booting(`${CHECK}\n${POWER_OFF}`));
  assert.equal(word(ram, 0x600), 0x564e);
  assert.equal(textAt(ram, word(ram, 0x602) * 16 + word(ram, 0x604), 6), "PXENV+");
  assert.equal(word(ram, 0x606) & 1, 0);
  const disk = { disks: [{ device: diskOf(bootSector(`${CHECK}\n${POWER_OFF}`)) }] };
  const { ram: other } = await poweredOff({ ...booting("ret"), ...disk, bios: { order: ["disk", "net"] } });
  assert.equal(word(other, 0x600), 0x5650);
  assert.equal(word(other, 0x606) & 1, 1);
});

for (const [how, code] of [
  ["returns", "retf"],
  ["gives up by INT 18h", "int 0x18"],
] as const) {
  test(`a boot program that ${how} is followed by what is next, which has all of the memory`, async () => {
    const disks = [{ device: diskOf(bootSector(`mov ax,[0x413]\nmov [0x608],ax\n${CHECK}\n${POWER_OFF}`)) }];
    const { ram, guest } = await poweredOff({ ...booting(code), disks });
    assert.equal(word(ram, 0x608), 639);
    assert.equal(word(ram, 0x606) & 1, 1, "PXE is gone");
    assert.match(screenText(guest).join("\n"), /Booting from network\.\.\.\n+Booting from disk\.\.\./);
  });
}

test("a boot program that calls INT 19h has the network booted again, with all of the memory", async () => {
  const { ram } = await poweredOff(
    booting(`
      inc byte [0x5ff]
      cmp byte [0x5ff],3
      je done
      int 0x19
    done: mov ax,[0x413]
      mov [0x600],ax
      ${POWER_OFF}
    `),
  );
  assert.equal(word(ram, 0x600), 633);
});

test("a file is read to above 1 MiB through one entry, and its size through the other", async () => {
  const data = Uint8Array.from({ length: 70_000 }, (_, i) => i ^ (i >> 8));
  const name = (at: number) => `mov eax,'${"data"}'\n mov [${at}],eax\n mov byte [${at} + 4],0`;
  const { ram } = await poweredOff(
    booting(
      `${FIND}
      mov dword [0x702],0x0202000a
      ${name(0x70a)}
      ${callPxenv(0x25, 0x700)}
      mov ax,[0x608]
      mov [0x60c],ax
      ${name(0x802)}
      mov eax,[0x78a]
      mov [0x882],eax
      mov dword [0x886],0x200000
      mov dword [0x88a],0x0202000a
      ${callPxe(0x23, 0x800)}
      ${POWER_OFF}`,
      { data },
    ),
  );
  assert.deepEqual([word(ram, 0x700), word(ram, 0x60c)], [0, 0]);
  assert.equal(ram.getUint32(0x78a, true), data.length);
  assert.deepEqual([word(ram, 0x800), word(ram, 0x608), word(ram, 0x60a) & 1], [0, 0, 0]);
  assert.equal(ram.getUint32(0x882, true), data.length);
  assert.deepEqual(bytesAt(ram, 0x20_0000, data.length), data);
});

test("a function that is not there fails with a status, AX and carry", async () => {
  const { ram } = await poweredOff(booting(`${FIND}\n${callPxe(0x74, 0x700)}\n${POWER_OFF}`));
  assert.deepEqual([word(ram, 0x700), word(ram, 0x608), word(ram, 0x60a) & 1], [3, 1, 1]);
});

test("RESTART_TFTP starts another program in place of the present one", async () => {
  const { ram, guest } = await poweredOff(
    booting(
      `${FIND}
      mov eax,'next'
      mov [0x702],eax
      mov byte [0x706],0
      mov dword [0x782],0x10000
      mov dword [0x78a],0x0202000a
      ${callPxe(0x73, 0x700)}
      mov byte [0x610],1
      ${POWER_OFF}`,
      { next: program(`mov byte [0x611],1\n mov bp,sp\n mov eax,[bp+4]\n mov [0x614],eax\n${POWER_OFF}`) },
    ),
  );
  assert.deepEqual([...bytesAt(ram, 0x610, 2)], [0, 1], screenText(guest).join("\n"));
  assert.equal(textAt(ram, word(ram, 0x616) * 16 + word(ram, 0x614), 4), "!PXE");
});

for (const [what, files, bootFile, reason] of [
  ["no boot file", {}, undefined, "the DHCP server at 10.0.2.2 names no boot file"],
  ["a boot file that the server does not have", {}, "pxelinux.0", "10.0.2.2 has no file pxelinux.0"],
  ["a boot file of no bytes", { empty: "" }, "empty", "empty is empty"],
  [
    "a boot file that no conventional memory holds",
    { "a/large": new Uint8Array(700_000) },
    "a/large",
    "a/large is too large (more than 602 KiB)",
  ],
] as const) {
  test(`of a network with ${what} the machine says so`, async () => {
    const { end, guest } = await runMachine(onNetwork(files as Record<string, Uint8Array | string>, bootFile));
    const reasons = [`network: ${reason}`];
    assert.deepEqual(end, { kind: "not-bootable", reasons });
    assert.match(screenText(guest).join("\n"), /No bootable device\.\n {2}network: /);
  });
}

test("a machine can be stopped while the BIOS waits for a file that does not come", { timeout: 60_000 }, async () => {
  const never = new Promise<undefined>(() => {});
  const guest = await biosGuest({ clock: "real", ...onNetworkOf({ open: () => never }, "nbp") });
  const look = setInterval(() => {
    if (screenText(guest).some((row) => row.startsWith("nbp from"))) guest.machine.stop();
  }, 10);
  assert.deepEqual(await guest.machine.run(), { kind: "stopped" });
  clearInterval(look);
});

test("the boot menu offers the network by the card's address", async () => {
  const disks = [{ device: diskOf(bootSector(POWER_OFF)) }];
  const guest = await biosGuest({
    ...booting(`mov byte [0x600],1\n${POWER_OFF}`),
    disks,
    bios: { order: ["disk", "net"], menu: true, serialScreen: true },
  });
  guest.machine.sendSerial(new TextEncoder().encode("2"));
  assert.deepEqual(await guest.machine.run(), { kind: "power-off" });
  assert.match(guest.serial(), new RegExp(` {2}1 {2}disk\r\n {2}2 {2}network \\(${ADDRESS}\\)\r\n`));
  assert.equal(guest.machine.ram.bytes[0x600], 1);
});

test("two runs with a count of instructions as clock are the same to the end", async () => {
  const data = new Uint8Array(20_000).fill(7);
  const run = async () => {
    const { guest } = await poweredOff(booting(`${FIND}\n${callPxe(0x25, 0x700)}\n${POWER_OFF}`, { data }));
    return { instructions: guest.machine.instructions, timer: structuredClone(guest.machine.board.pit.state) };
  };
  assert.deepEqual(await run(), await run());
});

test("the translator and the interpreter agree across PXE's functions", async () => {
  const { end } = await runMachine({
    ...booting(`${FIND}\n${callPxe(0x0c, 0x700)}\n${callPxenv(0x13, 0x740)}\n${callPxe(0x30, 0x780)}\n${POWER_OFF}`),
    check: true,
  });
  assert.deepEqual(end, { kind: "power-off" });
});
