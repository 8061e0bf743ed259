/** What a Debian kernel with a BusyBox shell must be able to do, whichever kernel it is. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { catalogueGuest, machineOf } from "./catalogue-guest.ts";
import { AWK_SUMS, checkSums } from "./guest-arithmetic.ts";
import { GuestShell } from "./guest-shell.ts";
import { checkKernelPlace } from "./kernel-place.ts";

const MIB = 1024 * 1024;

/**
 * Declares the test: one boot of the catalogue's guest `name`, whose `uname -m` is `machine`. `mebibytes` (an even
 * number) are moved between disks.
 */
export function kernelContract(
  name: string,
  { machine, mebibytes }: { machine: "x86_64" | "i686"; mebibytes: number },
): void {
  test(`${name} boots to a shell, works, and powers off`, async (t) => {
    const guest = await catalogueGuest(t, name);
    if (!guest) return;
    const { source, target, content } = await diskPair(t, mebibytes * MIB);
    const vm = await machineOf(t, guest, {
      virtioConsole: true,
      disks: [
        { file: source, readOnly: true, serial: "source" },
        { file: target, serial: "target" },
      ],
    });
    const ended = vm.start();
    const shell = new GuestShell(vm.serial);
    await shell.ready();

    await t.test("the kernel sees the processor that it is made for", async () => {
      assert.equal(await shell.run("uname -m"), `${machine}\n`);
      const cpuinfo = await shell.run("cat /proc/cpuinfo");
      assert.equal(cpuinfo.match(/^processor/gm)?.length, 1);
      assert.match(cpuinfo, /^model name\t: Bunkhouse virtual processor$/m);
      assert.match(cpuinfo, /^flags\t\t: .*\bfpu\b.*\bsse2\b.*\bhypervisor\b/m);
    });

    if (machine === "x86_64") {
      await t.test("the kernel is where it can be, with its modules", async () => {
        await checkKernelPlace(shell);
        assert.match(await shell.run("cat /proc/modules"), /^virtio_\w+ .* Live /m);
      });
    }

    await t.test(`${mebibytes} MiB read from a disk have the checksum of the host's file`, async () => {
      assert.equal(await shell.run("sha256sum </dev/vda"), `${sha256(content)}  -\n`);
    });

    await t.test(`${mebibytes} MiB copied to a disk are in the host's file, and read back the same`, async () => {
      await shell.run("dd if=/dev/vda of=/dev/vdb bs=256k conv=fsync 2>/dev/null");
      assert.equal(sha256(await readFile(target)), sha256(content));
      await shell.run("echo 3 >/proc/sys/vm/drop_caches");
      const half = mebibytes / 2;
      const reading = `dd if=/dev/vdb bs=1M skip=${half} count=${half} 2>/dev/null`;
      assert.equal(await shell.run(`${reading} | sha256sum`), `${sha256(content.subarray(half * MIB))}  -\n`);
    });

    await t.test("floating-point sums are those of the host", async () => {
      await checkSums(guest, await shell.run(`awk '${AWK_SUMS}'`));
    });

    await t.test("1,000 processes are forked, waited for, and give their status", async () => {
      const loop = "i=0 s=0; while [ $i -lt 1000 ]; do (exit $((i % 7))); s=$((s + $?)); i=$((i + 1)); done; echo $s";
      const expected = Array.from({ length: 1000 }, (_, i) => i % 7).reduce((sum, status) => sum + status);
      assert.equal(await shell.run(loop), `${expected}\n`);
      await shell.run("i=0; while [ $i -lt 50 ]; do /bin/busybox true || exit; i=$((i + 1)); done");
    });

    await t.test("signals are caught, kill, and come from the keyboard", async () => {
      const script = 'trap "echo caught" USR1; kill -USR1 $$; sleep 1000 & kill $!; wait $!; echo $?';
      assert.equal(await shell.run(`sh -c '${script}' 2>/dev/null`), "caught\n143\n");
      await shell.run("sh -c 'kill -SEGV $$'", 128 + 11);
      assert.equal(await shell.interrupt("sh -c 'echo asleep; exec sleep 1000'", "asleep"), 128 + 2);
    });

    await t.test("the virtio console carries lines both ways", async () => {
      await shell.run("echo to the host >/dev/hvc0");
      await vm.console?.expect("to the host\r\n", { timeout: 60_000 });
      shell.type('read -r line </dev/hvc0; echo "@""$line@"\n');
      vm.console?.write("to the guest\n");
      await shell.expect("@to the guest@");
    });

    await t.test("the kernel finds the HPET, and prefers the clock that costs least", async () => {
      const sources = "/sys/devices/system/clocksource/clocksource0";
      assert.match(await shell.run(`cat ${sources}/available_clocksource`), /\bhpet\b/);
      assert.match(await shell.run(`cat ${sources}/current_clocksource`), /^(tsc|kvm-clock)$/m);
    });

    await t.test("two seconds last two seconds", async () => {
      const { guest: passed, host } = await shell.sleep(2);
      assert.ok(passed >= 1.99, `${passed} s in the guest`);
      assert.ok(Math.abs(passed / host - 1) < 0.05, `${passed} s in the guest are ${host} s on the host`);
    });

    shell.type("poweroff -f\n");
    assert.deepEqual(await ended, { kind: "power-off" });
  });
}

/** A disk of random bytes and one of zeros, removed after the test. */
async function diskPair(t: TestContext, bytes: number) {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-disks-"));
  t.after(() => rm(directory, { recursive: true }));
  const [source, target] = [path.join(directory, "source"), path.join(directory, "target")];
  const content = new Uint8Array(bytes);
  new SeededRandom(1).fill(content);
  await writeFile(source, content);
  await writeFile(target, new Uint8Array(bytes));
  return { source, target, content };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
