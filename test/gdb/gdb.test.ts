/** `bunk run --gdb` and the library's option `gdb`, debugged with GNU gdb. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { type Program, startBunk } from "../../src/cli/testing/bunk.ts";
import { VirtualMachine } from "../../src/vm/index.ts";
import { COUNTER, type CountingKernel, countingKernel, type Mode, STATUS, STOP } from "./counting-kernel.ts";
import { Gdb, NEEDS_GDB } from "./gdb-program.ts";

const MODES: readonly Mode[] = ["64", "32", "16"];

interface Rig {
  readonly kernel: CountingKernel;
  readonly program: Program;
  /** For `target remote`. */
  readonly address: string;
  at(label: string): string;
}

async function kernelOf(t: TestContext, wide: boolean): Promise<CountingKernel> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-gdb-"));
  t.after(() => rm(directory, { recursive: true }));
  return countingKernel(directory, { wide });
}

/** A machine of `bunk` that waits for gdb. */
async function started(t: TestContext, mode: Mode, ...args: string[]): Promise<Rig> {
  const kernel = await kernelOf(t, mode === "64");
  const options = ["--memory", "32M", "--entry", mode, "--gdb", "0", "--gdb-wait", "--debug-exit"];
  const program = startBunk(["run", "--kernel", kernel.file, ...options, ...args]);
  t.after(() => program.process.kill("SIGKILL"));
  let said = "";
  while (!/target remote \S+\n/.test(said)) {
    const [text] = await Promise.race([
      once(program.process.stderr, "data"),
      program.ended.then(({ errors }) => assert.fail(`bunk has ended: ${errors}`)),
    ]);
    said += text;
  }
  const [, address = ""] = /target remote (\S+)\n/.exec(said) ?? [];
  return { kernel, program, address, at: (label) => kernel.at(mode, label) };
}

async function connected(t: TestContext, address: string): Promise<Gdb> {
  const gdb = Gdb.start(t);
  await gdb.run(`target remote ${address}`);
  return gdb;
}

/** What gdb prints as the place where the guest is. */
const place = (gdb: Gdb) => gdb.value("/x $pc");

for (const mode of MODES) {
  const [counter, accumulator] = mode === "64" ? ["$rcx", "$rax"] : ["$ecx", "$eax"];

  test(
    `a kernel in ${mode}-bit code is stepped, stopped at a breakpoint, looked at, changed, and ended`,
    NEEDS_GDB,
    async (t) => {
      const { program, address, at } = await started(t, mode);
      const gdb = await connected(t, address);
      if (mode === "16") await gdb.run("stepi");
      assert.equal(await place(gdb), at("start"));

      await gdb.run(`break *${at("next")}`);
      assert.match(await gdb.run("continue"), /Breakpoint 1, /);
      assert.equal(await place(gdb), at("next"));
      assert.equal(await gdb.value(`/x ${accumulator}`), "0x1234");
      assert.equal(await gdb.value(counter), "0");
      await gdb.run("stepi");
      assert.equal(await gdb.value(counter), "1");
      await gdb.run("stepi");
      assert.equal(await place(gdb), at("count"));

      await gdb.run("delete");
      await gdb.run(`watch *(unsigned short *)${COUNTER}`);
      assert.match(await gdb.run("continue"), /Hardware watchpoint 2: [\s\S]*Old value = 0\nNew value = 1\n/);
      assert.equal(await place(gdb), at("counted"));
      await gdb.run("delete");
      await gdb.run(`rwatch *(unsigned short *)${COUNTER}`);
      assert.match(await gdb.run("continue"), /Hardware read watchpoint 3: [\s\S]*Value = 1\n/);
      assert.equal(await place(gdb), at("fetched"));

      await gdb.run(`set ${counter} = 100`);
      await gdb.run("delete");
      await gdb.run(`hbreak *${at("counted")}`);
      assert.match(await gdb.run("continue"), /Breakpoint 4, /);
      assert.equal(await gdb.value(`*(unsigned short *)${COUNTER}`), "101");

      await gdb.run("delete");
      await gdb.run(`set *(unsigned char *)${STOP} = 1`);
      assert.match(await gdb.run("continue"), /exited with code 025\]/);
      assert.equal((await program.ended).status, STATUS);
    },
  );
}

