/**
 * The exit statuses of `bunk`; docs/exit-codes.md lists them for users.
 *
 * Those of a machine that ran are even, since the statuses of the debug-exit port are odd: a script can tell a
 * test program's verdict from everything else.
 */
import { constants } from "node:os";
import type { MachineEnd } from "../vm/definition.ts";

export const ExitStatus = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** A file is missing, cannot be opened, or is not what it should be. */
  badFile: 66,
  /** Something on this host is missing: a program, a package source, memory, the runtime. */
  unavailable: 69,
  /** Triple fault. */
  guestCrash: 70,
  /** The guest asked for a reset under --no-reboot. */
  guestReset: 72,
  /** Nothing to boot from on any of the machine's media. */
  notBootable: 78,
  /** The console's output could not be written, or a disk not be closed in order. */
  hostFailure: 74,
  /** A defect of Bunkhouse. */
  internal: 76,
} as const;

/** The status for a machine that ended by itself or was stopped by its user. */
export function statusOfEnd(end: MachineEnd): number {
  switch (end.kind) {
    case "power-off":
    case "stopped":
      return ExitStatus.ok;
    case "reset":
      return ExitStatus.guestReset;
    case "debug-exit":
      // A process passes on eight bits.
      return end.status & 0xff;
    case "crash":
      return ExitStatus.guestCrash;
    case "difference":
      return ExitStatus.internal;
    case "not-bootable":
      return ExitStatus.notBootable;
  }
}

/** The status of a program that a signal ended, as shells give it. */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
