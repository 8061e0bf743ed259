/** Reads the command line. It has no effects: what is to be done, or printed, is returned. */
import { Command, CommanderError, Option } from "commander";
import type { BootKind } from "../firmware/bios/boot-order.ts";
import { CPU_MODELS, type CpuModel, POINTER_KINDS, type PointerKind } from "../vm/definition.ts";
import { DISK_BUSES, type DiskBus } from "../vm/drive-places.ts";
import type { FloppyOptions } from "../vm/node/floppies.ts";
import type { GdbAddress } from "../vm/node/gdb-server.ts";
import type { NicOptions } from "../vm/node/nics.ts";
import { parseBootOrder } from "./boot-option.ts";
import { type CdromOption, parseCdrom } from "./cdrom-option.ts";
import type { ControlInvocation } from "./control/control-commands.ts";
import { describeControl } from "./control/describe-control.ts";
import { isMachineName } from "./control/runtime-directory.ts";
import { describeDisk } from "./disk/describe-disk.ts";
import type { DiskInvocation } from "./disk/disk-invocation.ts";
import { type DiskOption, parseDisk } from "./disk-option.ts";
import { type DisplayOption, parseDisplay } from "./display-option.ts";
import { usageError } from "./failure.ts";
import { MOST_FLOPPIES, parseFloppy } from "./floppy-option.ts";
import { parseGdb } from "./gdb-option.ts";
import { CACHE_HELP, LIST_HELP, MAIN_HELP, RUN_HELP } from "./help-text.ts";
import { parseMemory } from "./memory-size.ts";
import { parseNic } from "./nic-option.ts";
import {
  CLOCKS,
  type ConsoleTarget,
  ENTRIES,
  type FirmwareOption,
  type GuestSource,
  type RunOptions,
  type ToolOptions,
} from "./run-options.ts";

import { parseTrace, type TraceOption } from "./trace-option.ts";

export type Invocation =
  | { readonly verb: "run"; readonly options: RunOptions }
  | { readonly verb: "list" }
  | { readonly verb: "cache" }
  /** No guests means all. */
  | { readonly verb: "cache clean"; readonly guests: readonly string[] }
  | DiskInvocation
  | ControlInvocation
  /** Help or version. */
  | { readonly verb: "print"; readonly text: string };

export interface CommandLineSettings {
  readonly version: string;
  /** Width of help texts, in characters. */
  readonly columns: number;
}

/** Throws CliError with one line for the user where the command line is wrong. */
export function parseCommandLine(args: readonly string[], settings: CommandLineSettings): Invocation {
  let invocation: Invocation | undefined;
  let printed = "";
  let complaint = "";
  const program = new Command("bunk").exitOverride().configureOutput({
    writeOut: (text) => {
      printed += text;
    },
    writeErr: (text) => {
      complaint += text;
    },
    getOutHelpWidth: () => settings.columns,
    getErrHelpWidth: () => settings.columns,
  });
  describe(program, settings, (found) => {
    invocation = found;
  });
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { verb: "print", text: printed };
    throw usageError(oneLine(error, complaint));
  }
  if (invocation === undefined) throw new Error("a command without an action");
  return invocation;
}

/** What the parser says over several lines, or as a page of help, in one line that says what to do. */
function oneLine(error: CommanderError, complaint: string): string {
  if (error.code === "commander.help")
    return "which command? Try: bunk run debian, bunk list, bunk disk --help, bunk --help";
  const [first = "", ...more] = complaint.trim().split("\n");
  const suggestion = more.join(" ").match(/\(Did you mean (.+)\?\)/)?.[1];
  const problem = first.replace(/^error: /, "").replace(/\.$/, "");
  return suggestion === undefined ? `${problem}; see bunk --help` : `${problem}; did you mean ${suggestion}?`;
}

function describe(program: Command, { version }: CommandLineSettings, found: (invocation: Invocation) => void): void {
  program
    .description("Runs virtual machines, with no other hypervisor underneath.")
    .usage("COMMAND [OPTIONS]")
    .version(`bunk ${version}`, "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [COMMAND]", "show the help of a command")
    .addHelpText("after", MAIN_HELP);
  describeRun(program, found);
  describeDisk(program, found);
  describeControl(program, found);
  program
    .command("list")
    .summary("list the guests that can be run by name")
    .description("Lists the guests of the catalogue, and which of them are cached.")
    .addHelpText("after", LIST_HELP)
    .action(() => found({ verb: "list" }));
  const cache = program
    .command("cache")
    .usage("[clean [GUEST...]]")
    .summary("show or clean what is kept of guests")
    .description("Shows which guests are kept ready, where, and how much room they take.")
    .addHelpText("after", CACHE_HELP)
    .action(() => found({ verb: "cache" }));
  cache
    .command("clean")
    .argument("[GUEST...]", "guests to remove; all unless given")
    .summary("remove guests that are kept ready")
    .description("Removes guests from the cache. Machines that run keep what they have.")
    .action((guests: string[]) => found({ verb: "cache clean", guests }));
}

