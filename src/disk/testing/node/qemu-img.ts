/** QEMU's tools for disk images, which tests compare with. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

/** Why tests that need a program of the host are skipped, or false. */
export function missing(program: string): string | false {
  const { error } = spawnSync(program, ["--version"]);
  return error === undefined ? false : `${program} is not installed`;
}

export const withoutQemuImg: string | false = missing("qemu-img");

/** Runs a program in `directory`; rejects, with what it said, where its status is not 0. */
export async function run(directory: string, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd: directory });
  return stdout;
}

export const qemuImg = (directory: string, ...args: string[]): Promise<string> => run(directory, "qemu-img", ...args);

/** A folder for one test's files. */
export async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-images-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}
