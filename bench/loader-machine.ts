/**
 * One machine of ours that boots a medium, in a process of its own: tells on standard output when its first instruction
 * runs and when the screen shows the prompt, and ends.
 *
 *     node bench/loader-machine.ts cd|disk|floppy FILE PROMPT MEBIBYTES SECONDS [FIRMWARE]
 *
 * SECONDS is how long it goes on at the prompt. The screen is looked at between slices of guest time, every 3 ms. Its one medium is not asked for by a menu.
 */
import process from "node:process";
import { MIB } from "../src/bits/units.ts";
import { Machine } from "../src/vm/machine.ts";
import { openCdroms, openDisks } from "../src/vm/node/disks.ts";
import { openFirmware } from "../src/vm/node/firmware.ts";
import { openFloppies } from "../src/vm/node/floppies.ts";
import { nodeHost } from "../src/vm/node/host.ts";
import { PROMPT_MARK, START_MARK } from "./loader-marks.ts";
import { threadTimes } from "./process-figures.ts";

const LOOK_EVERY = 3;

const [drive, file = "", prompt = "", mebibytes = "", seconds = "", firmwareFile] = process.argv.slice(2);
const medium = { file, readOnly: true, snapshot: false };
const cdroms = await openCdroms(drive === "cd" ? [{ file }] : []);
const disks = await openDisks(drive === "disk" ? [medium] : []);
const floppies = await openFloppies(drive === "floppy" ? [{ disk: medium }] : []);
const firmware = firmwareFile === undefined ? undefined : await openFirmware({ image: firmwareFile });

const machine = await Machine.create(
  {
    memory: Number(mebibytes) * MIB,
    cpu: "max",
    clock: "real",
    bios: {},
    ...(firmware ? { firmware: firmware.definition } : {}),
    disks: disks.devices,
    cdroms,
    floppies: floppies.drives,
    serial: { write: () => {} },
    debugExit: false,
    noReboot: true,
  },
  nodeHost(),
);
const pattern = new RegExp(prompt, "m");

async function mark(name: string): Promise<void> {
  const at = performance.now();
  const threads = [...(await threadTimes(process.pid))].map(([thread, { ran, waited }]) => [thread, ran, waited]);
  console.log(`${name} ${JSON.stringify({ at: at / 1000, instructions: machine.instructions, threads })}`);
}

async function look(): Promise<void> {
  const rows = machine.display?.text() ?? [];
  if (!pattern.test(rows.join("\n"))) {
    setTimeout(() => void look(), LOOK_EVERY);
    return;
  }
  await mark(PROMPT_MARK);
  setTimeout(() => process.exit(0), Number(seconds) * 1000);
}

await mark(START_MARK);
setTimeout(() => void look(), LOOK_EVERY);
const end = await machine.run();
console.error(`the machine ended before its prompt: ${end.kind}`);
process.exit(1);
