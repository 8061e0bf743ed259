/** Registers of the 8237A. @spec Intel 8237A datasheet (231466), "Register Description" */
import { bits } from "../../bits/fields.ts";

/** Registers by their number; 0 to 7 are address and count of each channel in turn. */
export const Register = {
  /** Status when read. */
  command: 8,
  request: 9,
  singleMask: 10,
  mode: 11,
  clearFlipFlop: 12,
  /** The temporary register when read. */
  masterClear: 13,
  clearMask: 14,
  allMask: 15,
} as const;

export const Command = bits({
  memoryToMemory: 0,
  channel0Hold: 1,
  disable: 2,
  compressedTiming: 3,
  rotatingPriority: 4,
  extendedWrite: 5,
  dreqLow: 6,
  dackHigh: 7,
});

export const Mode = bits({ channel: [0, 1], transfer: [2, 3], autoInit: 4, decrement: 5, mode: [6, 7] });
export const Transfer = { verify: 0, write: 1, read: 2, illegal: 3 } as const;
export const CASCADE = 3;

/** Of the request register and the single mask register. */
export const ChannelBit = bits({ channel: [0, 1], set: 2 });

/** Page registers, ports 80h to 8Fh: which channel's address bits 16 to 23 each one holds. */
export const PAGE_OF_CHANNEL: readonly number[] = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa];
