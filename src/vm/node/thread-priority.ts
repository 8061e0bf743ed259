/**
 * Which threads come first where the host has fewer processors than there are threads to run. Linux counts priorities by
 * thread; elsewhere all stay alike.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import os from "node:os";
import process from "node:process";

/** By how much the nice value of setpriority(2) is higher: a ninth of the time of a thread beside it that has not given way. */
const GIVES_WAY = 10;
const HIGHEST = 19;
/** Node's name for the threads on which V8 compiles and collects garbage. */
const V8_THREAD = "node-V8Worker";

/**
 * Has the calling thread, and those that V8 works on for all threads of this process, give way to the ones that guests run
 * in: five of them that are busy would leave a guest a third of what a host with two processors has.
 */
export function giveWayToGuests(): void {
  if (process.platform !== "linux") return;
  try {
    const nice = Math.min(os.getPriority(process.pid) + GIVES_WAY, HIGHEST);
    const own = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    for (const id of readdirSync("/proc/self/task")) {
      if (Number(id) === own || nameOf(id) === V8_THREAD) os.setPriority(Number(id), nice);
    }
  } catch {
    // No /proc, or a thread that has ended meanwhile: they stay as they are.
  }
}

const nameOf = (thread: string): string => readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim();
