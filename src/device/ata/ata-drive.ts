/**
 * The contract between an ATA or ATAPI drive and the controller that it is connected to: a PIIX's channel, or a port of
 * AHCI. A command is served in steps, of which the first and the last run in guest time and touch the drive's state:
 *
 *     task = drive.begin(taskFile)         what the command comes to: a plain object, which a snapshot can keep
 *     task = drive.packet(task, cdb)       for a task of the protocol "packet", with the command packet's bytes
 *     read / write / finish                host operations, in pieces of the controller's choice
 *     end = drive.complete(task, data)     the registers that the guest reads
 */
import type { ScsiTask } from "../scsi/scsi-unit.ts";

/** The command block registers; of two bytes where a 48-bit command has two. */
export interface TaskFile {
  command: number;
  features: number;
  count: number;
  /** Low, mid and high register in bits 0 to 23, their previous contents above. */
  lba: number;
  device: number;
}

/** Registers at the end of a command; those left out stay as they are. */
export interface AtaEnd {
  readonly status: number;
  readonly error: number;
  readonly count?: number;
  readonly lba?: number;
  readonly device?: number;
}

export interface AtaTask {
  readonly taskFile: Readonly<TaskFile>;
  /**
   * How data move. "none": not at all. "packet": a command packet comes first. The two with "queued" are NCQ's.
   */
  readonly protocol: "none" | "packet" | "pioIn" | "pioOut" | "dmaIn" | "dmaOut" | "queuedIn" | "queuedOut";
  /** Bytes of data in all. */
  readonly length: number;
  /** Bytes that PIO moves for one interrupt. */
  readonly block: number;
  /** Data that are at hand; where it is left out for "In", `read` brings them. */
  readonly data?: Uint8Array;
  /** "Out" is gathered, and `finish` and `complete` get it as a whole: no more than `MAX_GATHERED` bytes. */
  readonly gathers?: boolean;
  /** There is a host operation, `finish`, behind the data. */
  readonly finishes?: boolean;
  /** The command has ended already. */
  readonly end?: AtaEnd;
  /** Byte of the disk where the data begin. */
  readonly offset?: number;
  /** What is in the command packet. */
  readonly scsi?: ScsiTask;
}

export const MAX_GATHERED = 65536;

/** Which device is connected, by the bytes that it shows after a reset. */
export type DriveKind = "disk" | "packet";

export interface AtaDrive {
  readonly kind: DriveKind;
  /** Starts a command other than DEVICE RESET and EXECUTE DEVICE DIAGNOSTIC, which are the controller's. */
  begin(taskFile: TaskFile): AtaTask;
  packet(task: AtaTask, cdb: Uint8Array): AtaTask;
  /** Fills `target` with the task's data from byte `at` on. Rejects where the host's storage fails. */
  read(task: AtaTask, at: number, target: Uint8Array): Promise<void>;
  /** Reads as `read` does, but at once; returns false where that cannot be. */
  readNow(task: AtaTask, at: number, target: Uint8Array): boolean;
  write(task: AtaTask, at: number, source: Uint8Array): Promise<void>;
  /** Writes as `write` does, but at once; returns false where that cannot be. */
  writeNow(task: AtaTask, at: number, source: Uint8Array): boolean;
  finish(task: AtaTask, data: Uint8Array): Promise<void>;
  /** Ends a task whose steps succeeded; `data` is what was gathered. */
  complete(task: AtaTask, data: Uint8Array): AtaEnd;
  /** Ends a task with an error of the host's storage, which happened at byte `at` of its data. */
  fail(task: AtaTask, error: Error, at: number): AtaEnd;
  /** Ends a task whose data the controller could not move. */
  abort(task: AtaTask): AtaEnd;
  /** A reset by the bus: SRST, COMRESET, or DEVICE RESET. Settings go back, what the drive holds stays. */
  busReset(): void;
}
