/**
 * The contract between a SCSI logical unit (a disk, a CD drive) and the adapter that brings it commands: a
 * virtio-scsi host adapter, or an ATAPI drive with its PACKET command.
 *
 * A command is served in three steps, of which the first and the last run in guest time and touch the unit's state:
 *
 *     task = unit.begin(cdb)               what the command comes to: a plain object, which a snapshot can keep
 *     read / write / finish                host operations, in pieces of the adapter's choice
 *     end = unit.complete(task, ...)       status and sense data
 *
 * An adapter that has the initiator's buffers at hand leaves the steps to `runCommand` (run-command.ts).
 */
import type { Sense } from "./sense.ts";

/** The longest command descriptor block that is passed on. @spec SPC-4 §4.2 */
export const MAX_CDB_LENGTH = 32;
/** Bytes of the longest parameter list that a unit asks for. */
export const MAX_PARAMETERS = 65535;

/** How a command ends. */
export interface ScsiEnd {
  /** One of `ScsiStatus`. */
  readonly status: number;
  /** With CHECK CONDITION. */
  readonly sense?: Sense;
}

export type ScsiTask =
  /** No data. An `end` that is known already needs no `complete`. */
  | { readonly kind: "none"; readonly cdb: Uint8Array; readonly end?: ScsiEnd; readonly finishes?: boolean }
  /** Data-In that is at hand. */
  | { readonly kind: "data"; readonly cdb: Uint8Array; readonly data: Uint8Array }
  /** Data-In from the medium: `length` bytes, brought by `read`. */
  | { readonly kind: "read"; readonly cdb: Uint8Array; readonly length: number }
  /** Data-Out to the medium: `length` bytes, taken by `write`; `finishes` as below. */
  | { readonly kind: "write"; readonly cdb: Uint8Array; readonly length: number; readonly finishes?: boolean }
  /** A parameter list: `length` bytes, up to `MAX_PARAMETERS`, which `finish` and `complete` get as a whole. */
  | { readonly kind: "parameters"; readonly cdb: Uint8Array; readonly length: number; readonly finishes?: boolean };

export interface ScsiUnit {
  /** Starts a command. `cdb` may have any length and content; it is copied. */
  begin(cdb: Uint8Array): ScsiTask;
  /** Fills `target` with the Data-In of a "read" from byte `at` on. Rejects where the host's storage fails. */
  read(task: ScsiTask, at: number, target: Uint8Array): Promise<void>;
  /** Reads as `read` does, but at once; returns false where that cannot be. */
  readNow?(task: ScsiTask, at: number, target: Uint8Array): boolean;
  /** Stores the Data-Out of a "write" from byte `at` on. */
  write(task: ScsiTask, at: number, source: Uint8Array): Promise<void>;
  /** Writes as `write` does, but at once; returns false where that cannot be. */
  writeNow?(task: ScsiTask, at: number, source: Uint8Array): boolean;
  /** The host's part after all data of a task that `finishes`, such as a flush. */
  finish(task: ScsiTask, parameters: Uint8Array): Promise<void>;
  /** Ends a command whose steps succeeded. `parameters` is shorter than asked for where the initiator gave less. */
  complete(task: ScsiTask, parameters: Uint8Array): ScsiEnd;
  /** Ends a command with an error of the host's storage, which happened at byte `at` of its data. */
  fail(task: ScsiTask, error: Error, at: number): ScsiEnd;
  /** Ends a command whose data the adapter could not move. */
  abort(task: ScsiTask): ScsiEnd;
}
