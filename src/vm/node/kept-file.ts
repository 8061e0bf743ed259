/**
 * Code that is made from sources of the processor, kept between processes. It lies where Node keeps compiled sources, if
 * it does, and is taken from there only if no file that it may be made from has changed.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import module from "node:module";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** `src/cpu/` and what it may import. */
const SOURCES = ["bits", "wasm", "isa", "cpu"];

/** Where Node keeps compiled sources; undefined where it keeps none. */
export const keptDirectory = (): string | undefined => module.getCompileCacheDir();

/** One for each place that Bunkhouse is installed in. */
const nameHere = (name: string) => `${name}-${ROOT.replace(/[^\w.-]+/g, "-").slice(-200)}`;
const fileFor = (directory: string, name: string) => path.join(directory, `${nameHere(name)}.wasm`);

export interface KeptFolder {
  readonly path: string;
  /** Whether this process has loaded just the sources that the files there are of, so that it may add some. */
  readonly isCurrent: boolean;
}

/** A folder for files that the same sources have made, beside those for other sources. */
export function keptFolder(directory: string, name: string): KeptFolder {
  const { text, newest } = describeSources();
  const folder = path.join(directory, nameHere(name), digestOf(text));
  return { path: folder, isCurrent: newest < performance.timeOrigin };
}

/** 64 bits of a hash as text: `node:crypto` takes longer to load than a machine's start has. */
function digestOf(bytes: Uint8Array): string {
  let [a, b] = [0x811c_9dc5, 0x9e37_79b9];
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x0100_0193);
    b = Math.imul(b ^ byte ^ (a >>> 24), 0x85eb_ca6b);
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** What was kept, if the same sources have made it. */
export function readKept(directory: string, name: string): Buffer<ArrayBuffer> | undefined {
  const { text } = describeSources();
  const kept = read(fileFor(directory, name));
  return kept?.subarray(0, text.length).equals(text) ? kept.subarray(text.length) : undefined;
}

export function keep(directory: string, name: string, bytes: Uint8Array): void {
  const { text, newest } = describeSources();
  // What has changed since this process began may differ from what it has loaded.
  if (newest < performance.timeOrigin) replace(fileFor(directory, name), Buffer.concat([text, bytes]));
}

let described: { text: Buffer; newest: number } | undefined;

/** Names, sizes and times of all files that the module may be made from, with a zero at the end; the newest time. */
function describeSources(): { text: Buffer; newest: number } {
  if (described) return described;
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
  described = { text: Buffer.from(`${lines.join("\n")}\0`), newest };
  return described;
}

function read(file: string): Buffer<ArrayBuffer> | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Replaces the file at once, so that another process reads the one or the other. */
export function replace(file: string, bytes: Uint8Array): void {
  const fresh = `${file}.${process.pid}`;
  try {
    writeFileSync(fresh, bytes);
    renameSync(fresh, file);
  } catch {
    // It is made anew next time.
    rmSync(fresh, { force: true });
  }
}
