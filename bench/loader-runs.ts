/** Runs of machines from their first instruction to a boot loader's prompt. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { CODE_OPTIONS } from "../bin/runtime.mjs";
import { GuestProcess } from "./guest-process.ts";
import { type LoaderMark, type LoaderRun, PROMPT_MARK, parseMark, runBetween, START_MARK } from "./loader-marks.ts";
import type { LoaderMedium } from "./loader-media.ts";
import { QEMU } from "./machines.ts";
import { threadTimes } from "./process-figures.ts";
import { QemuMonitor } from "./qemu-monitor.ts";
import { BOOT_TIMEOUT } from "./shell.ts";

export const LOADER_MACHINES = ["ours", "ours on SeaBIOS", "QEMU"] as const;
export type LoaderMachine = (typeof LOADER_MACHINES)[number];

const MEMORY_MIB = 128;
const SEABIOS = "/usr/share/seabios/bios-256k.bin";
const OUR_MACHINE = path.join(import.meta.dirname, "loader-machine.ts");
const BUNK = path.join(import.meta.dirname, "../bin/bunk.mjs");
const LOOK_EVERY = 3;
/** Seconds after which a process has kept what it made. */
const KEPT_AFTER = 6;
const TEXT_AT = 0xb8000;
const COLUMNS = 80;
const TEXT_BYTES = COLUMNS * 25 * 2;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** From the processor's first instruction to the prompt. */
export function runToPrompt(
  machine: LoaderMachine,
  medium: LoaderMedium,
  file: string,
  directory: string,
): Promise<LoaderRun> {
  return machine === "QEMU" ? qemuRun(medium, file, directory) : ourRun(medium, file, directory, machine !== "ours");
}

/** Has a machine of ours run for some seconds, so that later ones find what Bunkhouse keeps between processes. */
export async function warmUp(
  machine: LoaderMachine,
  medium: LoaderMedium,
  file: string,
  directory: string,
): Promise<void> {
  if (machine !== "QEMU") await ourRun(medium, file, directory, machine !== "ours", KEPT_AFTER);
  if (machine === "ours") await bunkRun(medium, file, KEPT_AFTER);
}

async function ourRun(
  { drive, prompt }: LoaderMedium,
  file: string,
  directory: string,
  seaBios: boolean,
  stays = 0,
): Promise<LoaderRun> {
  const args = [drive, file, prompt, String(MEMORY_MIB), String(stays), ...(seaBios ? [SEABIOS] : [])];
  const options = ["--disable-warning=ExperimentalWarning", ...CODE_OPTIONS];
  // As `bunk` has it.
  const env = { NODE_COMPILE_CACHE: path.join(directory, "code") };
  const guest = new GuestProcess({ program: process.execPath, args: [...options, OUR_MACHINE, ...args], env });
  try {
    const marks: LoaderMark[] = [];
    for (const name of [START_MARK, PROMPT_MARK]) {
      const { match } = await guest.expect(new RegExp(`${name} .*(?=\n)`), BOOT_TIMEOUT);
      marks.push(parseMark(match[0], name) as LoaderMark);
    }
    if (stays > 0) await guest.ended;
    return runBetween(marks[0] as LoaderMark, marks[1] as LoaderMark);
  } finally {
    await guest.kill();
  }
}

/** QEMU begins when it is told to, so that what it does before is not counted. */
async function qemuRun({ drive, prompt }: LoaderMedium, file: string, directory: string): Promise<LoaderRun> {
  const socket = path.join(directory, `qemu-${process.hrtime.bigint()}.sock`);
  const screen = path.join(directory, "qemu-screen");
  const format = `file=${file},format=raw,readonly=on`;
  const media = {
    cd: ["-cdrom", file, "-boot", "d"],
    disk: ["-drive", `${format},if=virtio`, "-boot", "c"],
    floppy: ["-drive", `${format},if=floppy`, "-boot", "a"],
  };
  const machine = [
    "-accel",
    "tcg,thread=single",
    "-cpu",
    "max",
    "-m",
    String(MEMORY_MIB),
    "-vga",
    "std",
    "-nic",
    "none",
  ];
  const host = ["-display", "none", "-serial", "none", "-S", "-qmp", `unix:${socket},server=on,wait=off`];
  const guest = new GuestProcess({ program: QEMU, args: [...machine, ...host, ...media[drive]] });
  const pattern = new RegExp(prompt, "m");
  try {
    const monitor = await QemuMonitor.connect(socket, BOOT_TIMEOUT);
    const mark = async (): Promise<LoaderMark> => ({
      at: performance.now() / 1000,
      threads: await threadTimes(guest.pid),
    });
    const start = await mark();
    await monitor.command("cont");
    const end = start.at + BOOT_TIMEOUT / 1000;
    for (;;) {
      await pause(LOOK_EVERY);
      await monitor.command("pmemsave", { val: TEXT_AT, size: TEXT_BYTES, filename: screen });
      if (pattern.test(textOf(await readFile(screen)))) return runBetween(start, await mark());
      if (performance.now() / 1000 > end) throw new Error("QEMU did not come to the loader's prompt");
    }
  } finally {
    await guest.kill();
  }
}

/** Characters of a text mode's memory, in rows. */
function textOf(cells: Uint8Array): string {
  let text = "";
  for (let i = 0; i < cells.length; i += 2) {
    text += String.fromCharCode(cells[i] as number);
    if ((i / 2) % COLUMNS === COLUMNS - 1) text += "\n";
  }
  return text;
}

/**
 * The same from the start of `bunk run`'s process, whose screen is on its standard output: seconds without waits. It goes
 * on for `stays` seconds.
 */
export async function bunkRun({ drive, prompt }: LoaderMedium, file: string, stays = 0): Promise<number> {
  const media = { cd: ["--cdrom", file], disk: ["--disk", `${file},readonly=on`], floppy: ["--floppy", file] };
  const args = [BUNK, "run", ...media[drive], "--memory", `${MEMORY_MIB}M`];
  const guest = new GuestProcess({ program: process.execPath, args });
  try {
    const { at } = await guest.expect(new RegExp(prompt.replace("^", "")), BOOT_TIMEOUT);
    const prompted = { at, threads: await threadTimes(guest.pid) };
    await pause(stays * 1000);
    return runBetween({ at: guest.startedAt, threads: new Map() }, prompted).seconds;
  } finally {
    await guest.kill();
  }
}
