/**
 * Where our machine's time goes:
 *
 *     node bin/node26.mjs bench/profile.ts PROGRAM|boot [LINES [32]]
 *
 * Handlers of the interpreter stand under the names of their instruction forms, such as "mov 89 /r Ev,Gv".
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { compileAll, GUESTS, plainGuest, withPrograms } from "./guest-files.ts";
import { GuestProcess } from "./guest-process.ts";
import { type Bits, fileName, PROGRAM_NAMES, type ProgramName } from "./guest-programs.ts";
import { ourMachine } from "./machines.ts";
import { type Profile, timesByFunction } from "./profile-times.ts";
import { BOOT_TIMEOUT, PROMPT, shellOf } from "./shell.ts";

const PROGRAM_MILLISECONDS = 4000;
const LINES = 40;

async function profileProgram(program: ProgramName, bits: Bits, directory: string): Promise<Profile> {
  const programs = await compileAll(bits, directory);
  const skipped = programs.skipped.get(fileName(program, bits));
  if (skipped !== undefined) throw new Error(skipped);
  const guest = await plainGuest(GUESTS[bits]);
  const files = await withPrograms(guest, programs, undefined, path.join(directory, "initrd"));
  const profile = path.join(directory, "profile.json");
  const shell = await shellOf(ourMachine(files, { profile }), { bits, counted: true });
  try {
    const { instructions = 0, seconds, wall } = await shell.program(program, PROGRAM_MILLISECONDS);
    console.log(
      `${(instructions / seconds / 1e6).toFixed(1)} million instructions/s, ${(wall - seconds).toFixed(1)} s not running`,
    );
  } finally {
    await shell.close();
  }
  return JSON.parse(await readFile(profile, "utf8")) as Profile;
}

async function profileBoot(bits: Bits, directory: string): Promise<Profile> {
  const nodeOptions = ["--cpu-prof", `--cpu-prof-dir=${directory}`, "--cpu-prof-interval=500"];
  const guest = new GuestProcess(ourMachine(await plainGuest(GUESTS[bits]), { nodeOptions }));
  try {
    await guest.expect(PROMPT, BOOT_TIMEOUT);
    guest.type("poweroff -f\n");
    await guest.ended;
  } finally {
    await guest.kill();
  }
  const name = (await readdir(directory)).find((file) => file.endsWith(".cpuprofile"));
  if (name === undefined) throw new Error("Node wrote no profile");
  return JSON.parse(await readFile(path.join(directory, name), "utf8")) as Profile;
}

const isProgram = (name: string): name is ProgramName => (PROGRAM_NAMES as string[]).includes(name);

const [what = "", lines = String(LINES), width = "64"] = process.argv.slice(2);
const bits: Bits = width === "32" ? 32 : 64;
if (!isProgram(what) && what !== "boot") {
  console.error(`usage: bench/profile.ts ${[...PROGRAM_NAMES, "boot"].join("|")} [LINES [32]]`);
  process.exit(1);
}
const directory = await mkdtemp(path.join(tmpdir(), "bunkhouse-profile-"));
try {
  const profile = isProgram(what) ? await profileProgram(what, bits, directory) : await profileBoot(bits, directory);
  const times = timesByFunction(profile);
  const all = times.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const { name, seconds } of times.slice(0, Number(lines))) {
    console.log(
      `${((100 * seconds) / all).toFixed(1).padStart(5)} %  ${(seconds * 1000).toFixed(0).padStart(6)} ms  ${name}`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
