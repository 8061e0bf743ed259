/** What a virtual machine is made from, and what comes out of a run: the vocabulary of the library and the command line. */
import type { KeptHandlers } from "../cpu/interpret/kept-handlers.ts";
import type { RegionSettings, StartKind } from "../cpu/processor-options.ts";
import type { RegionMaker } from "../cpu/translate/translator.ts";
import type { FloppyType } from "../device/i82077/medium.ts";
import type { BlockDevice } from "../disk/block-device.ts";
import type { UnpackNow } from "../disk/decompress.ts";
import type { BootKind } from "../firmware/bios/boot-order.ts";
import type { ByteSink } from "../machine/device.ts";
import type { FileTree } from "../net/file-tree.ts";
import type { Outside } from "../net/outside.ts";
import type { MacAddress } from "../net/wire/addresses.ts";
import type { CdromDefinition, DiskDefinition } from "./drive-places.ts";
import type { FlashContents } from "./flash-file.ts";
import type { ToolsDefinition } from "./tools/machine-tools.ts";

export const CPU_MODELS = ["max", "x86-64-v2", "i686", "pentium", "486"] as const;
export type CpuModel = (typeof CPU_MODELS)[number];

export const POINTER_KINDS = ["mouse", "tablet"] as const;
export type PointerKind = (typeof POINTER_KINDS)[number];

export const NIC_MODELS = ["virtio", "e1000"] as const;
export type NicModel = (typeof NIC_MODELS)[number];

/** A network card. */
export interface NicDefinition {
  readonly model: NicModel;
  readonly address: MacAddress;
  readonly network: NetworkDefinition;
  /** The card's expansion ROM, from which stock firmware boots from the network; the machine's own BIOS does without. */
  readonly rom?: Uint8Array;
}

export const NETWORK_KINDS = ["isolated", "user"] as const;

/** A network of the card's own, on which there is a server for addresses (DHCP) and files (TFTP). */
interface OwnNetwork {
  /** What the server offers. */
  readonly files?: FileTree;
  /** The path in `files` that is told to whoever boots from the network. */
  readonly bootFile?: string;
}

/**
 * "isolated": no way out. "user": what the host's programs reach the guest reaches too, but for the host itself; not with the
 * clock "icount", as nobody outside keeps to that.
 */
export type NetworkDefinition =
  | (OwnNetwork & { readonly kind: "isolated" })
  | (OwnNetwork & { readonly kind: "user"; readonly outside: Outside });

/** A kernel that is started without firmware and boot loader. */
export interface KernelDefinition {
  readonly image: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
  readonly entry?: "auto" | "64" | "32" | "16";
}

/** How the machine's BIOS starts it. */
export interface BiosDefinition {
  /** Kinds of drive in the order in which they are tried; CDs, disks and floppies unless given. */
  readonly order?: readonly BootKind[];
  /** Lets a person choose what to boot from: always, or, where it is "offered", who presses F12 within half a second. */
  readonly menu?: boolean | "offered";
  /** Shows the text screen on COM1 too, and takes what is typed there as keys. */
  readonly serialScreen?: boolean;
  /** Where nothing can be booted, wait for a key and try again, instead of ending the machine. */
  readonly keepTrying?: boolean;
}

/** Firmware that the machine starts with, as a PC does: SeaBIOS, OVMF. */
export interface FirmwareDefinition {
  /** What the ROM holds, whose end is at 4 GiB: whole pages of 4 KiB. With its variables it has 4 MiB at the most. */
  readonly image: Uint8Array;
  /** A flash right below the ROM, in which UEFI firmware keeps its variables. */
  readonly variables?: FlashContents;
  /** The graphics card's expansion ROM, which SeaBIOS needs to show anything; UEFI firmware does without. */
  readonly vgaBios?: Uint8Array;
  /** Option ROMs that firmware for a BIOS's systems runs, beside those of cards. */
  readonly optionRoms?: readonly { readonly name: string; readonly image: Uint8Array }[];
  /** Where what the firmware writes to its debug console (port 402h) goes; there is no such port unless given. */
  readonly log?: ByteSink;
}

/** A floppy drive, and the disk that is in it at power-on: an image that such a drive takes. */
export interface FloppyDrive {
  readonly type: FloppyType;
  readonly device?: BlockDevice;
}

