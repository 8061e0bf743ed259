/** Floating-point sums that a guest's awk makes, and what they come to on the host. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { readCpio } from "../../src/hypervisor/catalogue/cpio.ts";
import type { PreparedGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";

const TERMS = 20_000;

/** Without single quotes, so that it stands between them on a command line. */
export const AWK_SUMS: string =
  `BEGIN { for (i = 1; i <= ${TERMS}; i++) { ` +
  "a += sqrt(i); b += exp(-i / 1000); c += log(i); d += 1 / i; e += sin(i) * cos(i); f += atan2(i, 3) } " +
  'printf "%.17g %.17g %.17g %.17g %.17g %.17g\\n", a, b, c, d, e, f }';

/** Fails where the guest's output of `AWK_SUMS` is not what it should be. */
export async function checkSums(guest: PreparedGuest, output: string): Promise<void> {
  const sums = output.trim().split(" ").map(Number);
  const expected = hostSums();
  assert.equal(sums.length, expected.length, output);
  for (const [index, value] of expected.entries()) {
    // The order of operations is the same, the last bits of the functions and of the x87 are not.
    const error = Math.abs((sums[index] as number) / value - 1);
    assert.ok(error < 1e-11, `sum ${index} is ${sums[index]}, and ${value} on the host`);
  }
  // The guest's own program on the host's processor is to the last bit what ours has to give.
  if (process.platform === "linux" && process.arch === "x64") assert.equal(output, await sameProgramOnHost(guest));
}

function hostSums(): number[] {
  const sums = [0, 0, 0, 0, 0, 0] as [number, number, number, number, number, number];
  for (let i = 1; i <= TERMS; i++) {
    sums[0] += Math.sqrt(i);
    sums[1] += Math.exp(-i / 1000);
    sums[2] += Math.log(i);
    sums[3] += 1 / i;
    sums[4] += Math.sin(i) * Math.cos(i);
    sums[5] += Math.atan2(i, 3);
  }
  return sums;
}

async function sameProgramOnHost(guest: PreparedGuest): Promise<string> {
  const busybox = readCpio(await readFile(guest.initrd)).find(({ path }) => path === "bin/busybox");
  assert.ok(busybox?.kind === "file");
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-sums-"));
  try {
    const program = path.join(directory, "busybox");
    await writeFile(program, busybox.content, { mode: 0o755 });
    // glibc picks functions by the processor's features; these are what ours does not have.
    const env = { GLIBC_TUNABLES: "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F" };
    return (await promisify(execFile)(program, ["awk", AWK_SUMS], { env })).stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}
