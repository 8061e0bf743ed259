/** What the library's virtual machine is made from, checked. */
import { FLOPPY_TYPE_NAMES, type FloppyType } from "../../device/i82077/medium.ts";
import type { FormatName } from "../../disk/image-format.ts";
import { BOOT_KINDS } from "../../firmware/bios/boot-order.ts";
import { isGroupMac, parseMacAddress } from "../../net/wire/addresses.ts";
import {
  type BiosDefinition,
  CPU_MODELS,
  type CpuModel,
  NETWORK_KINDS,
  type NetworkDefinition,
  NIC_MODELS,
  type NicModel,
  POINTER_KINDS,
  type PointerKind,
} from "../definition.ts";
import { CDROM_BUSES, type CdromBus, DISK_BUSES, type DiskBus } from "../drive-places.ts";
import { parseSize } from "../size.ts";
import type { CdromOptions, DiskOptions } from "./disks.ts";
import type { FirmwareFiles } from "./firmware.ts";
import type { FloppyDiskOptions, FloppyOptions } from "./floppies.ts";
import type { NicOptions } from "./nics.ts";

/** The image of a floppy disk, of 160 KiB to 2880 KiB. */
export interface FloppyDisk {
  file: string;
  /** Write-protected. */
  readOnly?: boolean;
  /** Writes are kept in memory and dropped at the end. */
  snapshot?: boolean;
  format?: FormatName;
}

export interface VirtualMachineOptions {
  /** RAM: "512M", "3G", or bytes. 2 MiB to 3 GiB; "512M" unless given. */
  memory?: string | number;
  /** A kernel file (bzImage, PVH or Multiboot ELF) by path, or its bytes. Without one the machine boots from its media. */
  kernel?: string | Uint8Array;
  initrd?: string | Uint8Array;
  /** The kernel command line. */
  append?: string;
  /**
   * Firmware to start with, by path or its bytes: SeaBIOS, OVMF. `variables` is the path of the file in which UEFI
   * firmware keeps its variables, which is written to; `log` that of a file for what firmware writes to port 402h;
   * `optionRoms` are files that a BIOS runs. Beside SeaBIOS's image its VGA BIOS is looked for, vgabios-stdvga.bin.
   */
  firmware?: { image: string | Uint8Array; variables?: string; log?: string; optionRoms?: readonly string[] };
  /**
   * Disk images, on virtio-blk in this order unless `bus` says another. `snapshot` keeps writes in memory and drops them
   * at the end; the format is
   * found out by content unless `format` says it; `quota` limits the bytes of the host's storage that a file may take.
   */
  disks?: readonly {
    file: string;
    readOnly?: boolean;
    snapshot?: boolean;
    serial?: string;
    format?: FormatName;
    quota?: number;
    bus?: DiskBus;
  }[];
  /**
   * Floppy drives, A and B, each with the image of the disk that is in it, as `changeFloppy` takes it, or empty. The
   * type is that of the disk unless given.
   */
  floppies?: readonly (Partial<FloppyDisk> & { type?: FloppyType })[];
  /** CD drives, on IDE unless `bus` says another: with a disc image or a drive of the host, or without a `file` empty. */
  cdroms?: readonly { file?: string; bus?: CdromBus }[];
  /**
   * Network cards, "virtio" unless `model` says another. "isolated" is a network of the card's own, on which there is a
   * server for addresses (DHCP) and, where `files` names a folder of the host, for its files (TFTP), and no way out; "user"
   * is the same with a way out: the guest reaches what this process reaches, but for the host itself, and nobody reaches the
   * guest. `bootFile` is the path in that folder of what is booted from the network. `address` is written as in
   * "52:54:00:12:34:56"; `rom` is the file of the card's expansion ROM, from which stock firmware boots.
   */
  nics?: readonly {
    network: NetworkDefinition["kind"];
    model?: NicModel;
    address?: string;
    files?: string;
    bootFile?: string;
    rom?: string;
  }[];
  /**
   * How the machine's BIOS boots, where there is neither kernel nor firmware: kinds of drive in their order ("cd", "disk",
   * "floppy", "net"); `menu` lets a person choose (who presses F12 in time, where it is "offered"); `serialScreen` shows the text screen on `serial` too, and takes keys from
   * there; with `keepTrying` a machine without anything to boot waits for a key instead of ending.
   */
  boot?: BiosDefinition;
  /** "max" unless given. */
  cpu?: CpuModel;
  /** "real" unless given; "icount" makes runs repeatable. */
  clock?: "real" | "icount";
  /** A virtio console beside the serial port, Linux's hvc0: `console` is its stream. */
  virtioConsole?: boolean;
  /** A graphics card, whose picture is `display`'s; where there is no kernel, there is one unless this is false. */
  screen?: boolean;
  /**
   * "mouse" unless given: the PS/2 mouse alone. "tablet" is a USB tablet beside it, on an xHCI controller, on which
   * `mouse.moveTo` and viewers put the pointer in a place, where the guest uses it.
   */
  pointer?: PointerKind;
  /** The isa-debug-exit port at 0xF4. */
  debugExit?: boolean;
  /** End where the guest asks for a reset, instead of starting again. */
  noReboot?: boolean;
  /**
   * Lets a gdb connect, see `gdbAddress`. The port is 0, any that is free, and the host 127.0.0.1, which only this host
   * reaches, unless given. With `wait` the guest starts when gdb says so.
   */
  gdb?: { port?: number; host?: string; wait?: boolean };
}

