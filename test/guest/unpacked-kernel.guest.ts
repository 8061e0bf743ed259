/** Kernels that the machine unpacks, LZ4 and Zstandard, and one that unpacks itself, as the kernel in the guest sees it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import type { VirtualMachine } from "../../src/vm/index.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";
import { checkKernelPlace } from "./kernel-place.ts";

async function booted(t: TestContext, name: string, options: Parameters<typeof machineOf>[2] = {}) {
  const guest = await catalogueGuest(t, name);
  if (!guest) return undefined;
  const append = `${guest.append} ${options.append ?? ""}`;
  const vm = await machineOf(t, guest, { ...options, append });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  return { vm, ended, shell };
}

async function powerOff({ shell, ended }: { shell: GuestShell; ended: ReturnType<VirtualMachine["start"]> }) {
  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
}

for (const name of ["debian", "debian-backports"]) {
  test(`${name} runs elsewhere after each start, and at a reset`, async (t) => {
    const machine = await booted(t, name);
    if (!machine) return;
    const first = await checkKernelPlace(machine.shell);
    machine.shell.type("reboot -f\n");
    await machine.shell.expect("Linux version ");
    await machine.shell.ready();
    const second = await checkKernelPlace(machine.shell);
    assert.notDeepEqual(first, second);
    await powerOff(machine);
  });
}

test("debian with nokaslr runs where it was linked for", async (t) => {
  const machine = await booted(t, "debian", { append: "nokaslr" });
  if (!machine) return;
  const place = await checkKernelPlace(machine.shell);
  assert.deepEqual(place, { virtual: 0xffff_ffff_8100_0000n, physical: 16 * 1024 * 1024 });
  await powerOff(machine);
});

test("debian with a limit of memory, which it looks at when it unpacks itself, still does", async (t) => {
  const machine = await booted(t, "debian", { append: "mem=200M" });
  if (!machine) return;
  const { physical } = await checkKernelPlace(machine.shell);
  assert.ok(physical < 200 * 1024 * 1024);
  await powerOff(machine);
});

test("the generic kernel, which is packed by xz, unpacks itself", async (t) => {
  const guest = await catalogueGuest(t, "debian-installer-amd64");
  if (!guest) return;
  assert.notEqual((await readFile(guest.kernel)).indexOf(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)), -1);
  const vm = await machineOf(t, guest, { append: "console=ttyS0 priority=low" });
  const ended = vm.start();
  await vm.serial.expect("Linux version ", { timeout: 900_000 });
  await vm.stop();
  assert.deepEqual(await ended, { kind: "stopped" });
});
