import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { askForLargePages } from "./large-pages.ts";

const WASM_PAGES = 161;
const BYTES = WASM_PAGES * 65536;
const ENABLED = "/sys/kernel/mm/transparent_hugepage/enabled";
const skip = existsSync(ENABLED) ? false : `needs ${ENABLED}`;

/** Linux's flags of the mappings that hold at least so many bytes. @spec proc(5), smaps */
function flagsOfLarge(bytes: number): string[] {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  return mappings
    .filter((text) => Number(/^Size: +(\d+) kB/m.exec(text)?.[1]) * 1024 >= bytes)
    .map((text) => /^VmFlags: (.*)$/m.exec(text)?.[1] ?? "");
}
const marked = () => flagsOfLarge(BYTES).filter((flags) => flags.split(" ").includes("hg")).length;

test("Linux is asked for large pages for a machine's memory", { skip }, () => {
  const memory = new WebAssembly.Memory({ initial: WASM_PAGES, maximum: WASM_PAGES, shared: true });
  const before = marked();
  askForLargePages(memory);
  assert.equal(marked(), before + 1);
  assert.ok(
    new Uint8Array(memory.buffer).every((byte) => byte === 0),
    "it is as it was",
  );
});