export interface MachineDefinition {
  /** Guest RAM in bytes: a multiple of 1 MiB, 2 MiB to 3 GiB. */
  readonly memory: number;
  readonly cpu: CpuModel;
  /** How often a block of code runs before it is translated, 1 or more; for tests. */
  readonly heat?: number;
  /**
   * "real": guest time is the host's. "icount": time is a count of executed instructions, so that two runs with
   * the same inputs are the same; the time a halted guest waits is skipped. The guest's random numbers are then the
   * same in every run too: it should make no keys.
   */
  readonly clock: "real" | "icount";
  /** Where a kernel is started directly. Without it the machine's BIOS boots from its media. */
  readonly kernel?: KernelDefinition;
  /** The machine's own BIOS; its boot order, menu and screen on COM1 are those of other firmware, too. */
  readonly bios?: BiosDefinition;
  /** Firmware in place of the machine's own BIOS. */
  readonly firmware?: FirmwareDefinition;
  /** Disks, on each bus in this order. */
  readonly disks: readonly DiskDefinition[];
  /** CD drives, on each bus in this order. */
  readonly cdroms?: readonly CdromDefinition[];
  /** Floppy drives: A, or A and B; none, and no controller, if left out or empty. */
  readonly floppies?: readonly FloppyDrive[];
  /** Network cards. The machine's BIOS boots from the first one's network. */
  readonly nics?: readonly NicDefinition[];
  /** Where COM1's bytes go. */
  readonly serial: ByteSink;
  /** Where COM2's bytes go; dropped if left out. */
  readonly serial2?: ByteSink;
  /** Where the virtio console's bytes go; no such device if left out. */
  readonly virtioConsole?: ByteSink;
  /**
   * A graphics card (a VGA with linear modes), whose picture is the board's `display`. If left out, there is one
   * where the machine's own BIOS starts it.
   */
  readonly display?: boolean;
  /**
   * What a viewer's pointer moves: "mouse" (the usual) is the PS/2 mouse alone, "tablet" a USB tablet beside it, which
   * gets places and not motion while the guest uses it.
   */
  readonly pointer?: PointerKind;
  /** The isa-debug-exit port at 0xF4. */
  readonly debugExit: boolean;
  /** End the VM where the guest asks for a reset. */
  readonly noReboot: boolean;
  /** Compare the translator with the interpreter at every step, which is slow; with the clock "icount" only. */
  readonly check?: boolean;
  /** What developers of the processor ask of a run; all of it makes the run slower, and none of it changes it. */
  readonly tools?: ToolsDefinition;
}

/** Why a machine stopped. */
export type MachineEnd =
  /** The guest switched itself off, or `stop` was called. */
  | { readonly kind: "power-off" }
  | { readonly kind: "stopped" }
  /** The guest asked for a reset and the definition says `noReboot`. */
  | { readonly kind: "reset"; readonly cause: string }
  /** The BIOS found nothing to boot; a line for each thing that it tried. */
  | { readonly kind: "not-bootable"; readonly reasons: readonly string[] }
  /** isa-debug-exit: `status` is twice what the guest wrote, plus one. */
  | { readonly kind: "debug-exit"; readonly status: number }
  /** A triple fault: the processor shut down. */
  | { readonly kind: "crash"; readonly report: string }
  /** `check` found the translator and the interpreter to differ. */
  | { readonly kind: "difference"; readonly report: string };

/** The host's part: all that a machine needs from outside; one implementation for Node, one for browsers. */
export interface Host {
  /** Nanoseconds of a clock that never goes back. */
  monotonic(): number;
  /** Seconds since 1970, UTC. */
  unixTime(): number;
  random(target: Uint8Array): void;
  /** Lets the host's event loop run, then resolves. */
  yield(): Promise<void>;
  /** Resolves after about `ns` nanoseconds, or when `wake` is called. */
  sleep(ns: number): { readonly done: Promise<void>; wake(): void };
  /** The module of src/cpu/build-runtime.ts, from where it is kept; without it it is made anew. */
  runtime?(): Promise<WebAssembly.Module>;
  /** Handlers of the interpreter that earlier processes needed; without it each is made when it is first needed. */
  handlers?(start: StartKind): KeptHandlers | undefined;
  /** Loads what unpacks a kernel that is started directly; without it kernels that are packed so unpack themselves. */
  unpacker?(packing: "gzip" | "zstd"): Promise<UnpackNow>;
  /** Makes the processor's regions on another thread; without it they are made in place. */
  regions?(settings: RegionSettings): RegionMaker;
  /** A machine is about to be made that will ask for regions with its first instructions. */
  expectRegions?(): void;
  /** Told of a machine's memory before it is used; `isSoonUsed` where the machine is about to fill much of it itself. */
  prepareMemory?(memory: WebAssembly.Memory, isSoonUsed: boolean): void;
}
