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

const TERMS = 1000;

/**
 * Sums of square roots, exponentials, logarithms and quotients. They are made of the four operations: this awk has no
 * mathematical functions. Without single quotes, so that it can stand between them on a command line.
 */
export const AWK_SUMS: string = [
  "function root(x, i, y) { y = x; for (i = 0; i < 15; i++) y = (y + x / y) / 2; return y }",
  "function power(x, i, t, y) { t = y = 1; for (i = 1; i < 20; i++) { t *= x / i; y += t } return y }",
  "function logarithm(x, i, t, y) { t = (x - 1) / (x + 1); x = t * t; y = 0;" +
    " for (i = 1; i < 40; i += 2) { y += t / i; t *= x } return 2 * y }",
  `BEGIN { for (i = 1; i <= ${TERMS}; i++) {` +
    " a += root(i); b += power(-i / 1000); c += logarithm(1 + i / 1000); d += 1 / i }" +
    ' printf "%.17g %.17g %.17g %.17g\\n", a, b, c, d }',
].join(" ");

function hostSums(): number[] {
  const sums = [0, 0, 0, 0] as [number, number, number, number];
  for (let i = 1; i <= TERMS; i++) {
    sums[0] += Math.sqrt(i);
    sums[1] += Math.exp(-i / 1000);
    sums[2] += Math.log(1 + i / 1000);
    sums[3] += 1 / i;
  }
  return sums;
}

/** Fails where the guest's output of `AWK_SUMS` is not what it should be. */
export async function checkSums(guest: PreparedGuest, output: string): Promise<void> {
  const sums = output.trim().split(" ").map(Number);
  const expected = hostSums();
  assert.equal(sums.length, expected.length, output);
  for (const [index, value] of expected.entries()) {
    const error = Math.abs((sums[index] as number) / value - 1);
    assert.ok(error < 1e-11, `sum ${index} is ${sums[index]}, and ${value} on the host`);
  }
  // What the guest's own program gives on the host's processor, ours has to give to the last bit.
  if (process.platform === "linux" && process.arch === "x64") assert.equal(output, await sameProgramOnHost(guest));
}

async function sameProgramOnHost(guest: PreparedGuest): Promise<string> {
  const busybox = readCpio(await readFile(guest.initrd)).find(({ path }) => path === "bin/busybox");
  assert.ok(busybox?.kind === "file");
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-sums-"));
  try {
    const program = path.join(directory, "busybox");
    await writeFile(program, busybox.content, { mode: 0o755 });
    return (await promisify(execFile)(program, ["awk", AWK_SUMS])).stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}
