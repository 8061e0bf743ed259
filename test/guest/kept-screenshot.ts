/** Pictures of what a test's machine shows, kept for people to look at. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { VirtualMachine } from "../../src/vm/index.ts";

const SCREENSHOTS =
  process.env.BUNKHOUSE_ARTEFACTS ?? fileURLToPath(new URL("../../artifacts/screens/", import.meta.url));

/** Keeps a picture of the screen under the name of what is seen on it. */
export async function keepScreenshot(vm: VirtualMachine, name: string): Promise<void> {
  const picture = await vm.display.screenshot();
  const { width, height } = await vm.display.size();
  assert.ok(width >= 640 && height >= 350, `${width}x${height}`);
  await mkdir(SCREENSHOTS, { recursive: true });
  await writeFile(path.join(SCREENSHOTS, `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.png`), picture);
}
