/** Stock firmware on the machine: what SeaBIOS says in its log, with the interpreter and with translated code. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { BootError } from "../firmware/boot-error.ts";
import { assemble } from "../isa/assemble.ts";
import type { MachineDefinition } from "./definition.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin";
const VGA = existsSync(VGA_BIOS) ? {} : { skip: "needs the package seabios" };
const OPTIONS = existsSync(SEABIOS) ? {} : { skip: "needs the package seabios" };

class Text {
  text = "";
  write(bytes: Uint8Array): void {
    this.text += String.fromCharCode(...bytes);
  }
}

async function machineWith(different: Partial<MachineDefinition>) {
  const log = new Text();
  const serial = new Text();
  const machine = await Machine.create(
    {
      memory: 64 << 20,
      cpu: "max",
      clock: "icount",
      firmware: { image: new Uint8Array(readFileSync(SEABIOS)), log },
      disks: [],
      serial,
      debugExit: false,
      noReboot: true,
      ...different,
    },
    nodeHost(),
  );
  return { machine, log, serial };
}

/** How it goes through SeaBIOS where there is nothing to boot from: after a minute it resets the machine. */
async function withoutMedia(different: Partial<MachineDefinition>): Promise<void> {
  const { machine, log, serial } = await machineWith(different);
  assert.deepEqual(await machine.run(), { kind: "reset", cause: "reset control register" });
  for (const expected of [
    /^Running on QEMU \(i440fx\)$/m,
    /^Found QEMU fw_cfg$/m,
    /^qemu\/e820: addr 0x0+ len 0x0*4000000 \[RAM\]$/m,
    // The BIOS was copied to RAM, and runs from there.
    /^Relocating init from /m,
    /^PCI: init bdf=00:01\.3 id=8086:7113$/m,
    /^Copying SMBIOS from /m,
    /^ACPI: parse DSDT at /m,
    /^Found 2 serial ports$/m,
    /^PS2 keyboard initialized$/m,
    /^ {2}0: 0+ - 0+9fc00 = 1 RAM$/m,
  ]) {
    assert.match(log.text, expected);
  }
  assert.match(serial.text, /Booting from Hard Disk/);
  assert.match(serial.text, /No bootable device/);
}

test("SeaBIOS finds its way around the machine, in the interpreter", OPTIONS, () => withoutMedia({ heat: 2 ** 30 }));

test("SeaBIOS finds its way around the machine, in translated code", OPTIONS, () => withoutMedia({ heat: 20 }));

test("SeaBIOS comes out of both the same, instruction by instruction", OPTIONS, () => withoutMedia({ check: true }));

/** An option ROM that writes to the log: signature, length in units of 512 bytes, code, and a byte for the sum. */
function optionRom(text: string): Uint8Array {
  const rom = new Uint8Array(512);
  const writes = [...text].map((character) => `mov al,${character.charCodeAt(0)}\nout dx,al`).join("\n");
  rom.set([0x55, 0xaa, 1]);
  rom.set(
    assemble(`push dx\npush ax\nmov dx,0x402\n${writes}\npop ax\npop dx\nretf`, { bits: 16, origin: 3n }).bytes,
    3,
  );
  rom[511] = -rom.reduce((sum, byte) => sum + byte, 0);
  return rom;
}

test("SeaBIOS runs option ROMs that it finds in fw_cfg", OPTIONS, async () => {
  const log = new Text();
  const optionRoms = ["one", "two"].map((name) => ({ name: `${name}.rom`, image: optionRom(`<${name}>`) }));
  const { machine } = await machineWith({
    firmware: { image: new Uint8Array(readFileSync(SEABIOS)), log, optionRoms },
  });
  assert.equal((await machine.run()).kind, "reset");
  for (const name of ["one", "two"]) assert.equal(log.text.split(`<${name}>`).length, 2, log.text);
});

test("SeaBIOS runs the graphics card's BIOS from its expansion ROM, and shows its messages with it", VGA, async () => {
  const firmware = { image: new Uint8Array(readFileSync(SEABIOS)), vgaBios: new Uint8Array(readFileSync(VGA_BIOS)) };
  const { machine, serial } = await machineWith({ firmware, display: true });
  assert.equal((await machine.run()).kind, "reset");
  assert.match(machine.board.display?.text()?.join("\n") ?? "", /^Booting from Hard Disk\.\.\..*No bootable device/ms);
  assert.equal(serial.text, "");
});

test("a BIOS is given no kernel, which it could not start", OPTIONS, async () => {
  const kernel = { image: new Uint8Array(1024), commandLine: "" };
  await assert.rejects(() => machineWith({ kernel }), /a BIOS starts no kernel that is not on a disk/);
});

test("SeaBIOS starts from ROM again after a reset", OPTIONS, async () => {
  const { machine, log } = await machineWith({ noReboot: false });
  const ended = machine.run();
  const starts = () => log.text.split("SeaBIOS (version").length - 1;
  const seen = (async () => {
    while (starts() < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    machine.stop();
  })();
  assert.deepEqual(await ended, { kind: "stopped" });
  await seen;
  assert.match(log.text, /In resume/);
});

test("what is no firmware is refused, with what is wrong", async () => {
  const image = (bytes: Uint8Array) => () => Machine.create({ ...BLANK, firmware: { image: bytes } }, nodeHost());
  const contents = (bytes: Uint8Array) => ({ bytes, changed: () => {} });
  await assert.rejects(image(new Uint8Array(100)), /whole pages of 4 KiB/);
  await assert.rejects(image(new Uint8Array(4096)), /no code where a processor starts/);
  const code = new Uint8Array(4 << 20).map((_, i) => i);
  await assert.rejects(image(new Uint8Array(8 << 20).map((_, i) => i)), /may have 4096 KiB/);
  await assert.rejects(
    () =>
      Machine.create({ ...BLANK, firmware: { image: code, variables: contents(new Uint8Array(4096)) } }, nodeHost()),
    (error) => error instanceof BootError && error.kind === "no-room",
  );
});

const BLANK: MachineDefinition = {
  memory: 16 << 20,
  cpu: "max",
  clock: "icount",
  disks: [],
  serial: { write: () => {} },
  debugExit: false,
  noReboot: true,
};
