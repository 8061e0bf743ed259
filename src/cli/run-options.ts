/** What `bunk run` is told, checked. */
import type { BootKind } from "../firmware/bios/boot-order.ts";
import type { CpuModel, PointerKind } from "../vm/definition.ts";
import type { DiskBus } from "../vm/drive-places.ts";
import type { FloppyOptions } from "../vm/node/floppies.ts";
import type { GdbAddress } from "../vm/node/gdb-server.ts";
import type { NicOptions } from "../vm/node/nics.ts";
import type { CdromOption } from "./cdrom-option.ts";
import type { DiskOption } from "./disk-option.ts";
import type { DisplayOption } from "./display-option.ts";
import type { TraceOption } from "./trace-option.ts";

export const CLOCKS = ["real", "icount"] as const;
export const ENTRIES = ["auto", "64", "32", "16"] as const;

export interface RunOptions {
  readonly source: GuestSource;
  readonly disks: readonly DiskOption[];
  /** For disks that do not say theirs. */
  readonly diskBus: DiskBus;
  readonly cdroms: readonly CdromOption[];
  /** Drives A and B. */
  readonly floppies: readonly FloppyOptions[];
  readonly nics: readonly NicOptions[];
  /** Bytes; undefined for the guest's own measure. */
  readonly memory: number | undefined;
  readonly cpu: CpuModel;
  readonly console: ConsoleTarget;
  /** Where its screen can be seen; undefined where the command line does not say. */
  readonly displays: readonly DisplayOption[] | undefined;
  /** What viewers' pointers move. */
  readonly pointer: PointerKind;
  /** What the machine is called; undefined for its guest's name. */
  readonly name: string | undefined;
  readonly debugExit: boolean;
  readonly noReboot: boolean;
  readonly clock: (typeof CLOCKS)[number];
  readonly entry: (typeof ENTRIES)[number];
  /** Kinds of drive in the order in which the BIOS tries them; undefined for the usual one. */
  readonly bootOrder: readonly BootKind[] | undefined;
  /** Let the user choose what to boot from. */
  readonly bootMenu: boolean;
  /** Show the BIOS's text screen on the first serial port. */
  readonly serialScreen: boolean;
  /** Files of firmware to start with; undefined for the machine's own. */
  readonly firmware: FirmwareOption | undefined;
  /** Compare the translator with the interpreter. */
  readonly check: boolean;
  /** Where a gdb may connect; undefined for nowhere. */
  readonly gdb: (GdbAddress & { readonly wait: boolean }) | undefined;
  readonly tools: ToolOptions;
}

/** What developers of the processor may ask for. */
export interface ToolOptions {
  /** File for a profile; "-" for standard error. */
  readonly profile: string | undefined;
  /** Directory for listings of translated code. */
  readonly regions: string | undefined;
  readonly trace: TraceOption | undefined;
}

export interface FirmwareOption {
  readonly image: string;
  readonly variables?: string;
  readonly log?: string;
  readonly optionRoms: readonly string[];
}

export type GuestSource =
  | {
      readonly kind: "catalogue";
      readonly name: string;
      /** Goes after the guest's own kernel command line. */
      readonly append: string | undefined;
    }
  | {
      readonly kind: "files";
      readonly kernel: string;
      readonly initrd: string | undefined;
      /** The whole kernel command line. */
      readonly append: string | undefined;
    }
  /** What firmware finds on the machine's media. */
  | { readonly kind: "media" }
  /** A file that is to be started, as what it seems to be: a kernel, or a medium. */
  | {
      readonly kind: "file";
      readonly file: string;
      readonly initrd: string | undefined;
      readonly append: string | undefined;
    };

export type ConsoleTarget =
  | { readonly kind: "stdio" }
  | { readonly kind: "none" }
  | { readonly kind: "file"; readonly file: string };
