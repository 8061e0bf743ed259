/** What Linux tells about a running process: how long its threads waited for a processor, what is resident. */
import { open, readdir, readFile } from "node:fs/promises";

export interface ThreadTime {
  /** Seconds on a processor. */
  readonly ran: number;
  /** Seconds that the thread could have run, but others did. */
  readonly waited: number;
}

/** Times of the process's threads by their number; empty where the host does not tell. */
export async function threadTimes(pid: number): Promise<Map<string, ThreadTime>> {
  const times = new Map<string, ThreadTime>();
  const directory = `/proc/${pid}/task`;
  for (const thread of await readdir(directory).catch(() => [])) {
    const text = await readFile(`${directory}/${thread}/schedstat`, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const [ran = 0, waited = 0] = text.split(" ").map(Number);
    times.set(thread, { ran: ran / 1e9, waited: waited / 1e9 });
  }
  return times;
}

/** The time between two looks of the thread that ran the most: the one that executes the guest. */
export function busiestThread(
  before: ReadonlyMap<string, ThreadTime>,
  after: ReadonlyMap<string, ThreadTime>,
): ThreadTime {
  let busiest: ThreadTime = { ran: 0, waited: 0 };
  for (const [thread, { ran, waited }] of after) {
    const start = before.get(thread) ?? { ran: 0, waited: 0 };
    if (ran - start.ran > busiest.ran) busiest = { ran: ran - start.ran, waited: waited - start.waited };
  }
  return busiest;
}

/** Bytes of the process that are in the host's memory. */
export async function residentSize(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error("/proc/PID/status has no VmRSS");
  return Number(kilobytes) * 1024;
}

const PAGE_BYTES = 4096;
const PAGEMAP_ENTRY = 8;
/** Bit 63 of an entry, in its last byte. @spec Linux Documentation/admin-guide/mm/pagemap.rst */
const PRESENT = 0x80;

/**
 * Resident bytes of the last `size` bytes of a writable mapping that has `size` plus `ahead` bytes: of that which has most
 * of them there. Undefined where there is no such mapping.
 */
export async function residentPart(pid: number, size: number, ahead: number): Promise<number | undefined> {
  const maps = await readFile(`/proc/${pid}/maps`, "utf8");
  let most: number | undefined;
  for (const [, first = "", end = ""] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
    const start = Number.parseInt(first, 16);
    if (Number.parseInt(end, 16) - start !== ahead + size) continue;
    // There may be another memory of that size, with nothing in it (translate/compile-ahead.ts).
    most = Math.max(most ?? 0, await presentBytes(pid, start + ahead, size));
  }
  return most;
}

async function presentBytes(pid: number, start: number, size: number): Promise<number> {
  const entries = Buffer.alloc((size / PAGE_BYTES) * PAGEMAP_ENTRY);
  const file = await open(`/proc/${pid}/pagemap`, "r");
  try {
    const { bytesRead } = await file.read(entries, 0, entries.length, (start / PAGE_BYTES) * PAGEMAP_ENTRY);
    if (bytesRead !== entries.length) throw new Error("/proc/PID/pagemap ends early");
  } finally {
    await file.close();
  }
  let present = 0;
  for (let at = PAGEMAP_ENTRY - 1; at < entries.length; at += PAGEMAP_ENTRY) {
    if ((entries[at] as number) & PRESENT) present += PAGE_BYTES;
  }
  return present;
}
