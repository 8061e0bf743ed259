/** A Debian kernel under GNU gdb. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { VirtualMachine } from "../../src/vm/index.ts";
import { Gdb, NEEDS_GDB } from "../gdb/gdb-program.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

/** A guest that does not end would otherwise hold up the tests after it. */
const TIMEOUT = 900_000;
/** Offset of RDI in the kernel's struct pt_regs for x86-64. */
const PT_REGS_DI = 112;

async function connected(t: TestContext, vm: VirtualMachine): Promise<Gdb> {
  const gdb = Gdb.start(t);
  await gdb.run(`target remote ${vm.gdbAddress}`);
  return gdb;
}

/** Addresses of the kernel's symbols, in gdb's notation. */
async function symbols(shell: GuestShell, ...names: string[]): Promise<string[]> {
  const table = await shell.run(`grep -E ' (${names.join("|")})$' /proc/kallsyms`);
  return names.map((name) => {
    const [, address] = new RegExp(`^([0-9a-f]+) \\w ${name}$`, "m").exec(table) ?? [];
    assert.ok(address, `the kernel has no symbol ${name}`);
    return `0x${address}`;
  });
}

test("gdb stops a Debian kernel in a system call, watches its clock, and lets it go", {
  ...NEEDS_GDB,
  timeout: TIMEOUT,
}, async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  const append = `${guest.append} nokaslr`;
  const vm = await machineOf(t, guest, { append, gdb: {} });
  void vm.start();
  const shell = new GuestShell(vm.serial);
  await shell.ready();
  const [umask = "", jiffies = "", start = "", banner = ""] = await symbols(
    shell,
    "__x64_sys_umask",
    "jiffies_64",
    "start_kernel",
    "linux_banner",
  );

  await t.test("a breakpoint on a system call shows its argument, which is changed", async () => {
    const gdb = await connected(t, vm);
    // The shell calls it with 0 as well, to learn what it is, and sets it back.
    await gdb.run(`break *${umask} if *(long *)($rdi + ${PT_REGS_DI}) == 077`);
    const running = gdb.begin("continue");
    shell.type("umask 077; umask\n");
    assert.match(await gdb.end(running), /Breakpoint 1, /);
    assert.equal(await gdb.value("/x $rip"), umask);
    assert.match(await gdb.value("$efer"), /LMA/);
    await gdb.run(`set *(long *)($rdi + ${PT_REGS_DI}) = 027`);
    assert.match(await gdb.run("detach"), /detached/);
    await shell.expect("\n0027\r\n");
    assert.equal(await shell.run("echo alive"), "alive\n");
  });

  await t.test("a watchpoint on the kernel's clock sees it tick", async () => {
    const gdb = await connected(t, vm);
    await gdb.run(`watch *(unsigned long *)${jiffies}`);
    const said = await gdb.run("continue");
    const [, old = "", next = ""] = /Old value = (\d+)\nNew value = (\d+)/.exec(said) ?? [];
    // By more than one after an idle time.
    assert.ok(BigInt(next) > BigInt(old), said);
    assert.equal(await gdb.value(`*(unsigned long *)${jiffies}`), next);
    await gdb.run("delete");
    const running = gdb.begin("continue");
    assert.equal(await shell.run("echo alive"), "alive\n");
    gdb.interrupt();
    assert.match(await gdb.end(running), /SIGINT/);
    for (let i = 0; i < 20; i++) await gdb.run("stepi");
    await gdb.run("detach");
    assert.equal(await shell.run("echo alive"), "alive\n");
  });

  await t.test("a kernel that gdb has start stops at its C code's first function", async () => {
    const second = await machineOf(t, guest, { append, gdb: { wait: true } });
    void second.start();
    const gdb = await connected(t, second);
    await gdb.run(`hbreak *${start}`);
    assert.match(await gdb.run("continue"), /Breakpoint 1, /);
    assert.equal(await gdb.value("/x $rip"), start);
    assert.match(await gdb.run(`x/s ${banner}`), /"Linux version /);
    assert.equal(second.serial.text.includes("Linux version"), false);
    await gdb.run("detach");
    await second.serial.expect("Linux version", { timeout: TIMEOUT });
    await second.stop();
  });
});