/** What a guest of the catalogue may be called; anything else is a file. */
const CATALOGUE_NAME = /^[a-z0-9-]+$/;

/** The options as the parser gives them. */
interface RawRunOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly disk: readonly DiskOption[];
  readonly diskBus: DiskBus;
  readonly cdrom: readonly CdromOption[];
  readonly floppy: readonly FloppyOptions[];
  readonly nic: readonly NicOptions[];
  readonly memory?: number;
  readonly cpu: CpuModel;
  readonly console: string;
  readonly display?: readonly DisplayOption[];
  readonly pointer: PointerKind;
  readonly name?: string;
  readonly debugExit?: boolean;
  readonly reboot: boolean;
  readonly clock: RunOptions["clock"];
  readonly entry: RunOptions["entry"];
  readonly boot?: readonly BootKind[];
  readonly bootMenu?: boolean;
  readonly serialScreen: boolean;
  readonly firmware?: string;
  readonly firmwareVars?: string;
  readonly firmwareLog?: string;
  readonly optionRom: readonly string[];
  readonly gdb?: GdbAddress;
  readonly gdbWait?: boolean;
  readonly check?: boolean;
  readonly profile?: string;
  readonly regions?: string;
  readonly trace?: TraceOption;
}

function describeRun(program: Command, found: (invocation: Invocation) => void): void {
  const addDisplay = (text: string, displays: readonly DisplayOption[] = []) => [...displays, parseDisplay(text)];
  const addDisk = (text: string, disks: readonly DiskOption[]) => [...disks, parseDisk(text)];
  const addCdrom = (text: string, cdroms: readonly CdromOption[]) => [...cdroms, parseCdrom(text)];
  const addFloppy = (text: string, floppies: readonly FloppyOptions[]) => {
    if (floppies.length === MOST_FLOPPIES) throw usageError(`--floppy ${text}: there are only drives A and B`);
    return [...floppies, parseFloppy(text)];
  };
  program
    .command("run")
    .usage("[OPTIONS] [GUEST | FILE]")
    .summary("start a virtual machine")
    .description("Starts a virtual machine and connects its first serial port to this terminal.")
    .argument(
      "[GUEST]",
      "a guest by name, as `bunk list` shows, or a FILE to start: a disc, disk or floppy image, or a kernel; none with --kernel",
    )
    .option("--kernel <FILE>", "kernel to start: a bzImage, or an ELF file with a PVH or Multiboot header")
    .option("--initrd <FILE>", "initial RAM disk for --kernel")
    .option(
      "--append <STRING>",
      'kernel command line for --kernel ("console=ttyS0" unless given); added to a GUEST\'s own',
    )
    .addOption(
      new Option(
        "--disk <FILE[,SETTING...]>",
        "disk image, for each disk once; settings: size=8G (make a new one where there is none), format=NAME (by content unless given; raw attaches whatever it seems to be), readonly=on, snapshot=on (writes are kept in memory and dropped), quota=4G (limit of the host's storage for it), serial=TEXT, bus=BUS. Disc images are read-only unless readonly=off",
      )
        .argParser(addDisk)
        .default([], "none"),
    )
    .addOption(
      new Option("--disk-bus <BUS>", "where disks are that do not say it").choices(DISK_BUSES).default("virtio"),
    )
    .addOption(
      new Option(
        "--cdrom <FILE[,bus=ahci]>",
        "disc image, or drive of the host, for each CD drive once; on ide unless given",
      )
        .argParser(addCdrom)
        .default([], "none"),
    )
    .addOption(
      new Option(
        "--floppy <FILE[,SETTING...]>",
        "floppy disk image, 160 KiB to 2880 KiB, for drive A and then B; settings: readonly=on, snapshot=on, type=2.88M (the drive's type: by the image unless given). none is an empty drive",
      )
        .argParser(addFloppy)
        .default([], "none"),
    )
    .addOption(
      new Option(
        "--nic <NETWORK[,SETTING...]>",
        "network card, for each card once; user is a network that leads wherever this host's programs get, but to the host itself, and from nowhere to the guest; isolated has no way out; both have a server for addresses (DHCP) and files (TFTP); settings: model=e1000 (virtio unless given), mac=ADDRESS, tftp=DIRECTORY (the server's files), bootfile=PATH (what is booted by --boot net), rom=FILE (from which --firmware boots)",
      )
        .argParser((text: string, nics: readonly NicOptions[]) => [...nics, parseNic(text)])
        .default([], "none"),
    )
    .option(
      "--memory <SIZE>",
      "memory, 2M to 3G, such as 512M (which it is unless given or the GUEST's own)",
      parseMemory,
    )
    .addOption(new Option("--cpu <MODEL>", "processor").choices(CPU_MODELS).default("max"))
    .option("--console <TARGET>", "where the first serial port goes: stdio, none, or a FILE for its output", "stdio")
    .option(
      "--display <WHERE>",
      "where the screen can be seen, any number of: web[=[HOST:]PORT] (in a browser), vnc=[HOST:]PORT or vnc=unix:PATH (by VNC viewers; both also with ,password-file=FILE); or none (a graphics card that nobody looks at). Unless given: web for a guest that starts on its screen, in a terminal of a desktop",
      addDisplay,
    )
    .addOption(
      new Option(
        "--pointer <KIND>",
        "what a viewer's pointer moves: the PS/2 mouse, or a USB tablet (on an xHCI controller), whose pointer is where the viewer's is",
      )
        .choices(POINTER_KINDS)
        .default("mouse"),
    )
    .option("--name <NAME>", "what bunk screenshot and bunk sendkeys call the machine; its GUEST's name unless given")
    .option("--debug-exit", "give the guest a port, 0xF4, at which it ends the machine with an exit status")
    .option("--no-reboot", "end the machine where the guest asks for a reset")
    .addOption(
      new Option("--clock <KIND>", "guest time: the host's, or a count of instructions, which makes runs repeatable")
        .choices(CLOCKS)
        .default("real"),
    )
    .addOption(new Option("--entry <MODE>", "entry of a Linux kernel to start at").choices(ENTRIES).default("auto"))
    .option(
      "--boot <KINDS>",
      "what the BIOS boots from, in this order: cd, disk, floppy, net, separated by commas (unless given, a FILE's own kind first, and net last where a card has a bootfile)",
      parseBootOrder,
    )
    .option("--boot-menu", "choose what to boot from")
    .option("--no-serial-screen", "do not show the BIOS's text screen on the first serial port")
    .option("--firmware <FILE>", "firmware to start with, such as SeaBIOS or OVMF, which boots from the disks")
    .option("--firmware-vars <FILE>", "where UEFI firmware keeps its variables: a copy of the file that came with it")
    .option("--firmware-log <FILE>", "where the firmware's log goes (debug console, port 0x402)")
    .addOption(
      new Option("--option-rom <FILE>", "option ROM for the firmware to run, for each ROM once")
        .argParser((file: string, files: readonly string[]) => [...files, file])
        .default([], "none"),
    )
    .option(
      "--gdb <[HOST:]PORT>",
      "let gdb connect to this port; from this host only unless HOST says otherwise",
      parseGdb,
    )
    .option("--gdb-wait", "start the guest when a connected gdb says so")
    .option(
      "--check",
      "compare translated code with the interpreter at every step, which is slow; implies --clock icount",
    )
    .option(
      "--profile <FILE>",
      "at the end, write what the processor did: instructions by tier, hot regions, exceptions, devices; - for standard error",
    )
    .option(
      "--regions <DIRECTORY>",
      "at the end, write listings of the hottest translated code, with the WebAssembly made of it, to an empty or new directory",
    )
    .option(
      "--trace <FILE[,SETTING...]>",
      "log exceptions, interrupts and registers by counts of instructions; settings: blocks=on, devices=on (all that are entered or accessed), from=COUNT, to=COUNT, every=COUNT (between two lines of registers), size=256M (limit)",
      parseTrace,
    )
    .addHelpText("after", RUN_HELP)
    .action((guest: string | undefined, raw: RawRunOptions) => found({ verb: "run", options: checkRun(guest, raw) }));
}

