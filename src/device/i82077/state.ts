/** What the controller remembers, and how it is at power-on. */
import type { DriveState } from "./drive.ts";
import { Configure } from "./registers.ts";
import type { TransferState } from "./transfer.ts";

/** Something that happens a while after its command. */
export interface FloppyEvent {
  kind: "reset" | "seek" | "recalibrate" | "readId";
  /** Guest time in nanoseconds. */
  at: number;
  drive: number;
  head: number;
  /** Where a seek goes. */
  cylinder: number;
}

export interface I82077State {
  dor: number;
  tdr: number;
  /** Data rate select, as DSR and CCR have it. */
  rate: number;
  /** Bytes of a command so far. */
  command: number[];
  /** Bytes of a result that are still to be read. */
  result: number[];
  transfer: TransferState | undefined;
  /** A command's interrupt, until its result is read; in a transfer without DMA that of the next bytes. */
  interrupt: boolean;
  /** Status register 0 of each end of a seek, and of each drive after a reset, that was not sensed yet. */
  sensed: number[];
  /** What is to happen, at most one for each drive and one besides. */
  events: FloppyEvent[];
  /** Bytes that the last interrupt of a transfer without DMA was for. */
  burst: number;
  specify: [number, number];
  configure: number;
  precompensationTrack: number;
  perpendicular: number;
  locked: boolean;
  /** Parameters of the last transfer, as DUMPREG shows them. */
  last: number;
  drives: (DriveState | undefined)[];
}

export const powerOn = (): Omit<I82077State, "drives"> => ({
  dor: 0,
  tdr: 0,
  rate: 2,
  command: [],
  result: [],
  transfer: undefined,
  interrupt: false,
  sensed: [],
  events: [],
  burst: 0,
  specify: [0, 0],
  configure: Configure.mask.fifoDisable,
  precompensationTrack: 0,
  perpendicular: 0,
  locked: false,
  last: 0,
});
