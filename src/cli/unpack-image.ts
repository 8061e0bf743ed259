/**
 * Disk images that are packed (gzip, xz, zstd), as they are downloaded: unpacked once, into the cache, and read from
 * there. gzip and zstd are Node's; for xz the host's program of that name is run.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, realpath, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import zlib from "node:zlib";
import { byteOffset } from "../bits/units.ts";
import { FileStore } from "../disk/node/file-store.ts";
import { hostError } from "../disk/node/host-error.ts";
import { defaultCacheDirectory } from "../hypervisor/catalogue/guest-store.ts";
import { ExitStatus } from "./exit-status.ts";
import { CliError, fileError } from "./failure.ts";
import type { Packing } from "./packing.ts";

/** Where unpacked images are kept. */
export const unpackedDirectory = (cache: string = defaultCacheDirectory()): string => path.join(cache, "unpacked");

export interface UnpackOptions {
  readonly directory?: string;
  /** Told from 0 to 1. */
  readonly report?: (fraction: number) => void;
}

/** The path of the unpacked image. Rejects with CliError or BlockError; nothing is kept then. */
export async function unpackImage(file: string, packing: Packing, options: UnpackOptions = {}): Promise<string> {
  const { directory = unpackedDirectory(), report = () => {} } = options;
  const { size, mtimeMs } = await stat(file);
  // Another file of this name, or the same one changed, is another image.
  const key = createHash("sha256")
    .update(`${await realpath(file)}\n${size}\n${mtimeMs}`)
    .digest("hex")
    .slice(0, 16);
  const name = path.basename(file).replace(/\.(gz|xz|zst)$/i, "");
  const target = path.join(directory, `${key}-${name}`);
  if (await stat(target).catch(() => undefined)) return target;
  const draft = `${target}.${process.pid}.part`;
  try {
    await mkdir(directory, { recursive: true });
    await rm(draft, { force: true });
    await writeUnpacked(file, packing, draft, (bytes) => report(size === 0 ? 1 : bytes / size));
    await utimes(draft, new Date(mtimeMs), new Date(mtimeMs));
    await rename(draft, target);
    return target;
  } catch (error) {
    await rm(draft, { force: true });
    if (error instanceof CliError) throw error;
    throw hostError(`unpack ${file}`, error);
  }
}

async function writeUnpacked(
  file: string,
  packing: Packing,
  draft: string,
  report: (bytes: number) => void,
): Promise<void> {
  const input = createReadStream(file);
  const store = await FileStore.open(draft, { create: 0 });
  try {
    const { output, ended } = unpacker(input, packing, file);
    let at = 0;
    for await (const chunk of output as AsyncIterable<Uint8Array>) {
      // Zeros stay holes.
      if (chunk.some((byte) => byte !== 0)) await store.write(byteOffset(at), chunk);
      at += chunk.length;
      report(input.bytesRead);
    }
    await ended;
    await store.resize(at);
  } finally {
    input.destroy();
    await store.close();
  }
}

function unpacker(input: Readable, packing: Packing, file: string): { output: Readable; ended: Promise<void> } {
  if (packing === "xz") return byXz(input, file);
  const output = packing === "gzip" ? zlib.createGunzip() : zlib.createZstdDecompress();
  input.on("error", (error) => output.destroy(error));
  return { output: input.pipe(output), ended: Promise.resolve() };
}

function byXz(input: Readable, file: string): { output: Readable; ended: Promise<void> } {
  const child = spawn("xz", ["--decompress", "--stdout"], { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  const failed = new Promise<void>((_, reject) => {
    child.once("error", (error) => {
      const isMissing = "code" in error && error.code === "ENOENT";
      const text = isMissing
        ? `unpacking ${file} needs the program xz; install it (Debian: apt-get install xz-utils)`
        : `xz cannot be run: ${error.message}`;
      const failure = new CliError(ExitStatus.unavailable, text);
      child.stdout.destroy(failure);
      reject(failure);
    });
  });
  // It may end before it has read all.
  child.stdin.on("error", () => {});
  input.on("error", (error) => child.stdout.destroy(error));
  input.pipe(child.stdin);
  const closed = once(child, "close").then(([status]) => {
    if (status === 0) return;
    throw fileError(`${file} cannot be unpacked: ${complaint.trim().split("\n")[0] ?? "xz failed"}`);
  });
  const ended = Promise.race([closed, failed]);
  // It may fail while its output is still being read: the reader hears of it at the end.
  ended.catch(() => undefined);
  return { output: child.stdout, ended };
}
