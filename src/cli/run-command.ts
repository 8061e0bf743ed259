/** `bunk run`: makes the guest ready, builds its machine, and stays with it to the end. */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import process from "node:process";
import type { Writable } from "node:stream";
import { MIB } from "../bits/units.ts";
import { BlockError } from "../disk/block-device.ts";
import { hostError } from "../disk/node/host-error.ts";
import { type BootKind, DEFAULT_ORDER } from "../firmware/bios/boot-order.ts";
import type { DriveKind } from "../firmware/bios/disk/drive.ts";
import { BootError } from "../firmware/boot-error.ts";
import type { PreparedGuest } from "../hypervisor/catalogue/debian-guest.ts";
import { CatalogueError } from "../hypervisor/catalogue/failure.ts";
import type { Host, KernelDefinition, MachineDefinition, MachineEnd, NicDefinition } from "../vm/definition.ts";
import { Machine } from "../vm/machine.ts";
import { type CdromOptions, type DiskOptions, openCdroms } from "../vm/node/disks.ts";
import type { OpenFirmware } from "../vm/node/firmware.ts";
import { type FloppyOptions, openFloppies } from "../vm/node/floppies.ts";
import type { GdbServer } from "../vm/node/gdb-server.ts";
import { nodeHost } from "../vm/node/host.ts";
import { startTranslationThread } from "../vm/node/translation-thread.ts";
import { readBootFile } from "./boot-files.ts";
import { requireBootable, roleOfFile } from "./boot-medium.ts";
import type { ConsoleOutput } from "./console-output.ts";
import { nameAfter } from "./control/runtime-directory.ts";
import { inspectDisk, openDiskFiles } from "./disk-files.ts";
import { parseDisk } from "./disk-option.ts";
import { defaultDisplays, hasDesktop } from "./display-option.ts";
import { ExitStatus, statusOfEnd, statusOfSignal } from "./exit-status.ts";
import { CliError, fileError, usageError } from "./failure.ts";
import { formatMemory } from "./memory-size.ts";
import type { ConsoleTarget, RunOptions } from "./run-options.ts";
import { runSession, type SessionEnd } from "./session.ts";
import { withSignals } from "./signals.ts";
import type { ToolOutputs } from "./tool-outputs.ts";
import { Viewers } from "./viewers.ts";

const MEMORY = 512 * MIB;
const LARGE_KERNEL = 1 * MIB;
/** What makes Linux talk to the first serial port. */
const COMMAND_LINE = "console=ttyS0";

/** What to start, with every file known. */
interface Plan {
  /** Undefined where firmware finds one. */
  readonly kernel:
    | { readonly file: string; readonly initrd: string | undefined; readonly commandLine: string }
    | undefined;
  /** Bytes. */
  readonly memory: number;
  readonly disks: readonly DiskOptions[];
  readonly cdroms: readonly CdromOptions[];
  readonly floppies: readonly FloppyOptions[];
  /** The medium that the user named first, which is to be booted. */
  readonly named?: { readonly kind: DriveKind; readonly file: string };
}

