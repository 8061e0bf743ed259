/** The library as a program uses it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { smallKernel } from "../../src/cli/testing/small-kernel.ts";
import { CPU_MODELS } from "../../src/vm/definition.ts";
import { DefinitionError, ExpectError, VirtualMachine } from "../../src/vm/index.ts";
import { catalogueGuest } from "./catalogue-guest.ts";

async function kernelOf(t: TestContext, program: Parameters<typeof smallKernel>[0]): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-library-"));
  t.after(() => rm(directory, { recursive: true }));
  return smallKernel(program, directory);
}

test("a program boots a guest, types a command, reads its output, and switches it off", async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  const { kernel, initrd } = guest;
  const vm = await VirtualMachine.create({ memory: "256M", kernel, initrd, append: "console=ttyS0" });
  t.after(() => vm.stop());
  const ended = vm.start();
  await vm.serial.expect("# ", { timeout: 300_000 });
  vm.serial.write("echo $((6 * 7))\n");
  const { match } = await vm.serial.expect(/^\d+/m);
  assert.equal(match, "42");
  vm.serial.write("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
  assert.ok(vm.instructions > 100_000_000);
});

test("a guest that writes 21 to the debug-exit port ends its machine with status 43", async (t) => {
  const vm = await VirtualMachine.create({ memory: "4M", kernel: await kernelOf(t, "greet"), debugExit: true });
  assert.deepEqual(await vm.start(), { kind: "debug-exit", status: 43 });
  assert.equal(vm.serial.text, "Hi");
});

test("a guest whose processor shuts down ends its machine with a report of registers and code", async (t) => {
  const vm = await VirtualMachine.create({ memory: "4M", kernel: await kernelOf(t, "crash") });
  const end = await vm.start();
  assert.equal(end.kind, "crash");
  assert.ok(end.kind === "crash");
  assert.match(end.report, /^triple fault: exceptions 13, 8, 13/);
  assert.match(end.report, /^RIP 0000000000100027 /m);
  assert.match(end.report, /^CR0 0000000000000011 /m);
});

test("a guest that asks for a reset ends its machine where the program wants no reboot", async (t) => {
  const kernel = await kernelOf(t, "reset");
  const vm = await VirtualMachine.create({ memory: "4M", kernel, noReboot: true });
  assert.deepEqual(await vm.start(), { kind: "reset", cause: "keyboard controller" });
});

test("a machine is stopped while it runs", async (t) => {
  const vm = await VirtualMachine.create({ memory: "4M", kernel: await kernelOf(t, "wait") });
  const ended = vm.start();
  await vm.serial.expect("on");
  assert.deepEqual(await vm.stop(), { kind: "stopped" });
  assert.deepEqual(await ended, { kind: "stopped" });
});

for (const clock of ["real", "icount"] as const) {
  test(`a machine is stopped while it ignores the interrupt that it waits for (${clock})`, async (t) => {
    const vm = await VirtualMachine.create({ memory: "4M", kernel: await kernelOf(t, "sleep"), clock });
    const ended = vm.start();
    await vm.serial.expect("on");
    assert.deepEqual(await vm.stop(), { kind: "stopped" });
    assert.deepEqual(await ended, { kind: "stopped" });
  });
}

test("a wait for what the guest never says fails with what it said", async (t) => {
  const vm = await VirtualMachine.create({ memory: "4M", kernel: await kernelOf(t, "wait") });
  t.after(() => vm.stop());
  void vm.start();
  await vm.serial.expect("o");
  await assert.rejects(vm.serial.expect("login:", { timeout: 300 }), (error) => {
    assert.ok(error instanceof ExpectError);
    assert.equal(error.output, "n");
    return true;
  });
});

test("a 64-bit kernel on a processor model without 64-bit mode is refused with a line that says what to change", async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  await assert.rejects(
    VirtualMachine.create({ kernel: guest.kernel, cpu: "pentium" }),
    /is a 64-bit one.*another model/,
  );
});

test("every processor model starts a 32-bit kernel", async (t) => {
  const kernel = await kernelOf(t, "greet");
  for (const cpu of CPU_MODELS) {
    const vm = await VirtualMachine.create({ memory: "4M", kernel, cpu, debugExit: true });
    assert.deepEqual(await vm.start(), { kind: "debug-exit", status: 43 }, cpu);
  }
});

test("what cannot be a machine is refused with a line that says what to change", async (t) => {
  const kernel = await kernelOf(t, "wait");
  await assert.rejects(async () => VirtualMachine.create({ memory: "4G", kernel }), DefinitionError);
  const joystick = { kernel, pointer: "joystick" as "mouse" };
  await assert.rejects(async () => VirtualMachine.create(joystick), /pointer: "joystick" is none of mouse, tablet/);
  await assert.rejects(VirtualMachine.create({ kernel: "/nowhere/vmlinuz" }), /\/nowhere\/vmlinuz/);
});
