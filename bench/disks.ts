/**
 * Reads of a disk in Linux, one after the other and past the guest's page cache: on our buses and on QEMU's, with one
 * image that the host has in its page cache.
 *
 *     node bench/disks.ts [--seconds N] [--rounds N] [--only ours-ahci,qemu-ahci,...]
 */
import { randomFillSync } from "node:crypto";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { MIB } from "../src/bits/units.ts";
import { joinArchives, writeCpio } from "../src/hypervisor/catalogue/cpio.ts";
import { prepareGuest } from "../src/hypervisor/catalogue/debian-guest.ts";
import { type Command, GuestProcess } from "./guest-process.ts";
import { compileSource } from "./guest-programs.ts";
import { QEMU } from "./machines.ts";
import { BENCH_LINES } from "./program-lines.ts";
import { BOOT_TIMEOUT, PROMPT } from "./shell.ts";

/** The kernel has drivers of all the buses. */
const GUEST = "debian-686-pae";
const IMAGE_MIB = 256;
const MEMORY_MIB = 256;
const BUNK = path.join(import.meta.dirname, "../bin/bunk.mjs");

const WORKLOADS = [
  { name: "1 MiB sequential", bytes: MIB, order: "sequential", unit: "MiB/s" },
  { name: "4 KiB random", bytes: 4096, order: "random", unit: "reads/s" },
] as const;
type Workload = (typeof WORKLOADS)[number];

interface Files {
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly image: string;
}

interface Figures {
  readonly rate: number;
  /** A second of processor time: what a busy host leaves unchanged. */
  readonly rateOfCpu: number;
}

const DEVICES = { virtio: "vda", ide: "sda", ahci: "sda", nvme: "nvme0n1", scsi: "sda" } as const;
type Bus = keyof typeof DEVICES;
const QEMU_DEVICES: Readonly<Record<Bus, readonly string[]>> = {
  virtio: ["-device", "virtio-blk-pci,drive=d"],
  ide: ["-device", "ide-hd,drive=d,bus=ide.0"],
  ahci: ["-device", "ich9-ahci,id=ahci", "-device", "ide-hd,drive=d,bus=ahci.0"],
  nvme: ["-device", "nvme,drive=d,serial=bench"],
  scsi: ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d"],
};

const machines: { name: string; bus: Bus; command(files: Files): Command }[] = (
  ["virtio", "nvme", "scsi", "ahci", "ide"] as const
).flatMap((bus) => [
  {
    name: `ours-${bus}`,
    bus,
    command: ({ kernel, initrd, append, image }: Files) => ({
      program: process.execPath,
      args: [
        ...[BUNK, "run", "--kernel", kernel, "--initrd", initrd, "--append", append],
        ...["--memory", `${MEMORY_MIB}M`, "--disk", `${image},bus=${bus},format=raw,readonly=off`],
      ],
    }),
  },
  {
    name: `qemu-${bus}`,
    bus,
    command: ({ kernel, initrd, append, image }: Files) => ({
      program: QEMU,
      args: [
        ...["-accel", "tcg", "-cpu", "max", "-m", String(MEMORY_MIB), "-nographic", "-monitor", "none", "-nic", "none"],
        ...["-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", append],
        ...["-drive", `file=${image},format=raw,if=none,id=d`, ...QEMU_DEVICES[bus]],
      ],
    }),
  },
]);

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
  },
});
const chosen = machines.filter(({ name }) => values.only?.split(",").includes(name) ?? true);

/** Ticks of 10 ms that a process was on a processor, with all its threads. */
async function processorTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Operations or MiB a second of a run: by the guest's clock, and of the machine's processor time. */
async function measure(guest: GuestProcess, bus: Bus, { bytes, order, unit }: Workload): Promise<Figures> {
  const milliseconds = Number(values.seconds) * 1000;
  guest.type(`/bench/disk-read /dev/${DEVICES[bus]} ${bytes} ${IMAGE_MIB} ${milliseconds} ${order}\n`);
  await guest.expect(BENCH_LINES.begin, BOOT_TIMEOUT);
  const ticks = await processorTicks(guest.pid);
  guest.type("\n");
  const { match } = await guest.expect(BENCH_LINES.end, BOOT_TIMEOUT);
  const { iterations, guestSeconds } = BENCH_LINES.parse(match);
  const used = ((await processorTicks(guest.pid)) - ticks) / 100;
  await guest.expect(PROMPT, BOOT_TIMEOUT);
  const amount = iterations * (unit === "MiB/s" ? bytes / MIB : 1);
  return { rate: amount / guestSeconds, rateOfCpu: amount / used };
}

async function prepare(directory: string): Promise<Files> {
  const { kernel, initrd, append } = await prepareGuest(GUEST);
  const program = path.join(directory, "disk-read");
  await compileSource("disk-read", 32, program);
  const added = writeCpio([
    { kind: "file", path: "/bench/disk-read", permissions: 0o755, content: await readFile(program) },
  ]);
  const ownInitrd = path.join(directory, "initrd");
  await writeFile(ownInitrd, joinArchives([await readFile(initrd), added]));
  const image = path.join(directory, "disk.raw");
  const file = await open(image, "w");
  for (let i = 0; i < IMAGE_MIB; i++) await file.write(randomFillSync(new Uint8Array(MIB)));
  await file.close();
  return { kernel, initrd: ownInitrd, append, image };
}

const median = (all: readonly Figures[], which: keyof Figures) => middle(all.map((figures) => figures[which]));
const middle = (figures: readonly number[]) => figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? 0;

const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-disks-"));
try {
  const files = await prepare(directory);
  const results = new Map<string, Figures[]>();
  for (const { name, bus, command } of chosen) {
    const guest = new GuestProcess(command(files));
    await guest.expect(PROMPT, BOOT_TIMEOUT);
    for (const workload of WORKLOADS) {
      const figures: Figures[] = [];
      for (let round = 0; round < Number(values.rounds); round++) figures.push(await measure(guest, bus, workload));
      results.set(`${name} ${workload.name}`, figures);
      const all = figures.map(({ rate }) => rate.toFixed(0)).join(" ");
      const [rate, ofCpu] = [median(figures, "rate"), median(figures, "rateOfCpu")].map((figure) => figure.toFixed(0));
      console.log(
        `${name.padEnd(12)} ${workload.name}: ${rate} ${workload.unit} (${all}), ${ofCpu} a second of processor time`,
      );
    }
    await guest.kill();
  }
  for (const { name: workload } of WORKLOADS) {
    for (const bus of Object.keys(DEVICES)) {
      const [ours, qemu] = ["ours", "qemu"].map((whose) => results.get(`${whose}-${bus} ${workload}`));
      if (ours === undefined || qemu === undefined) continue;
      const [rate, ofCpu] = (["rate", "rateOfCpu"] as const).map((which) =>
        (median(ours, which) / median(qemu, which)).toFixed(2),
      );
      console.log(`${bus} ${workload}: ${rate} of QEMU's, ${ofCpu} by processor time`);
    }
  }
} finally {
  await rm(directory, { recursive: true });
}
process.exit(0);