/** Runs a machine; returns the exit status. Rejects with an error for `describeFailure`. */
export async function runCommand(options: RunOptions): Promise<number> {
  const plan = await withSignals(process, (signal) => makePlan(options, signal));
  const kernel = plan.kernel && (await readKernel(plan.kernel, plan.memory, options));
  const output = await openOutput(options.console);
  const nics = options.nics.length > 0 ? await (await import("../vm/node/nics.ts")).openNics(options.nics) : [];
  const cdroms = await openCdroms(plan.cdroms);
  const disks = await openDiskFiles(plan.disks);
  const floppies = await openFloppies(plan.floppies).catch(async (error: unknown) => {
    await disks.close();
    throw error;
  });
  let end: SessionEnd | undefined;
  let gdb: GdbServer | undefined;
  let viewers: Viewers | undefined;
  let firmware: OpenFirmware | undefined;
  let machine: Machine | undefined;
  let tools: ToolOutputs | undefined;
  try {
    if (Object.values(options.tools).some((asked) => asked !== undefined)) {
      tools = await (await import("./tool-outputs.ts")).ToolOutputs.open(options.tools);
    }
    // Kernels that are started directly are told to use the serial console.
    viewers = await openViewers(options, plan.kernel === undefined);
    if (options.firmware) {
      const { openFirmware } = await import("../vm/node/firmware.ts");
      firmware = await openFirmware(options.firmware);
    }
    gdb = options.gdb && (await waitForGdb(options.gdb));
    const medium =
      plan.named &&
      { cd: cdroms[0]?.medium, disk: disks.devices[0]?.device, floppy: floppies.drives[0]?.device }[plan.named.kind];
    // Firmware may boot what a BIOS does not.
    if (plan.named && medium && !options.firmware) await requireBootable(plan.named.file, plan.named.kind, medium);
    const definition = {
      memory: plan.memory,
      cpu: options.cpu,
      clock: options.clock,
      ...(kernel ? { kernel } : {}),
      ...(firmware ? { firmware: firmware.definition } : {}),
      bios: {
        order: options.bootOrder ?? bootOrder(plan.named?.kind, nics),
        // Where somebody may be looking.
        menu: options.bootMenu || ((viewers.showsScreen || process.stdin.isTTY) && ("offered" as const)),
        serialScreen: options.serialScreen && options.console.kind !== "none" && !viewers.showsScreen,
        keepTrying: viewers.showsScreen,
      },
      disks: disks.devices,
      cdroms,
      floppies: floppies.drives,
      nics,
      pointer: options.pointer,
      debugExit: options.debugExit,
      noReboot: options.noReboot,
      check: options.check,
      ...(tools?.definition ? { tools: tools.definition } : {}),
      // Also one that nobody looks at: bunk screenshot does.
      ...(options.displays !== undefined || viewers.showsScreen ? { display: true } : {}),
    };
    end = await runSession(
      async (serial, pace) => {
        const complete = { ...definition, serial: viewers?.tap(serial ?? NOWHERE) ?? NOWHERE };
        const source = options.firmware?.image ?? plan.kernel?.file ?? "";
        const started = await createMachine(complete, pace(nodeHost()), source);
        machine = started;
        tools?.start(started);
        await viewers?.attach(started, { changeFloppy: (drive, disk) => floppies.change(started, drive, disk) });
        gdb?.attach(started);
        if (options.gdb?.wait) started.pause();
        return started;
      },
      {
        input: options.console.kind === "stdio" ? process.stdin : undefined,
        output,
        messages: process.stderr,
        process,
      },
    );
  } finally {
    viewers?.close();
    await gdb?.close(end && machineEnd(end));
    await closeFiles(floppies, disks, firmware);
    for (const { medium } of cdroms) await medium?.close();
    await tools?.finish(machine);
  }
  return report(end);
}

/** The usual order, but for the kind of the medium that the user named; a network that has something to boot comes last. */
function bootOrder(named: DriveKind | undefined, nics: readonly NicDefinition[]): readonly BootKind[] {
  const drives = named === undefined ? DEFAULT_ORDER : [named, ...DEFAULT_ORDER.filter((kind) => kind !== named)];
  return nics[0]?.network.bootFile === undefined ? drives : [...drives, "net"];
}

const warn = (line: string): void => {
  process.stderr.write(`bunk: ${line}\n`);
};

const NOWHERE: Pick<ConsoleOutput, "write"> = { write: () => {} };

