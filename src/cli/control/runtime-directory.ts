/** The directory in which running machines can be found: their control sockets. */
import { lstat, mkdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { hostError } from "../../disk/node/host-error.ts";
import { ExitStatus } from "../exit-status.ts";
import { CliError } from "../failure.ts";

/** Where control sockets are, as the environment says. */
export function runtimeDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_RUNTIME_DIR } = environment;
  if (XDG_RUNTIME_DIR !== undefined && path.isAbsolute(XDG_RUNTIME_DIR)) return path.join(XDG_RUNTIME_DIR, "bunkhouse");
  return path.join(os.tmpdir(), `bunkhouse-${process.getuid?.() ?? "user"}`);
}

/** Makes the directory, for its owner alone. Rejects with CliError where another user may write to it. */
export async function makeRuntimeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { message } = hostError(`make ${directory}, where control sockets are`, error);
    throw new CliError(ExitStatus.unavailable, `${message}; set XDG_RUNTIME_DIR to a directory of yours`);
  }
  const stats = await lstat(directory);
  if (!stats.isDirectory() || stats.uid !== process.getuid?.() || (stats.mode & 0o077) !== 0) {
    throw new CliError(
      ExitStatus.unavailable,
      `${directory} is not yours alone, so that control sockets are not safe there; remove it, or set XDG_RUNTIME_DIR`,
    );
  }
}

/** What may be a machine's name: it becomes a file's. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/;

export const isMachineName = (text: string): boolean => NAME.test(text);

/** The name of a machine that was given none, after its guest or a file. */
export function nameAfter(text: string): string {
  const name = path
    .basename(text)
    .replace(/\.[^.]*$/, "")
    .replaceAll(/[^A-Za-z0-9_-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 40);
  return isMachineName(name) ? name : "machine";
}

export interface SocketName {
  readonly name: string;
  readonly pid: number;
}

export const socketFile = ({ name, pid }: SocketName): string => `${name}.${pid}.sock`;

export function parseSocketFile(file: string): SocketName | undefined {
  const [, name, pid] = /^([^.]+)\.(\d+)\.sock$/.exec(file) ?? [];
  return name !== undefined && isMachineName(name) ? { name, pid: Number(pid) } : undefined;
}
