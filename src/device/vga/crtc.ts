/**
 * The CRT controller: what it scans, and when.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "CRT Controller Registers"
 *
 * Not modelled: interlace, blanking within the displayed area, skews, the vertical interrupt, the light pen.
 */
import {
  ClockingMode,
  Crtc,
  CrtcMode,
  InputStatus1,
  MaximumScanLine,
  Miscellaneous,
  PresetRowScan,
  Sequencer,
  Underline,
  VerticalRetraceEnd,
} from "./registers.ts";
import type { VgaState } from "./state.ts";

export function writeCrtc(state: VgaState, value: number): void {
  const { crtc, crtcIndex } = state;
  if (crtcIndex >= crtc.length) return;
  if (crtcIndex <= Crtc.overflow && crtc[Crtc.verticalRetraceEnd]! & VerticalRetraceEnd.mask.protect) {
    // The lock leaves out bit 8 of line compare.
    if (crtcIndex === Crtc.overflow) crtc[crtcIndex] = (crtc[crtcIndex]! & ~0x10) | (value & 0x10);
    return;
  }
  crtc[crtcIndex] = value;
}

/** A 10-bit value: bits 8 and 9 are in the overflow register. */
function vertical(crtc: Uint8Array, index: number, bit8: number, bit9: number): number {
  const overflow = crtc[Crtc.overflow]!;
  return crtc[index]! | (((overflow >> bit8) & 1) << 8) | (((overflow >> bit9) & 1) << 9);
}

/** Lines of a picture. */
export function displayedLines(crtc: Uint8Array): number {
  return vertical(crtc, Crtc.verticalDisplayEnd, 1, 6) + 1;
}

/** The last line before the split, where there is one. */
function lineCompare(crtc: Uint8Array): number {
  const bit9 = ((crtc[Crtc.maximumScanLine]! >> 6) & 1) << 9;
  return crtc[Crtc.lineCompare]! | (((crtc[Crtc.overflow]! >> 4) & 1) << 8) | bit9;
}

export const startAddress = (crtc: Uint8Array): number => (crtc[Crtc.startHigh]! << 8) | crtc[Crtc.startLow]!;
export const cursorAddress = (crtc: Uint8Array): number => (crtc[Crtc.cursorHigh]! << 8) | crtc[Crtc.cursorLow]!;

/** What each line of the picture shows: the memory address counter at its start, the row within characters. */
export interface Raster {
  lines: number;
  readonly address: Uint32Array;
  readonly row: Uint8Array;
  /** Whether the line is below the split, where panning may not apply. */
  readonly split: Uint8Array;
}

const MOST_LINES = 1024;

export function newRaster(): Raster {
  return {
    lines: 0,
    address: new Uint32Array(MOST_LINES),
    row: new Uint8Array(MOST_LINES),
    split: new Uint8Array(MOST_LINES),
  };
}

/** Runs the CRTC's counters through one frame. */
export function scanFrame(crtc: Uint8Array, raster: Raster): void {
  const { maximum, doubleScan } = MaximumScanLine(crtc[Crtc.maximumScanLine]!);
  const preset = PresetRowScan(crtc[Crtc.presetRowScan]!);
  const step = crtc[Crtc.offset]! * 2;
  const compare = lineCompare(crtc);
  raster.lines = displayedLines(crtc);
  let address = startAddress(crtc) + preset.bytePanning;
  let row = preset.row;
  let repeated = false;
  let split = 0;
  for (let line = 0; line < raster.lines; line++) {
    raster.address[line] = address;
    raster.row[line] = row;
    raster.split[line] = split;
    if (line === compare) {
      address = 0;
      row = 0;
      repeated = false;
      split = 1;
    } else if (doubleScan && !repeated) repeated = true;
    else {
      repeated = false;
      if (row === maximum) {
        row = 0;
        address += step;
      } else row = (row + 1) & 0x1f;
    }
  }
}

