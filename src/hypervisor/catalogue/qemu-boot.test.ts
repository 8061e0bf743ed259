/** Boots what the catalogue makes in another machine, to tell faults of a guest from faults of ours. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { type PreparedGuest, prepareGuest } from "./debian-guest.ts";
import { hasQemu, QemuConsole } from "./testing/qemu-console.ts";

const skip =
  process.env.BUNKHOUSE_TEST_QEMU === undefined
    ? "set BUNKHOUSE_TEST_QEMU=1 to fetch the guests from the host's mirror and boot them in QEMU"
    : (await hasQemu())
      ? false
      : "QEMU is not installed";

const PROMPT = "bunkhouse:~# ";
const CTRL_C = "\x03";

async function withConsole(
  guest: PreparedGuest,
  extra: readonly string[],
  use: (console: QemuConsole) => Promise<void>,
): Promise<void> {
  const console = new QemuConsole(guest, extra);
  try {
    await use(console);
  } finally {
    await console.kill();
  }
}

for (const name of ["debian", "debian-backports", "debian-686", "debian-686-pae"]) {
  test(`${name} opens a shell with job control and powers off`, { skip }, async () => {
    await withConsole(await prepareGuest(name), ["-nic", "none"], async (console) => {
      assert.match(await console.expect(PROMPT), /To quit, type "poweroff -f" or press Ctrl-A X\./);
      // The program that Ctrl-C is to end has the terminal for sure once it has written to it.
      console.type(`sh -c 'echo asl""eep; exec sleep 1000'\n`);
      await console.expect("asleep");
      console.type(CTRL_C);
      await console.expect(PROMPT);
      console.type("poweroff -f\n");
      await console.poweredOff();
    });
  });
}

test("debian finds virtio devices by itself", { skip }, async () => {
  const devices = [
    ...["-nic", "user,model=virtio-net-pci", "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci"],
    ...["-device", "virtio-serial-pci", "-drive", "if=virtio,format=raw,file.driver=null-co,file.size=64M"],
  ];
  await withConsole(await prepareGuest("debian"), devices, async (console) => {
    await console.expect(PROMPT);
    console.type(
      "cut -d' ' -f1 /proc/modules | sort | xargs; cat /sys/block/vda/size; sleep 2; cat /etc/resolv.conf\n",
    );
    const output = await console.expect(PROMPT);
    for (const module of ["balloon", "blk", "console", "net", "pci", "rng"])
      assert.match(output, new RegExp(`virtio_${module}\\b`));
    assert.match(output, /\r\n131072\r\n.*nameserver /s);
    console.type("poweroff\n");
    await console.poweredOff();
  });
});

for (const name of ["debian-installer-amd64", "debian-installer-i386"]) {
  test(`${name} asks for the language`, { skip }, async () => {
    await withConsole(await prepareGuest(name), [], async (console) => {
      await console.expect("Select a language");
    });
  });
}

test("debian-disk brings up systemd without a failed unit and powers off", { skip }, async (t) => {
  const guest = await prepareGuest("debian-disk").catch((error: Error) => error);
  if (guest instanceof Error) return t.skip(guest.message);
  await withConsole(guest, [], async (console) => {
    await console.expect(PROMPT);
    console.type("systemctl is-system-running --wait\n");
    assert.match(await console.expect(PROMPT), /\rrunning\r\n/);
    console.type("systemctl poweroff\n");
    await console.poweredOff();
  });
});