async function makePlan(options: RunOptions, signal: AbortSignal): Promise<Plan> {
  const { source, diskBus } = options;
  const onBus = (disk: DiskOptions): DiskOptions => ({ bus: diskBus, ...disk });
  // First, so that a wrong disk is told before a guest is built.
  const disks = (await Promise.all(options.disks.map((disk) => inspectDisk(disk, warn)))).map(onBus);
  const cdroms = options.cdroms.map(({ file, bus }) => (bus === undefined ? { file } : { file, bus }));
  const media = { disks, cdroms, floppies: options.floppies };
  const memory = options.memory ?? MEMORY;
  if (source.kind === "media") return { kernel: undefined, memory, ...media };
  if (source.kind === "files") {
    const { kernel: file, initrd, append: commandLine = COMMAND_LINE } = source;
    return { kernel: { file, initrd, commandLine }, memory, ...media };
  }
  if (source.kind === "file") return planFile(source, { kernel: undefined, memory, ...media }, onBus);
  const guest = await makeReady(source.name, signal).catch(async (error: unknown) => {
    const unknown = error instanceof CatalogueError && error.failure.kind === "guest-unknown";
    const found = unknown ? await stat(source.name).catch(() => undefined) : undefined;
    if (found?.isDirectory()) throw fileError(`${source.name} is a directory; name a file, or a guest (bunk list)`);
    if (!found?.isFile()) throw error;
    return undefined;
  });
  if (guest === undefined) {
    const file = { kind: "file" as const, file: source.name, initrd: undefined, append: source.append };
    return planFile(file, { kernel: undefined, memory, ...media }, onBus);
  }
  const own = guest.disk === undefined ? [] : [onBus({ file: guest.disk, readOnly: false, snapshot: true })];
  return {
    kernel: {
      file: guest.kernel,
      initrd: guest.initrd,
      commandLine: source.append === undefined ? guest.append : `${guest.append} ${source.append}`,
    },
    memory: options.memory ?? guest.memoryMiB * MIB,
    ...media,
    disks: [...own, ...disks],
  };
}

/** A file by itself: a kernel, or a medium, which goes before the others of its kind. */
async function planFile(
  source: Extract<RunOptions["source"], { kind: "file" }>,
  plan: Plan,
  onBus: (disk: DiskOptions) => DiskOptions,
): Promise<Plan> {
  const { file, initrd, append } = source;
  const role = await roleOfFile(file);
  if (role === "kernel") return { ...plan, kernel: { file, initrd, commandLine: append ?? COMMAND_LINE } };
  if (initrd !== undefined || append !== undefined) {
    throw usageError(`--initrd and --append go with a kernel; ${file} is a medium, whose boot loader decides`);
  }
  const named = { kind: role, file };
  switch (role) {
    case "cd":
      return { ...plan, cdroms: [{ file }, ...plan.cdroms], named };
    case "floppy":
      return { ...plan, floppies: [{ disk: { file, readOnly: false, snapshot: false } }, ...plan.floppies], named };
    case "disk": {
      const disk = onBus(await inspectDisk(parseDisk(file.replaceAll(",", ",,")), warn));
      return { ...plan, disks: [disk, ...plan.disks], named };
    }
  }
}

async function readKernel(
  { file, initrd, commandLine }: NonNullable<Plan["kernel"]>,
  memory: number,
  { entry, clock }: Pick<RunOptions, "entry" | "clock">,
): Promise<KernelDefinition> {
  // A large kernel takes a while to be read and unpacked, in which the thread that translates loads its code.
  if (clock === "real" && ((await stat(file).catch(() => undefined))?.size ?? 0) >= LARGE_KERNEL)
    startTranslationThread();
  const image = await readBootFile(file, memory);
  const disk = initrd === undefined ? {} : { initrd: await readBootFile(initrd, memory) };
  return { image, commandLine, entry, ...disk };
}

async function makeReady(name: string, signal: AbortSignal): Promise<PreparedGuest> {
  const { progressOn } = await import("../hypervisor/catalogue/progress.ts");
  const { prepareGuest } = await import("../hypervisor/catalogue/debian-guest.ts");
  const progress = progressOn(process.stderr);
  try {
    return await prepareGuest(name, { progress, signal });
  } finally {
    // Otherwise a failure's message would go on in the line of the step that failed.
    progress.finish();
  }
}