/** A definition that cannot be a machine; `message` is one line that says what to change. */
export class DefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DefinitionError";
  }
}

/** What the worker is sent: the options with defaults filled in. */
export interface WorkerDefinition {
  readonly memory: number;
  readonly kernel?: string | Uint8Array;
  readonly firmware?: FirmwareFiles;
  readonly initrd?: string | Uint8Array;
  readonly append: string;
  readonly disks: readonly DiskOptions[];
  readonly floppies: readonly FloppyOptions[];
  readonly cdroms: readonly CdromOptions[];
  readonly nics: readonly NicOptions[];
  readonly boot: BiosDefinition;
  readonly cpu: CpuModel;
  readonly clock: "real" | "icount";
  readonly virtioConsole: boolean;
  readonly screen?: boolean;
  readonly pointer: PointerKind;
  readonly debugExit: boolean;
  readonly noReboot: boolean;
  readonly gdb?: { readonly port: number; readonly host?: string; readonly wait: boolean };
}
const MIB = 1024 * 1024;

/** Fills in defaults. Throws DefinitionError. */
export function checkOptions(options: VirtualMachineOptions): WorkerDefinition {
  const { memory = "512M", cpu = "max", clock = "real" } = options;
  const bytes = typeof memory === "number" ? memory : parseSize(memory);
  if (bytes === undefined) throw new DefinitionError(`memory: "${memory}" is no size; write it as "512M" or "2G"`);
  if (bytes % MIB !== 0 || bytes < 2 * MIB || bytes > 3072 * MIB) {
    throw new DefinitionError(`memory: ${memory} must be whole MiB from 2M to 3G`);
  }
  if (!CPU_MODELS.includes(cpu)) throw new DefinitionError(`cpu: "${cpu}" is none of ${CPU_MODELS.join(", ")}`);
  const { kernel, firmware, pointer = "mouse" } = options;
  if (!POINTER_KINDS.includes(pointer)) {
    throw new DefinitionError(`pointer: "${pointer}" is none of ${POINTER_KINDS.join(", ")}`);
  }
  const media = [...(options.disks ?? []), ...(options.floppies ?? []), ...(options.cdroms ?? [])];
  const bootsFromNetwork = options.boot?.order?.includes("net") === true;
  if (bootsFromNetwork && !options.nics?.length) throw new DefinitionError('boot: "net" needs a network card: nics');
  if (kernel === undefined && firmware === undefined && media.length === 0 && !bootsFromNetwork) {
    throw new DefinitionError("kernel: a machine needs a kernel to start, or a disk, disc or floppy to boot from");
  }
  for (const kind of options.boot?.order ?? []) {
    if (!BOOT_KINDS.includes(kind)) throw new DefinitionError(`boot: "${kind}" is none of ${BOOT_KINDS.join(", ")}`);
  }
  for (const { bus = "virtio" } of options.disks ?? []) {
    if (!DISK_BUSES.includes(bus)) throw new DefinitionError(`disks: bus "${bus}" is none of ${DISK_BUSES.join(", ")}`);
  }
  for (const { bus = "ide" } of options.cdroms ?? []) {
    if (!CDROM_BUSES.includes(bus)) {
      throw new DefinitionError(`cdroms: bus "${bus}" is none of ${CDROM_BUSES.join(", ")}`);
    }
  }
  return {
    memory: bytes,
    ...(kernel === undefined ? {} : { kernel }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
    append: options.append ?? "console=ttyS0",
    disks: (options.disks ?? []).map(({ readOnly = false, snapshot = false, ...disk }) => ({
      ...disk,
      readOnly,
      snapshot,
    })),
    floppies: checkFloppies(options.floppies ?? []),
    cdroms: options.cdroms ?? [],
    nics: checkNics(options.nics ?? [], clock),
    boot: options.boot ?? {},
    cpu,
    clock,
    virtioConsole: options.virtioConsole ?? false,
    ...(options.screen === undefined ? {} : { screen: options.screen }),
    pointer,
    debugExit: options.debugExit ?? false,
    noReboot: options.noReboot ?? false,
    ...(options.gdb === undefined ? {} : { gdb: checkGdb(options.gdb) }),
  };
}

const MOST_FLOPPIES = 2;

function checkFloppies(floppies: NonNullable<VirtualMachineOptions["floppies"]>): FloppyOptions[] {
  if (floppies.length > MOST_FLOPPIES) {
    throw new DefinitionError(`floppies: a machine has at most ${MOST_FLOPPIES} drives, not ${floppies.length}`);
  }
  return floppies.map(({ type, file, ...rest }) => {
    if (type !== undefined && !FLOPPY_TYPE_NAMES.includes(type)) {
      throw new DefinitionError(`floppies: the type "${type}" is none of ${FLOPPY_TYPE_NAMES.join(", ")}`);
    }
    return {
      ...(type === undefined ? {} : { type }),
      ...(file === undefined ? {} : { disk: floppyDisk({ file, ...rest }) }),
    };
  });
}

function checkNics(nics: NonNullable<VirtualMachineOptions["nics"]>, clock: "real" | "icount"): NicOptions[] {
  return nics.map(({ network, model, address: text, ...rest }) => {
    if (!NETWORK_KINDS.includes(network)) {
      throw new DefinitionError(`nics: the network "${network}" is none of ${NETWORK_KINDS.join(", ")}`);
    }
    if (network === "user" && clock === "icount") {
      throw new DefinitionError(
        'nics: the network "user" makes no repeatable runs; use "isolated" with clock "icount"',
      );
    }
    if (model !== undefined && !NIC_MODELS.includes(model)) {
      throw new DefinitionError(`nics: the model "${model}" is none of ${NIC_MODELS.join(", ")}`);
    }
    const address = text === undefined ? undefined : parseMacAddress(text);
    if (text !== undefined && (address === undefined || isGroupMac(address))) {
      throw new DefinitionError(`nics: the address "${text}" is none of a card, such as 52:54:00:12:34:56`);
    }
    if (rest.bootFile !== undefined && rest.files === undefined) {
      throw new DefinitionError(`nics: bootFile "${rest.bootFile}" needs files, the folder where it lies`);
    }
    return {
      network,
      ...(model === undefined ? {} : { model }),
      ...(address === undefined ? {} : { address }),
      ...rest,
    };
  });
}

export const floppyDisk = ({ readOnly = false, snapshot = false, ...disk }: FloppyDisk): FloppyDiskOptions => ({
  ...disk,
  readOnly,
  snapshot,
});

function checkGdb({ port = 0, wait = false, ...gdb }: NonNullable<VirtualMachineOptions["gdb"]>) {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new DefinitionError(`gdb: port ${port} must be a whole number from 0 to 65535`);
  }
  return { ...gdb, port, wait };
}