function checkRun(guest: string | undefined, raw: RawRunOptions): RunOptions {
  return {
    source: guestSource(guest, raw),
    disks: raw.disk,
    diskBus: raw.diskBus,
    cdroms: raw.cdrom,
    floppies: raw.floppy,
    nics: checkNics(raw),
    memory: raw.memory,
    cpu: raw.cpu,
    console: consoleTarget(raw.console),
    displays: displayOption(raw.display),
    pointer: raw.pointer,
    name: machineName(raw.name),
    debugExit: raw.debugExit ?? false,
    noReboot: !raw.reboot,
    clock: raw.check ? "icount" : raw.clock,
    entry: raw.entry,
    bootOrder: bootOrder(raw),
    bootMenu: raw.bootMenu ?? false,
    serialScreen: raw.serialScreen,
    firmware: firmwareOption(raw),
    gdb: gdbOption(raw),
    check: raw.check ?? false,
    tools: toolOptions(raw),
  };
}

function checkNics({ nic, clock, check }: RawRunOptions): readonly NicOptions[] {
  const isRepeatable = clock === "icount" || check === true;
  if (isRepeatable && nic.some(({ network }) => network === "user")) {
    throw usageError("the network of --nic user makes no repeatable runs; use --nic isolated");
  }
  return nic;
}

