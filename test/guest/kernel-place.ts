/** Where a 64-bit Linux kernel says that it runs. */
import assert from "node:assert/strict";
import type { GuestShell } from "./guest-shell.ts";

const GIB = 2n ** 30n;
const MIB = 1024 * 1024;
const KERNEL_MAP = 0xffff_ffff_8000_0000n;

/** Checks that the addresses are such as a kernel can have, and that the pieces lie in the order of its file. */
export async function checkKernelPlace(shell: GuestShell): Promise<{ virtual: bigint; physical: number }> {
  const symbols = await shell.run("grep -E ' (_text|_end)$' /proc/kallsyms");
  const [virtual = 0n, end = 0n] = ["_text", "_end"].map((name) => {
    return BigInt(`0x${symbols.match(new RegExp(`^([0-9a-f]+) . ${name}$`, "m"))?.[1] ?? "0"}`);
  });
  assert.ok(virtual >= KERNEL_MAP + BigInt(16 * MIB) && end > virtual && end <= KERNEL_MAP + GIB, symbols);
  assert.equal(virtual % BigInt(2 * MIB), 0n, symbols);

  const map = await shell.run("grep Kernel /proc/iomem");
  const pieces = [...map.matchAll(/^ *([0-9a-f]+)-([0-9a-f]+) : Kernel (\w+)$/gm)];
  assert.deepEqual(
    pieces.map(([, , , name]) => name),
    ["code", "rodata", "data", "bss"],
  );
  const physical = Number.parseInt(pieces[0]?.[1] ?? "", 16);
  assert.ok(physical >= 16 * MIB && physical % (2 * MIB) === 0, map);
  const last = Number.parseInt(pieces.at(-1)?.[2] ?? "", 16);
  assert.ok(BigInt(last - physical) < end - virtual, map);
  return { virtual, physical };
}
