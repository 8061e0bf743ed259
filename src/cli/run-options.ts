/** What `bunk run` is told, checked. */
import type { CpuModel } from "../vm/definition.ts";
import type { GdbAddress } from "../vm/node/gdb-server.ts";
import type { DiskOption } from "./disk-option.ts";
import type { DisplayOption } from "./display-option.ts";

export const CLOCKS = ["real", "icount"] as const;
export const ENTRIES = ["auto", "64", "32", "16"] as const;

export interface RunOptions {
  readonly source: GuestSource;
  readonly disks: readonly DiskOption[];
  /** Bytes; undefined for the guest's own measure. */
  readonly memory: number | undefined;
  readonly cpu: CpuModel;
  readonly console: ConsoleTarget;
  /** Where its screen can be seen; undefined where the command line does not say. */
  readonly displays: readonly DisplayOption[] | undefined;
  /** What the machine is called; undefined for its guest's name. */
  readonly name: string | undefined;
  readonly debugExit: boolean;
  readonly noReboot: boolean;
  readonly clock: (typeof CLOCKS)[number];
  readonly entry: (typeof ENTRIES)[number];
  /** Compare the translator with the interpreter. */
  readonly check: boolean;
  /** Where a gdb may connect; undefined for nowhere. */
  readonly gdb: (GdbAddress & { readonly wait: boolean }) | undefined;
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
    };

export type ConsoleTarget =
  | { readonly kind: "stdio" }
  | { readonly kind: "none" }
  | { readonly kind: "file"; readonly file: string };
