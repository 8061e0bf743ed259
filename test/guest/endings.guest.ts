/** How a Linux guest can end its machine, other than by switching it off. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MachineEnd, VirtualMachineOptions } from "../../src/vm/index.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

/** A guest that does not end would otherwise hold up the tests after it. */
const TIMEOUT = 900_000;

interface Experiment extends Partial<VirtualMachineOptions> {
  readonly command: string;
  /** For the kernel's command line. */
  readonly parameter?: string;
}

/** How the catalogue's guest `name` ends after a command at its shell; undefined where this host cannot make it. */
async function endOf(
  t: TestContext,
  name: string,
  { command, parameter = "", ...options }: Experiment,
): Promise<MachineEnd | undefined> {
  const guest = await catalogueGuest(t, name);
  if (!guest) return undefined;
  const vm = await machineOf(t, guest, { append: `${guest.append} ${parameter}`, ...options });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  shell.type(`${command}\n`);
  return ended;
}

test("a byte written to the debug-exit port through /dev/port becomes the status", { timeout: TIMEOUT }, async (t) => {
  // The cloud kernels have no /dev/port.
  const end = await endOf(t, "debian-686", {
    command: "printf '\\012' | dd of=/dev/port bs=1 seek=244",
    debugExit: true,
  });
  if (end) assert.deepEqual(end, { kind: "debug-exit", status: 21 });
});

test("a kernel that reboots by a triple fault ends its machine with a report", { timeout: TIMEOUT }, async (t) => {
  const end = await endOf(t, "debian", { command: "reboot -f", parameter: "reboot=t" });
  if (!end) return;
  assert.ok(end.kind === "crash", end.kind);
  assert.match(end.report, /^triple fault: exceptions 13, 8, 13/);
  assert.match(end.report, /int3/);
});

test("a kernel that panics restarts, which ends its machine where reboots are not wanted", {
  timeout: TIMEOUT,
}, async (t) => {
  const end = await endOf(t, "debian", {
    command: "echo c >/proc/sysrq-trigger",
    parameter: "panic=1",
    noReboot: true,
  });
  if (end) assert.equal(end.kind, "reset");
});
