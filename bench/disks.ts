/**
 * Reads and writes of a disk in Linux, one after the other and past the guest's page cache: on our buses and on QEMU's,
 * with the same images, which the host has in its page cache. The machines of a bus run in turns, the others stopped;
 * each has run every workload for some time before the first is timed.
 *
 *     node bench/disks.ts [--seconds N] [--warmup N] [--rounds N] [--only NAME,...] [--write]
 *
 * Names are those of buses (virtio, nvme, ahci, scsi, ide), of formats (raw, qcow2) and of machines (ours, qemu); of
 * what is not named, all are measured, but of the buses the first three.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { DiskFigures, formatsTable, machinesTable, type Rates, WORKLOADS, type Workload } from "./disk-figures.ts";
import * as disks from "./disk-machines.ts";
import { GuestProcess } from "./guest-process.ts";
import { hostFacts, load } from "./host.ts";
import { BENCH_LINES } from "./program-lines.ts";
import { BOOT_TIMEOUT, PROMPT } from "./shell.ts";

const PAGE = path.join(import.meta.dirname, "../docs/performance-disks.md");
const MIB = 1024 * 1024;
/** Seconds of a tick, and those that a run may take longer than it should. */
const TICK = 0.01;
const STANDSTILL = 10;
/** How often a run in which a machine stood still is tried again. */
const TRIES = 2;
const DEFAULT_BUSES: readonly disks.Bus[] = ["virtio", "nvme", "ahci"];

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    warmup: { type: "string", default: "6" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    write: { type: "boolean", default: false },
  },
});

const names: readonly string[] = values.only?.split(",") ?? [];
const KNOWN: readonly string[] = [...disks.BUSES, ...disks.FORMATS, ...disks.WHOSE];
const unknown = names.find((name) => !KNOWN.includes(name));
if (unknown !== undefined) throw new Error(`--only ${unknown}: the names are ${KNOWN.join(", ")}`);
/** Those of `all` that were named; `otherwise` where none was. */
function chosen<T extends string>(all: readonly T[], otherwise = all): readonly T[] {
  const named = all.filter((name) => names.includes(name));
  return named.length > 0 ? named : otherwise;
}

/** Ticks of 10 ms that a process was on a processor, with all its threads. */
async function processorTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

interface Machine extends disks.DiskMachine {
  readonly guest: GuestProcess;
}

/**
 * Rates of one run; undefined where the machine stood still in it, as QEMU's NVMe controller does at times after its process
 * was stopped: Linux then waits half a minute for a request.
 */
async function measure(
  { guest, bus }: Machine,
  workload: Workload,
  seconds: number,
  checksum: string,
): Promise<Rates | undefined> {
  const { action, bytes, order } = workload;
  const place = `/dev/${disks.DEVICES[bus]} ${bytes} ${disks.IMAGE_MIB}`;
  guest.type(`${disks.PROGRAM} ${action} ${place} ${seconds * 1000} ${order}\n`);
  await guest.expect(BENCH_LINES.begin, BOOT_TIMEOUT);
  const ticks = await processorTicks(guest.pid);
  guest.type("\n");
  const { match } = await guest.expect(BENCH_LINES.end, BOOT_TIMEOUT);
  const { iterations, guestSeconds, outcome } = BENCH_LINES.parse(match);
  const used = ((await processorTicks(guest.pid)) - ticks) * TICK;
  await guest.expect(PROMPT, BOOT_TIMEOUT);
  if (!outcome.includes(`checksum=${checksum}`)) throw new Error(`the guest read something else: ${outcome}`);
  if (guestSeconds > seconds + STANDSTILL) return undefined;
  const amount = iterations * (order === "sequential" ? bytes / MIB : 1);
  return { clock: amount / guestSeconds, processor: amount / Math.max(used, TICK) };
}

/** Starts the machines of a bus, one after the other, and stops each when it is warm. */
async function start(bus: disks.Bus, files: disks.Files): Promise<Machine[]> {
  const machines: Machine[] = [];
  for (const format of chosen(disks.FORMATS)) {
    for (const whose of chosen(disks.WHOSE)) {
      const machine = { whose, bus, format };
      const guest = new GuestProcess(await disks.commandOf(machine, files));
      await guest.expect(PROMPT, BOOT_TIMEOUT);
      machines.push({ ...machine, guest });
      for (const workload of WORKLOADS) {
        await measure({ ...machine, guest }, workload, Number(values.warmup), files.checksum);
      }
      guest.pause(true);
    }
  }
  return machines;
}

async function measureBus(bus: disks.Bus, files: disks.Files, figures: DiskFigures): Promise<void> {
  const machines = await start(bus, files);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const workload of WORKLOADS) {
      for (const machine of machines) {
        const { whose, format, guest } = machine;
        const what = `${bus} ${format} ${whose}, ${workload.name}`;
        let rates: Rates | undefined;
        for (let tries = 0; rates === undefined && tries < TRIES; tries++) {
          if (tries > 0) console.error(`${what}: stood still, not counted`);
          guest.pause(false);
          rates = await measure(machine, workload, Number(values.seconds), files.checksum);
          guest.pause(true);
        }
        figures.add(bus, workload.name, whose, format, rates);
        if (rates === undefined) continue;
        const [clock, processor] = [rates.clock.toFixed(0), rates.processor.toFixed(0)];
        console.error(`${what}: ${clock} ${workload.unit}, ${processor} a second of processor time`);
      }
    }
  }
  for (const { guest } of machines) await guest.kill();
}

async function describe(before: number): Promise<string> {
  const { date, commit, processor, cores, memoryGiB, system, node, v8, programs } = await hostFacts();
  const host = `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}`;
  return `Medians of ${values.rounds} rounds, ${values.seconds} s each, after ${values.warmup} s of each workload; ${date} UTC, commit ${commit ?? "unknown"}.
${host}; load ${before.toFixed(1)} before, ${load().toFixed(1)} after.
Node ${node} (V8 ${v8}); ${programs.filter((text) => text.startsWith("QEMU")).join()}.`;
}

const page = (facts: string, tables: readonly string[], command: string) => `# Performance of disks

\`${command}\` has written this page. A program in Linux (${disks.GUEST}) reads or writes a disk of ${disks.IMAGE_MIB} MiB that
the host has in its page cache: with O_DIRECT, one request at a time, without flushes. Bunkhouse and QEMU's translator (TCG,
one thread, its default cache mode) run the same guest in turns. A ratio is the median of the rounds' ratios, once by the
guest's clock and once by processor time of all the machine's threads, which load on the host changes less.

${facts}

## Bunkhouse and QEMU

${tables[0]}

## qcow2 and raw

Rates on a qcow2 image whose clusters are all in use, in parts of those on a raw one.

${tables[1]}
`;

const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-disks-"));
try {
  const before = load();
  const files = await disks.prepare(directory);
  const figures = new DiskFigures();
  const buses = chosen(disks.BUSES, DEFAULT_BUSES);
  for (const bus of buses) await measureBus(bus, files, figures);
  const tables = [machinesTable(figures, buses), formatsTable(figures, buses)];
  const facts = await describe(before);
  console.log([...tables, facts].join("\n\n"));
  const command = ["node bench/disks.ts", ...process.argv.slice(2)].join(" ");
  if (values.write) await writeFile(PAGE, page(facts, tables, command));
} finally {
  await rm(directory, { recursive: true });
}
process.exit(0);
