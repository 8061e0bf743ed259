/**
 * Keeps two machines from writing one disk image. The lock is a file `<image>.lock` beside the image that
 * says who holds it; it appears with its content in one step, so that only one process can win.
 *
 * A process that ended without letting go leaves its lock behind. That is recognised by the process being
 * gone from this host: its number free, or in use by a process that started at another time. A lock of
 * another host (an image on a network share) or of another container cannot be judged and counts as held.
 */
import { link, readFile, readlink, realpath, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import process from "node:process";
import { BlockError } from "../block-device.ts";
import { hostError, hostErrorCode } from "./host-error.ts";

/** What the lock file says, as JSON. */
interface Holder {
  host: string;
  /** Where process numbers count: a container has numbers of its own. Empty where the host does not tell. */
  processSpace: string;
  pid: number;
  /** Tells a process from a later one with the same number; empty where the host does not tell. */
  started: string;
  /** Differs for every lock taken. */
  token: string;
}

/** Times that the lock may change hands between looking and taking it before it counts as in use. */
const ATTEMPTS = 20;

export class ImageLock {
  readonly #path: string;
  readonly #content: string;

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  /** Locks `image`, which exists. Rejects with BlockError where another machine has it. */
  static async acquire(image: string): Promise<ImageLock> {
    try {
      // Two paths to one image must meet in one lock.
      return await ImageLock.#acquire(image, `${await realpath(image)}.lock`);
    } catch (error) {
      throw hostError(`put a lock file beside ${image}`, error);
    }
  }

  static async #acquire(image: string, path: string): Promise<ImageLock> {
    const own = await describeProcess();
    const content = `${JSON.stringify(own)}\n`;
    let holder: Holder | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await createWith(path, content, own.token)) return new ImageLock(path, content);
      const found = await contentOf(path);
      // Let go between the two steps.
      if (found === undefined) continue;
      holder = parse(found);
      if (holder === undefined || !(await isGone(holder, own))) break;
      await removeStale(path, found, holder.token);
    }
    throw inUse(image, path, holder, own);
  }

  /** Lets go. A lock that somebody removed by hand and took is left to them. */
  async release(): Promise<void> {
    if ((await contentOf(this.#path)) === this.#content) await rm(this.#path, { force: true });
  }
}

/** Creates `path` with its whole content in one step; false where it exists. */
async function createWith(path: string, content: string, token: string): Promise<boolean> {
  const draft = `${path}.${token}`;
  try {
    await writeFile(draft, content, { flag: "wx" });
    await link(draft, path);
    return true;
  } catch (error) {
    const code = hostErrorCode(error);
    if (code === "EEXIST") return false;
    // A file system without hard links: for a moment the lock is empty, which counts as held.
    if (code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS") {
      return await createExclusively(path, content);
    }
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function createExclusively(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if (hostErrorCode(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Removes the lock with content `stale`. Of several processes that find it, the one that creates the file
 * named after its token may remove it: as long as that file is there, the lock can only be what it was.
 */
async function removeStale(path: string, stale: string, token: string): Promise<void> {
  const right = `${path}.stale-${token}`;
  if (!(await createExclusively(right, ""))) return;
  try {
    if ((await contentOf(path)) === stale) await rm(path, { force: true });
  } finally {
    await rm(right, { force: true });
  }
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hostErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parse(content: string): Holder | undefined {
  try {
    const { host, processSpace, pid, started, token } = JSON.parse(content) as Partial<Record<keyof Holder, unknown>>;
    const texts = typeof host === "string" && typeof processSpace === "string" && typeof started === "string";
    // The token becomes part of a file name.
    if (!texts || !Number.isSafeInteger(pid) || Number(pid) <= 0) return undefined;
    if (typeof token !== "string" || !/^[0-9a-f-]{36}$/.test(token)) return undefined;
    return { host, processSpace, pid: Number(pid), started, token };
  } catch {
    return undefined;
  }
}

async function describeProcess(): Promise<Holder> {
  return {
    host: os.hostname(),
    processSpace: await readlink("/proc/self/ns/pid").catch(() => ""),
    pid: process.pid,
    started: await startOf(process.pid),
    token: crypto.randomUUID(),
  };
}

const isLocal = (holder: Holder, own: Holder): boolean =>
  holder.host === own.host && holder.processSpace === own.processSpace;

/** Whether the process that holds a lock has certainly ended. */
async function isGone(holder: Holder, own: Holder): Promise<boolean> {
  if (!isLocal(holder, own)) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (hostErrorCode(error) === "ESRCH") return true;
  }
  const started = await startOf(holder.pid);
  return started !== "" && holder.started !== "" && started !== holder.started;
}

/** When a process started, on Linux: this boot's identity and clock ticks since it (proc(5), /proc/pid/stat field 22). */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    // Field 2 is a name in parentheses that may hold anything; what follows it begins with field 3.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return `${boot.trim()} ${fields[22 - 3]}`;
  } catch {
    return "";
  }
}

function inUse(image: string, path: string, holder: Holder | undefined, own: Holder): BlockError {
  let who = "another machine";
  if (holder?.pid === own.pid && isLocal(holder, own)) who = "this process already; it can be in one place only";
  else if (holder !== undefined && isLocal(holder, own)) who = `process ${holder.pid}`;
  else if (holder !== undefined) who = `process ${holder.pid} on ${holder.host}`;
  const remedy = holder !== undefined && isLocal(holder, own) ? "" : `; if that is certainly gone, delete ${path}`;
  return new BlockError("io", `${image} is in use by ${who}${remedy}`);
}