/** How the counter becomes an address within a plane. */
export interface Addressing {
  readonly shift: 0 | 1 | 2;
  /** Which bit of the counter becomes bit 0 in word mode. */
  readonly wrapBit: number;
  /** Address bits 13 and 14 come from the row instead: CGA's and Hercules's interleaved lines. */
  readonly rowBits: number;
}

export function addressing(crtc: Uint8Array): Addressing {
  const { doubleWord } = Underline(crtc[Crtc.underline]!);
  const { byteMode, addressWrap, noCgaRow, noHerculesRow } = CrtcMode(crtc[Crtc.mode]!);
  return {
    shift: doubleWord ? 2 : byteMode ? 0 : 1,
    wrapBit: addressWrap ? 15 : 13,
    rowBits: (noCgaRow ? 0 : 1) | (noHerculesRow ? 0 : 2),
  };
}

/** The address within a plane, 0 to FFFFh, of counter value `counter` on row `row`. */
export function planeAddress({ shift, wrapBit, rowBits }: Addressing, counter: number, row: number): number {
  let address = counter;
  if (shift === 1) address = (counter << 1) | ((counter >> wrapBit) & 1);
  else if (shift === 2) address = (counter << 2) | ((counter >> 14) & 3);
  if (rowBits !== 0) {
    const mask = rowBits << 13;
    address = (address & ~mask) | ((row << 13) & mask);
  }
  return address & 0xffff;
}

/** Dots of a character across. */
export function dotsAcross(state: VgaState): 8 | 9 {
  return state.sequencer[Sequencer.clockingMode]! & ClockingMode.mask.eightDots ? 8 : 9;
}

/** A frame's times, in nanoseconds. */
export interface Timing {
  readonly line: number;
  readonly frame: number;
  readonly displayedPart: number;
  readonly displayedLines: number;
  readonly retraceStart: number;
  readonly retraceLines: number;
}

const CLOCKS = [25.175e6, 28.322e6] as const;
/** A 70 Hz frame of 449 lines, where the registers hold no frame that a monitor could show. */
const USUAL: Timing = {
  line: 31_778,
  frame: 31_778 * 449,
  displayedPart: 0.8,
  displayedLines: 400,
  retraceStart: 412,
  retraceLines: 2,
};

export function timing(state: VgaState): Timing {
  const { crtc, sequencer, miscellaneous } = state;
  const characters = crtc[Crtc.horizontalTotal]! + 5;
  const lines = vertical(crtc, Crtc.verticalTotal, 0, 5) + 2;
  const shown = crtc[Crtc.horizontalDisplayEnd]! + 1;
  const displayed = displayedLines(crtc);
  const retraceStart = vertical(crtc, Crtc.verticalRetraceStart, 2, 7);
  if (shown >= characters || displayed >= lines || retraceStart >= lines) return USUAL;
  const halved = sequencer[Sequencer.clockingMode]! & ClockingMode.mask.dotClockHalved ? 2 : 1;
  const hertz = CLOCKS[Miscellaneous(miscellaneous).clock & 1]!;
  const line = (characters * dotsAcross(state) * halved * 1e9) / hertz;
  // The end is compared in its low four bits only.
  const { end } = VerticalRetraceEnd(crtc[Crtc.verticalRetraceEnd]!);
  return {
    line,
    frame: line * lines,
    displayedPart: shown / characters,
    displayedLines: displayed,
    retraceStart,
    retraceLines: (end - retraceStart) & 0xf || 16,
  };
}

/** Input status 1 at a time. */
export function inputStatus1(frame: Timing, now: number): number {
  const line = Math.floor((now % frame.frame) / frame.line);
  const part = (now % frame.line) / frame.line;
  const verticalRetrace = line >= frame.retraceStart && line < frame.retraceStart + frame.retraceLines;
  const displayDisabled = line >= frame.displayedLines || part >= frame.displayedPart;
  return InputStatus1.pack({ displayDisabled, verticalRetrace });
}
