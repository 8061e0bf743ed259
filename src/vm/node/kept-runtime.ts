/** The processor's runtime module, kept between processes: to build it takes a quarter of a machine's start. */
import { keep, keptDirectory, readKept } from "./kept-file.ts";

const NAME = "runtime";

/** The module of src/cpu/build-runtime.ts, kept in `directory` if there is one. */
export async function keptRuntime(directory = keptDirectory()): Promise<WebAssembly.Module> {
  if (directory === undefined) return (await import("../../cpu/build-runtime.ts")).runtimeModule();
  const kept = readKept(directory, NAME);
  if (kept) {
    try {
      return new WebAssembly.Module(kept);
    } catch {
      // Something has damaged the file.
    }
  }
  const { buildRuntime } = await import("../../cpu/build-runtime.ts");
  const built = buildRuntime();
  keep(directory, NAME, built);
  return new WebAssembly.Module(built);
}