function bootOrder({ boot, nic }: RawRunOptions): RunOptions["bootOrder"] {
  if (!boot?.includes("net") || nic.length > 0) return boot;
  throw usageError(`--boot ${boot.join(",")} needs a network card: --nic isolated,tftp=DIRECTORY,bootfile=PATH`);
}

function toolOptions({ profile, regions, trace, check = false }: RawRunOptions): ToolOptions {
  const asked = profile ?? regions ?? trace;
  if (asked !== undefined && check) {
    throw usageError("--check goes without --profile, --regions and --trace: two processors run, in small steps");
  }
  if (profile === "") throw usageError("--profile needs the name of a file, or -");
  if (regions === "") throw usageError("--regions needs the name of a directory");
  return { profile, regions, trace };
}

function gdbOption({ gdb, gdbWait = false, check = false }: RawRunOptions): RunOptions["gdb"] {
  if (gdb !== undefined && check)
    throw usageError("--check goes without --gdb: what gdb changes has nothing to compare with");
  if (gdb !== undefined) return { ...gdb, wait: gdbWait };
  if (gdbWait) throw usageError("--gdb-wait goes with --gdb PORT");
  return undefined;
}

function firmwareOption({ firmware, firmwareVars, firmwareLog, optionRom }: RawRunOptions): FirmwareOption | undefined {
  if (firmware === undefined) {
    if (firmwareVars !== undefined) throw usageError("--firmware-vars goes with --firmware FILE");
    if (firmwareLog !== undefined) throw usageError("--firmware-log goes with --firmware FILE");
    if (optionRom.length > 0) throw usageError("--option-rom goes with --firmware FILE");
    return undefined;
  }
  return {
    image: firmware,
    optionRoms: optionRom,
    ...(firmwareVars === undefined ? {} : { variables: firmwareVars }),
    ...(firmwareLog === undefined ? {} : { log: firmwareLog }),
  };
}

function guestSource(guest: string | undefined, raw: RawRunOptions): GuestSource {
  const { kernel, initrd, append, firmware } = raw;
  if (guest === undefined) {
    if (kernel !== undefined) return { kind: "files", kernel, initrd, append };
    const hasMedia = raw.disk.length + raw.cdrom.length + raw.floppy.length > 0;
    const hasNetwork = raw.boot?.includes("net") || raw.nic[0]?.bootFile !== undefined;
    if (!hasMedia && !hasNetwork && firmware === undefined) {
      throw usageError(
        "run what? Name a guest (bunk list shows them) or a file to start, or give --kernel FILE, --cdrom FILE, --disk FILE or --boot net",
      );
    }
    if (initrd !== undefined) throw usageError("--initrd goes with --kernel");
    if (append !== undefined) throw usageError("--append goes with --kernel");
    return { kind: "media" };
  }
  if (kernel !== undefined) throw usageError(`either "${guest}" or --kernel ${kernel} can be run, not both`);
  if (!CATALOGUE_NAME.test(guest)) return { kind: "file", file: guest, initrd, append };
  if (initrd !== undefined) throw usageError(`--initrd goes with --kernel; the guest "${guest}" brings its own`);
  return { kind: "catalogue", name: guest, append };
}

function displayOption(displays: readonly DisplayOption[] | undefined): RunOptions["displays"] {
  if (!displays?.some(({ kind }) => kind === "none")) return displays;
  if (displays.length > 1) throw usageError("--display none goes without other displays");
  return [];
}

function machineName(name: string | undefined): string | undefined {
  if (name === undefined || isMachineName(name)) return name;
  throw usageError(`--name ${name} must be letters, digits, "-" and "_", 40 at the most, and begin with no sign`);
}

function consoleTarget(text: string): ConsoleTarget {
  if (text === "") throw usageError("--console needs stdio, none, or the name of a file");
  return text === "stdio" || text === "none" ? { kind: text } : { kind: "file", file: text };
}
