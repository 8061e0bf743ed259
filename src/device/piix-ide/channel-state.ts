/** What an IDE channel keeps, and what it is connected to. */
import type { AsyncWork, SignalLine } from "../../machine/device.ts";
import type { AtaDrive, AtaTask } from "../ata/ata-drive.ts";
import type { DriveRegisters } from "./drive-registers.ts";

/** What the channel waits for. */
export type Phase =
  | "idle"
  /** The guest: for a command packet, to read data, to write data. */
  | "packet"
  | "in"
  | "out"
  /** The bus master to be started. */
  | "dma"
  /** The host: for data of `buffer`'s length, to store `buffer`, to do what comes behind the data. */
  | "reading"
  | "writing"
  | "finishing";

export interface IdeChannelState {
  drives: [DriveRegisters, DriveRegisters];
  control: number;
  selected: 0 | 1;
  phase: Phase;
  task: AtaTask | undefined;
  /** Which drive the task is on. */
  busy: 0 | 1;
  /** Bytes of the task's data before `buffer`. */
  moved: number;
  buffer: Uint8Array;
  /** The next byte of `buffer` that the guest reads or writes, and the end of the DRQ block. */
  position: number;
  blockEnd: number;
  gathered: Uint8Array;
}

/** The channel's bus master. Bytes it could not move mean the end of the transfer. */
export interface ChannelBusMaster {
  /** Whether software started it, in this direction. */
  ready(toMemory: boolean): boolean;
  put(bytes: Uint8Array): MoveResult;
  take(target: Uint8Array): MoveResult;
  /** The drive has ended its transfer. */
  ended(): void;
}
/** "short": the descriptors have no more room. "error": they are not in memory, or what they name is not. */
export type MoveResult = "done" | "short" | "error";

export interface IdeChannelWiring {
  readonly work: AsyncWork;
  /** INTRQ. */
  readonly interrupt: SignalLine;
  readonly busMaster: ChannelBusMaster;
  /** Device 0 and device 1. */
  readonly drives: readonly [AtaDrive | undefined, AtaDrive | undefined];
  ioError?(error: Error): void;
}
