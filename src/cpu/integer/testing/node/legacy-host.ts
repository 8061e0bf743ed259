/** This computer's processor in compatibility mode as an oracle, through legacy-host.c. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Runs records of RECORD_SIZE bytes and gives them as they are afterwards; or why there is no such oracle. */
export function runOnHost(records: Uint8Array): Uint8Array | string {
  if (process.arch !== "x64" || process.platform !== "linux") return "the host is no x86-64 Linux";
  const folder = mkdtempSync(join(tmpdir(), "legacy-host-"));
  try {
    const program = join(folder, "legacy-host");
    const source = fileURLToPath(new URL("legacy-host.c", import.meta.url));
    const compiled = spawnSync("gcc", ["-O1", "-no-pie", "-o", program, source], { encoding: "utf8" });
    if (compiled.error) return "gcc is not installed";
    if (compiled.status !== 0) return `gcc fails: ${compiled.stderr}`;
    const { stdout, status } = spawnSync(program, { input: records, maxBuffer: records.length + 1 });
    if (status === 2) return "the host's kernel has no segments for 16-bit and 32-bit code";
    if (status !== 0 || stdout.length !== records.length) throw new Error(`the host program ends with ${status}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