test(
  "a running guest is interrupted, and stops at a breakpoint in code that has run for long",
  NEEDS_GDB,
  async (t) => {
    const { program, address, at } = await started(t, "64");
    const gdb = await connected(t, address);
    const running = gdb.begin("continue");
    await program.shows("..........");
    gdb.interrupt();
    assert.match(await gdb.end(running), /Program received signal SIGINT/);
    const reached = Number(await gdb.value("$rcx"));
    assert.ok(reached >= 10 * 4096, String(reached));

    await gdb.run(`break *${at("counted")} if $rcx == ${reached + 50}`);
    assert.match(await gdb.run("continue"), /Breakpoint 1, /);
    assert.equal(await gdb.value("$rcx"), String(reached + 50));
    assert.equal(await gdb.value(`*(long *)${COUNTER}`), String(reached + 50));
  },
);

test(
  "gdb detaches and the guest runs on; another gdb finds it there, and a third after that one was killed",
  NEEDS_GDB,
  async (t) => {
    const { program, address, at } = await started(t, "64");
    const first = await connected(t, address);
    await first.run(`break *${at("counted")}`);
    await first.run("continue");
    assert.match(await first.run("detach"), /detached/);
    await program.shows("..");

    const second = await connected(t, address);
    const seen = Number(await second.value("$rcx"));
    assert.ok(seen >= 2 * 4096);
    await second.run(`break *${at("counted")}`);
    await second.run("continue");
    await second.kill();

    const third = await connected(t, address);
    assert.equal(await place(third), at("counted"), "a guest that is stopped waits for the next gdb");
    await third.run("disconnect");
    await third.run(`target remote ${address}`);
    assert.equal(await place(third), at("counted"));
    assert.match(await third.run("kill"), /killed/);
    assert.equal((await program.ended).status, 0);
  },
);

test(
  "gdb knows the registers that a system programmer asks for, and sets them as far as the processor takes it",
  NEEDS_GDB,
  async (t) => {
    const { address } = await started(t, "64");
    const gdb = await connected(t, address);
    const all = await gdb.run("info registers");
    for (const name of [
      "r15",
      "eflags",
      "cs",
      "gs",
      "fs_base",
      "gs_base",
      "k_gs_base",
      "cr0",
      "cr2",
      "cr3",
      "cr4",
      "cr8",
      "efer",
    ]) {
      assert.match(all, new RegExp(`^${name} `, "m"));
    }
    assert.match(all, /^cr0 .*\[ PE ET PG \]$/m);
    assert.match(all, /^efer .*\[ LME LMA \]$/m);
    await gdb.run("set $xmm9.v2_int64[1] = 0x1122334455667788");
    assert.equal(await gdb.value("/x $xmm9.v4_int32[2]"), "0x55667788");
    await gdb.run("set $st2 = -1.5");
    assert.match(await gdb.run("info float"), /R2: Valid +0xbfffc000000000000000 -1.5/);
    await gdb.run("set $k_gs_base = 0xffff888000000000");
    assert.equal(await gdb.value("/x $k_gs_base"), "0xffff888000000000");
    await gdb.run("set $eflags = 0x93");
    assert.equal(await gdb.value("$eflags"), "[ CF AF SF ]");
    await gdb.run("set $cr8 = 5");
    assert.equal(await gdb.value("$cr8"), "5");
    for (const refused of ["$mxcsr = 0x10000", "$cs = 8", "$fs_base = 0x800000000000", "$cr0 = 0x80000000L"]) {
      assert.match(await gdb.run(`set ${refused}`), /Could not write register/, refused);
    }
    assert.equal(await gdb.value("$cr0"), "[ PE ET PG ]");
  },
);