/** Listens for who wants to see the machine, or to control it. */
function openViewers({ displays, name, source }: RunOptions, startsOnScreen: boolean): Promise<Viewers> {
  const isTerminal = process.stdin.isTTY === true;
  return Viewers.open({
    displays: displays ?? defaultDisplays({ startsOnScreen, environment: process.env, isTerminal }),
    name: name ?? nameAfter(nameOf(source)),
    isNamed: name !== undefined,
    messages: process.stderr,
    opensBrowser: isTerminal && hasDesktop(process.env),
  });
}

function nameOf(source: RunOptions["source"]): string {
  switch (source.kind) {
    case "catalogue":
      return source.name;
    case "files":
      return source.kernel;
    case "file":
      return source.file;
    case "media":
      return "machine";
  }
}

/** Listens for a debugger, and says where. */
async function waitForGdb(address: NonNullable<RunOptions["gdb"]>): Promise<GdbServer> {
  const { GdbServer, GdbServerError } = await import("../vm/node/gdb-server.ts");
  try {
    const gdb = await GdbServer.listen(address);
    const waiting = address.wait ? "the guest waits for gdb" : "gdb can connect";
    process.stderr.write(`bunk: ${waiting}: target remote ${gdb.address}\n`);
    return gdb;
  } catch (error) {
    if (error instanceof GdbServerError) throw new CliError(ExitStatus.unavailable, error.message);
    throw error;
  }
}

/** The stream for the guest's output; undefined where it is dropped. */
async function openOutput(target: ConsoleTarget): Promise<Writable | undefined> {
  if (target.kind === "none") return undefined;
  if (target.kind === "stdio") return process.stdout;
  const stream = createWriteStream(target.file);
  try {
    await once(stream, "open");
    return stream;
  } catch (error) {
    throw fileError(hostError(`write the console's output to ${target.file}`, error).message);
  }
}

async function createMachine(definition: MachineDefinition, host: Host, file: string): Promise<Machine> {
  try {
    return await Machine.create(definition, host);
  } catch (error) {
    if (error instanceof BootError) throw new BootError(error.kind, `${file}: ${error.message}`);
    // What WebAssembly.Memory throws.
    if (!(error instanceof RangeError) || !/allocate memory/.test(error.message)) throw error;
    const memory = formatMemory(definition.memory);
    throw new CliError(ExitStatus.unavailable, `the host has no ${memory} of memory to give; use a smaller --memory`);
  }
}

/** What a disk, or firmware's variables, still held may be lost when it cannot be closed. */
async function closeFiles(...files: ({ close(): Promise<void> } | undefined)[]): Promise<void> {
  try {
    for (const file of files) await file?.close();
  } catch (error) {
    if (error instanceof BlockError) throw new CliError(ExitStatus.hostFailure, error.message);
    throw error;
  }
}

/** The machine's part of an end. */
function machineEnd(end: SessionEnd): MachineEnd {
  return end.kind === "signal" || end.kind === "output-failed" ? { kind: "stopped" } : end;
}

/** Says how the machine ended, where that is worth a line. */
function report(end: SessionEnd): number {
  const tell = (text: string) => process.stderr.write(`bunk: ${text}\n`);
  switch (end.kind) {
    case "signal":
      return statusOfSignal(end.signal);
    case "stopped":
      // The guest's last line ends somewhere on the terminal.
      if (process.stdout.isTTY) process.stderr.write("\n");
      return statusOfEnd(end);
    case "output-failed":
      tell(`the machine was stopped, since its output has nowhere to go (${hostError("write", end.error).message})`);
      return ExitStatus.hostFailure;
    case "crash":
      tell(`the guest crashed, ${end.report}`);
      return statusOfEnd(end);
    case "difference":
      tell(end.report);
      return statusOfEnd(end);
    case "not-bootable":
      // The screen's last line may end anywhere on the terminal.
      if (process.stdout.isTTY) process.stderr.write("\n");
      tell(`nothing to boot: ${end.reasons.join("; ")}`);
      return statusOfEnd(end);
    case "reset":
      tell(`the guest asked for a reset (${end.cause})`);
      return statusOfEnd(end);
    default:
      return statusOfEnd(end);
  }
}
