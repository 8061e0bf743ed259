/** `bunk run`: makes the guest ready, builds its machine, and stays with it to the end. */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import process from "node:process";
import type { Writable } from "node:stream";
import { MIB } from "../bits/units.ts";
import { BlockError } from "../disk/block-device.ts";
import { hostError } from "../disk/node/host-error.ts";
import { BootError } from "../firmware/boot-error.ts";
import { type PreparedGuest, prepareGuest } from "../hypervisor/catalogue/debian-guest.ts";
import { progressOn } from "../hypervisor/catalogue/progress.ts";
import type { MachineDefinition, MachineEnd } from "../vm/definition.ts";
import { Machine } from "../vm/machine.ts";
import type { DiskOptions } from "../vm/node/disks.ts";
import { GdbServer, GdbServerError } from "../vm/node/gdb-server.ts";
import { nodeHost } from "../vm/node/host.ts";
import { readBootFile } from "./boot-files.ts";
import type { ConsoleOutput } from "./console-output.ts";
import { nameAfter } from "./control/runtime-directory.ts";
import { inspectDisk, openDiskFiles } from "./disk-files.ts";
import { type DisplayOption, defaultDisplays, hasDesktop } from "./display-option.ts";
import { ExitStatus, statusOfEnd, statusOfSignal } from "./exit-status.ts";
import { CliError, fileError } from "./failure.ts";
import { formatMemory } from "./memory-size.ts";
import type { ConsoleTarget, RunOptions } from "./run-options.ts";
import { runSession, type SessionEnd } from "./session.ts";
import { withSignals } from "./signals.ts";
import { Viewers } from "./viewers.ts";

const MEMORY = 512 * MIB;
/** What makes Linux talk to the first serial port. */
const COMMAND_LINE = "console=ttyS0";

/** What to start, with every file known. */
interface Plan {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly commandLine: string;
  /** Bytes. */
  readonly memory: number;
  readonly disks: readonly DiskOptions[];
}

/** Runs a machine; returns the exit status. Rejects with an error for `describeFailure`. */
export async function runCommand(options: RunOptions): Promise<number> {
  const plan = await withSignals(process, (signal) => makePlan(options, signal));
  const image = await readBootFile(plan.kernel, plan.memory);
  const initrd = plan.initrd === undefined ? undefined : await readBootFile(plan.initrd, plan.memory);
  const output = await openOutput(options.console);
  const disks = await openDiskFiles(plan.disks);
  let end: SessionEnd | undefined;
  let gdb: GdbServer | undefined;
  let viewers: Viewers | undefined;
  try {
    viewers = await openViewers(options);
    gdb = options.gdb && (await waitForGdb(options.gdb));
    const definition = {
      memory: plan.memory,
      cpu: options.cpu,
      clock: options.clock,
      kernel: { image, commandLine: plan.commandLine, entry: options.entry, ...(initrd ? { initrd } : {}) },
      disks: disks.devices,
      debugExit: options.debugExit,
      noReboot: options.noReboot,
      check: options.check,
    };
    end = await runSession(
      (serial, pace) => {
        const complete = { ...definition, serial: viewers?.tap(serial ?? NOWHERE) ?? NOWHERE };
        const machine = createMachine(complete, pace(nodeHost()), plan.kernel);
        viewers?.attach(machine);
        gdb?.attach(machine);
        if (options.gdb?.wait) machine.pause();
        return machine;
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
    await closeDisks(disks);
  }
  return report(end);
}

const NOWHERE: Pick<ConsoleOutput, "write"> = { write: () => {} };

async function makePlan(options: RunOptions, signal: AbortSignal): Promise<Plan> {
  const { source } = options;
  // First, so that a wrong disk is told before a guest is built.
  const disks = await Promise.all(options.disks.map(inspectDisk));
  if (source.kind === "files") {
    return {
      kernel: source.kernel,
      initrd: source.initrd,
      commandLine: source.append ?? COMMAND_LINE,
      memory: options.memory ?? MEMORY,
      disks,
    };
  }
  const guest = await makeReady(source.name, signal);
  const own = guest.disk === undefined ? [] : [{ file: guest.disk, readOnly: false, snapshot: true }];
  return {
    kernel: guest.kernel,
    initrd: guest.initrd,
    commandLine: source.append === undefined ? guest.append : `${guest.append} ${source.append}`,
    memory: options.memory ?? guest.memoryMiB * MIB,
    disks: [...own, ...disks],
  };
}

async function makeReady(name: string, signal: AbortSignal): Promise<PreparedGuest> {
  const progress = progressOn(process.stderr);
  try {
    return await prepareGuest(name, { progress, signal });
  } finally {
    // Otherwise a failure's message would go on in the line of the step that failed.
    progress.finish();
  }
}

/** Listens for who wants to see the machine, or to control it. */
function openViewers({ displays, name, source }: RunOptions): Promise<Viewers> {
  const isTerminal = process.stdin.isTTY === true;
  const shown: readonly DisplayOption[] =
    displays ?? defaultDisplays({ startsOnScreen: startsOnScreen(source), environment: process.env, isTerminal });
  return Viewers.open({
    displays: shown,
    name: name ?? nameAfter(source.kind === "catalogue" ? source.name : source.kernel),
    isNamed: name !== undefined,
    messages: process.stderr,
    opensBrowser: isTerminal && hasDesktop(process.env),
  });
}

/** Kernels that are started directly are told to use the serial console. */
function startsOnScreen(source: RunOptions["source"]): boolean {
  return source.kind !== "catalogue" && source.kind !== "files";
}

/** Listens for a debugger, and says where. */
async function waitForGdb(address: NonNullable<RunOptions["gdb"]>): Promise<GdbServer> {
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

function createMachine(definition: MachineDefinition, host: ReturnType<typeof nodeHost>, kernel: string): Machine {
  try {
    return Machine.create(definition, host);
  } catch (error) {
    if (error instanceof BootError) throw new BootError(error.kind, `${kernel}: ${error.message}`);
    // What WebAssembly.Memory throws.
    if (!(error instanceof RangeError) || !/allocate memory/.test(error.message)) throw error;
    const memory = formatMemory(definition.memory);
    throw new CliError(ExitStatus.unavailable, `the host has no ${memory} of memory to give; use a smaller --memory`);
  }
}

/** What a disk still held may be lost when it cannot be closed. */
async function closeDisks(disks: { close(): Promise<void> }): Promise<void> {
  try {
    await disks.close();
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
    case "reset":
      tell(`the guest asked for a reset (${end.cause})`);
      return statusOfEnd(end);
    default:
      return statusOfEnd(end);
  }
}