test("memory that is not mapped, or a device's, is an error, and addresses can be physical", NEEDS_GDB, async (t) => {
  const { address, at } = await started(t, "64");
  const gdb = await connected(t, address);
  assert.match(await gdb.run("x/4xb 0xfffffffffffff000"), /Cannot access memory/);
  assert.match(await gdb.run("x/4xb 0xa0000"), /Cannot access memory/);
  assert.match(await gdb.run("set *(int *)0xfee00000 = 1"), /Cannot access memory/);
  assert.match(await gdb.run(`monitor info walk ${at("start")}`), /PDE .*\nphysical address 0{9}1000200/);
  assert.match(await gdb.run("monitor memory physical"), /physical now/);
  assert.match(await gdb.run(`x/i ${at("start")}`), /mov +\$0x7000,%rsp/);
  assert.match(await gdb.run("monitor info registers"), /^RIP 0000000001000200 /);
  assert.match(await gdb.run("monitor help"), /info walk ADDRESS/);
  assert.match(await gdb.run("monitor nonsense"), /unknown command/);
});

test(
  "a guest that was taken for a 64-bit one is shown as 16-bit code after the next connection",
  NEEDS_GDB,
  async (t) => {
    const { kernel, address } = await started(t, "64", "--entry", "16");
    const gdb = await connected(t, address);
    await gdb.run("monitor arch i8086");
    await gdb.run("disconnect");
    await gdb.run(`target remote ${address}`);
    await gdb.run("stepi");
    assert.equal(await place(gdb), kernel.at("16", "start"));
    assert.match(await gdb.run("x/i $pc"), /xor +%ax,%ax/);
  },
);

test("the program is stopped for gdb by a triple fault, and ends when that lets go", NEEDS_GDB, async (t) => {
  const { program, address } = await started(t, "32");
  const gdb = await connected(t, address);
  // INT3 without an interrupt table.
  await gdb.run("set *(unsigned char *)$pc = 0xcc");
  assert.match(await gdb.run("continue"), /triple fault: exceptions [\s\S]*SIGABRT/);
  assert.match(await gdb.run("x/i $pc"), /int3/);
  assert.match(await gdb.run("continue"), /terminated with signal SIGABRT/);
  const { status, errors } = await program.ended;
  assert.equal(status, 70);
  assert.match(errors, /the guest crashed, triple fault/);
});

test("the library's machine tells where gdb connects", NEEDS_GDB, async (t) => {
  const kernel = await kernelOf(t, true);
  const vm = await VirtualMachine.create({ memory: "32M", kernel: kernel.file, debugExit: true, gdb: { wait: true } });
  t.after(() => vm.stop());
  const ended = vm.start();
  assert.match(vm.gdbAddress ?? "", /^127\.0\.0\.1:\d+$/);
  const gdb = await connected(t, vm.gdbAddress ?? "");
  assert.equal(vm.serial.text, "");
  const running = gdb.begin("continue");
  await vm.serial.expect("..");
  gdb.interrupt();
  await gdb.end(running);
  await gdb.run(`set *(unsigned char *)${STOP} = 1`);
  await gdb.run("continue");
  assert.deepEqual(await ended, { kind: "debug-exit", status: STATUS });
});

test("a port that is in use is told in a line that says what to change", async (t) => {
  const other = net.createServer().listen(0, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const { port } = other.address() as net.AddressInfo;
  const kernel = await kernelOf(t, true);
  const { status, errors } = await startBunk(["run", "--kernel", kernel.file, "--gdb", String(port)]).ended;
  assert.equal(status, 69);
  assert.match(errors, /^bunk: gdb cannot be waited for at 127\.0\.0\.1:\d+, which another program uses; .*\n$/);
  const gdb = { port };
  await assert.rejects(VirtualMachine.create({ kernel: kernel.file, gdb }), /which another program uses/);
  await assert.rejects(async () => VirtualMachine.create({ kernel: kernel.file, gdb: { port: 1.5 } }), /port 1\.5/);
});
