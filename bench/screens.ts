/**
 * What screens take: from the first instruction to a boot loader's prompt, on our BIOS, on SeaBIOS and in QEMU; and how
 * often a viewer gets a picture of 1024x768 pixels, and what that takes.
 *
 *     node bench/screens.ts [--rounds N] [--seconds N] [--only loaders|viewer] [--write]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { hostFacts, load } from "./host.ts";
import type { LoaderRun } from "./loader-marks.ts";
import { LOADER_MEDIA } from "./loader-media.ts";
import { bunkRun, LOADER_MACHINES, runToPrompt, warmUp } from "./loader-runs.ts";
import { threadTimes } from "./process-figures.ts";
import {
  type LoaderRow,
  loadersTable,
  type SceneRow,
  type ScreenWindow,
  scenesTable,
  windowBetween,
} from "./screen-figures.ts";
import { SCENES, SCREEN_GUEST, ScreenGuest } from "./screen-guest.ts";
import { ScreenViewer } from "./screen-viewer.ts";

const PAGE = path.join(import.meta.dirname, "../docs/performance-screens.md");
/** Seconds after which a scene, or a viewer's first picture, is over with what is done once. */
const SETTLE = 2;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    only: { type: "string" },
    write: { type: "boolean", default: false },
  },
});
const SUBJECTS = ["loaders", "viewer"];
if (values.only !== undefined && !SUBJECTS.includes(values.only)) {
  throw new Error(`--only ${values.only}: the subjects are ${SUBJECTS.join(", ")}`);
}
if (values.write && values.only !== undefined) throw new Error("--write needs all subjects: leave --only out");
const rounds = Number(values.rounds);
const isAsked = (subject: string) => values.only === undefined || values.only === subject;
const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The machines take turns in each round. */
async function measureLoaders(directory: string): Promise<LoaderRow[]> {
  const rows: LoaderRow[] = [];
  for (const medium of LOADER_MEDIA) {
    const file = await medium.make(directory);
    const runs = new Map<string, LoaderRun[]>(LOADER_MACHINES.map((machine) => [machine, []]));
    const fromProcess: number[] = [];
    for (const machine of LOADER_MACHINES) await warmUp(machine, medium, file, directory);
    for (let round = 0; round < rounds; round++) {
      for (const machine of LOADER_MACHINES) {
        const run = await runToPrompt(machine, medium, file, directory);
        runs.get(machine)?.push(run);
        console.error(`${medium.name}, ${machine}: ${(run.seconds * 1000).toFixed(0)} ms`);
      }
      fromProcess.push(await bunkRun(medium, file));
    }
    for (const [machine, each] of runs) {
      rows.push({ medium: medium.name, machine, runs: each, fromProcess: machine === "ours" ? fromProcess : [] });
    }
  }
  return rows;
}

async function look(guest: ScreenGuest, viewer: ScreenViewer | undefined): Promise<ScreenWindow> {
  const [threads, counts, at] = [await threadTimes(guest.pid), viewer?.counts, performance.now()];
  await pause(Number(values.seconds));
  const seconds = (performance.now() - at) / 1000;
  const after = viewer?.counts;
  return {
    ...windowBetween(guest.pid, seconds, threads, await threadTimes(guest.pid)),
    updates: (after?.updates ?? 0) - (counts?.updates ?? 0),
    bytes: (after?.bytes ?? 0) - (counts?.bytes ?? 0),
  };
}

async function measureViewer(directory: string): Promise<SceneRow[]> {
  const socket = path.join(directory, "vnc.sock");
  const guest = await ScreenGuest.start(directory, socket);
  const rows: SceneRow[] = [];
  for (const scene of SCENES) {
    await guest.show(scene);
    await pause(SETTLE);
    const pairs: [ScreenWindow, ScreenWindow][] = [];
    for (let round = 0; round < rounds; round++) {
      const without = await look(guest, undefined);
      const viewer = await ScreenViewer.open(socket);
      if (viewer.size !== "1024x768") throw new Error(`the guest's screen has ${viewer.size} pixels`);
      await pause(SETTLE);
      const viewed = await look(guest, viewer);
      viewer.close();
      pairs.push([without, viewed]);
      const parts = [without, viewed].map(({ guestThread, otherThreads }) =>
        (100 * (guestThread + otherThreads)).toFixed(1),
      );
      console.error(
        `${scene.name}: ${parts.join(" and ")} % of a core, ${(viewed.updates / viewed.seconds).toFixed(1)} updates/s`,
      );
      await pause(SETTLE);
    }
    await guest.end(scene);
    rows.push({ scene: scene.name, isFast: scene.isFast, pairs });
  }
  await guest.kill();
  return rows;
}

async function describe(before: number): Promise<string> {
  const { date, commit, processor, cores, memoryGiB, system, node, v8, programs } = await hostFacts();
  const host = `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}`;
  return `Medians of ${rounds} rounds; ${date} UTC, commit ${commit ?? "unknown"}.
${host}; load ${before.toFixed(1)} before, ${load().toFixed(1)} after.
Node ${node} (V8 ${v8}); ${programs.filter((text) => text.startsWith("QEMU")).join()}.`;
}

const page = (facts: string, loaders: string, scenes: string, command: string) => `# Performance of screens

\`${command}\` has written this page.

${facts}

## To a boot loader's prompt

Milliseconds from the processor's first instruction to the screen that waits for somebody to choose: GRUB's menu (Debian's
grub-rescue-pc), ISOLINUX's \`boot:\`. "Host time" is the host's clock less the time that the thread which runs the guest
could have run but others did; waits for other threads are in it, so that on a loaded host the processor time of the
guest's thread says more, which is next to it, with that of all. Machines of ours find what an earlier one of some seconds
has kept (docs/starting.md). GRUB measures the time-stamp counter by the PIT for 55 ms on every machine. The screen is
looked at every 3 ms. No time goes by in a menu: the machine has one medium, with which the BIOS offers none (its wait for F12 is half a second where
there are several and somebody may be looking). "From process start" is \`bunk run\`, from the start of its process to the
prompt on its standard output, less waits. SeaBIOS and QEMU (TCG, one thread, told to begin by its monitor) wait for no key
either. Wanted of ours: under 300 ms.

${loaders}

## A viewer of 1024x768 pixels

Linux (${SCREEN_GUEST}) shows its console on a linear mode of 1024x768 pixels of 32 bits; a viewer (ZRLE, by a Unix socket)
asks for the next update as soon as it has one. Windows of ${values.seconds} s without a viewer and with one take turns in
the same machine; "more" is the median of their differences, in parts of one core. "Waited" is how much of the time the
guest's thread could have run but others did. Wanted: 30 updates a second where something changes all the time, and less
than 20 % of a core.

${scenes}
`;

const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-screens-"));
try {
  const before = load();
  const loaders = isAsked("loaders") ? loadersTable(await measureLoaders(directory)) : "";
  const scenes = isAsked("viewer") ? scenesTable(await measureViewer(directory)) : "";
  const facts = await describe(before);
  console.log([loaders, scenes, facts].filter((text) => text !== "").join("\n\n"));
  const command = ["node bench/screens.ts", ...process.argv.slice(2)].join(" ");
  if (values.write) await writeFile(PAGE, page(facts, loaders, scenes, command));
} finally {
  await rm(directory, { recursive: true });
}
process.exit(0);
