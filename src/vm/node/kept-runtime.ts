/**
 * The processor's runtime module, kept between processes: to build it takes a quarter of a machine's start. It lies where
 * Node keeps compiled sources, if it does, and is taken from there only if no file that it may be made from has changed.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import module from "node:module";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where the sources of the module are: `src/cpu/` and what it may import. */
const SOURCES = ["bits", "wasm", "isa", "cpu"];
/** One for each place that Bunkhouse is installed in. */
const FILE = `runtime-${ROOT.replace(/[^\w.-]+/g, "-").slice(-200)}.wasm`;

/** The module of src/cpu/build-runtime.ts, kept in `directory` if there is one. */
export async function keptRuntime(directory = module.getCompileCacheDir()): Promise<WebAssembly.Module> {
  if (directory === undefined) return (await import("../../cpu/build-runtime.ts")).runtimeModule();
  const file = path.join(directory, FILE);
  const { text: sources, newest } = describeSources();
  const kept = read(file);
  if (kept?.subarray(0, sources.length).equals(sources)) {
    try {
      return new WebAssembly.Module(kept.subarray(sources.length));
    } catch {
      // Something has damaged the file.
    }
  }
  const { buildRuntime } = await import("../../cpu/build-runtime.ts");
  const built = buildRuntime();
  // What has changed since this process began may differ from what it has loaded.
  if (newest < performance.timeOrigin) keep(file, Buffer.concat([sources, built]));
  return new WebAssembly.Module(built);
}

/** Names, sizes and times of all files that the module may be made from, with a zero at the end; the newest time. */
function describeSources(): { text: Buffer; newest: number } {
  let newest = 0;
  const lines = SOURCES.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /(?<!\.test)\.[jt]s$/.test(name))
      .sort()
      .map((name) => {
        const { size, ctimeMs } = statSync(path.join(ROOT, folder, name));
        newest = Math.max(newest, ctimeMs);
        return `${folder}/${name} ${size} ${ctimeMs}`;
      }),
  );
  return { text: Buffer.from(`${lines.join("\n")}\0`), newest };
}

function read(file: string): Buffer<ArrayBuffer> | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Replaces the file at once, so that another process reads the one or the other. */
function keep(file: string, bytes: Uint8Array): void {
  const fresh = `${file}.${process.pid}`;
  try {
    writeFileSync(fresh, bytes);
    renameSync(fresh, file);
  } catch {
    // It is made anew next time.
    rmSync(fresh, { force: true });
  }
}
