/** How a Linux guest can end its machine, other than by switching it off. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MachineEnd, VirtualMachineOptions } from "../../src/vm/index.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

/** Types `command` in a guest with `parameter` on its kernel's command line; undefined where the host has no guest. */
async function endOf(
  t: TestContext,
  { command, parameter = "", ...options }: { command: string; parameter?: string } & Partial<VirtualMachineOptions>,
): Promise<MachineEnd | undefined> {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return undefined;
  const vm = await machineOf(t, guest, { append: `${guest.append} ${parameter}`, ...options });
  const ended = vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  shell.type(`${command}\n`);
  return ended;
}

test("a byte written to the debug-exit port through /dev/port becomes the status", async (t) => {
  const end = await endOf(t, { command: "printf '\\012' | dd of=/dev/port bs=1 seek=244", debugExit: true });
  if (end) assert.deepEqual(end, { kind: "debug-exit", status: 21 });
});

test("a kernel that reboots by a triple fault ends its machine with a report", async (t) => {
  const end = await endOf(t, { command: "reboot -f", parameter: "reboot=t" });
  if (!end) return;
  assert.ok(end.kind === "crash", end.kind);
  assert.match(end.report, /^triple fault: exceptions 13, 8, 13/);
  assert.match(end.report, /int3/);
});

test("a kernel that panics restarts, which ends its machine where reboots are not wanted", async (t) => {
  const end = await endOf(t, { command: "echo c >/proc/sysrq-trigger", parameter: "panic=1", noReboot: true });
  if (end) assert.equal(end.kind, "reset");
});
