/** Stock firmware on the machine: what SeaBIOS says in its log, with the interpreter and with translated code. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { BootError } from "../firmware/boot-error.ts";
import type { MachineDefinition } from "./definition.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const OPTIONS = existsSync(SEABIOS) ? {} : { skip: "needs the package seabios" };

class Text {
  text = "";
  write(bytes: Uint8Array): void {
    this.text += String.fromCharCode(...bytes);
  }
}

function machineWith(different: Partial<MachineDefinition>) {
  const log = new Text();
  const serial = new Text();
  const machine = Machine.create(
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
  const { machine, log, serial } = machineWith(different);
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

test("SeaBIOS starts from ROM again after a reset", OPTIONS, async () => {
  const { machine, log } = machineWith({ noReboot: false });
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

test("what is no firmware is refused, with what is wrong", () => {
  const image = (bytes: Uint8Array) => () => Machine.create({ ...BLANK, firmware: { image: bytes } }, nodeHost());
  const contents = (bytes: Uint8Array) => ({ bytes, changed: () => {} });
  assert.throws(image(new Uint8Array(100)), /whole pages of 4 KiB/);
  assert.throws(image(new Uint8Array(4096)), /no code where a processor starts/);
  const code = new Uint8Array(4 << 20).map((_, i) => i);
  assert.throws(image(new Uint8Array(8 << 20).map((_, i) => i)), /may have 4096 KiB/);
  assert.throws(
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
