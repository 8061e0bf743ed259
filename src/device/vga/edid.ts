/**
 * What the monitor says of itself: an EDID block for a display of 1024x768 that takes all usual sizes.
 *
 * @spec VESA Enhanced EDID Standard, release A revision 2 (EDID 1.4), §3; VESA DMT 1.0 for the timings
 */
const LENGTH = 128;
const HEADER = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
const MANUFACTURER = "BNK";
const PRODUCT = 1;
const YEAR_FROM = 1990;
const YEAR = 2026;
/** sRGB's primaries and white, as ten-bit fractions packed as in §3.7. */
const CHROMATICITY = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
/** 640x480, 800x600 and 1024x768 at 60 Hz. */
const ESTABLISHED = [0x21, 0x08, 0x00];
/** Widths with their aspect ratio (0: 16:10, 1: 4:3, 2: 5:4, 3: 16:9), all at 60 Hz. */
const STANDARD = [
  [1280, 2],
  [1280, 3],
  [1440, 0],
  [1600, 1],
  [1680, 0],
  [1920, 3],
  [1920, 0],
  [1152, 1],
] as const;

interface DetailedTiming {
  /** In units of 10 kHz. */
  readonly clock: number;
  readonly horizontal: Span;
  readonly vertical: Span;
}
/** Pixels or lines: displayed, blanked, and within blanking where the sync pulse begins and how long it is. */
interface Span {
  readonly active: number;
  readonly blank: number;
  readonly syncOffset: number;
  readonly syncWidth: number;
}

const PREFERRED: DetailedTiming = {
  clock: 6500,
  horizontal: { active: 1024, blank: 320, syncOffset: 24, syncWidth: 136 },
  vertical: { active: 768, blank: 38, syncOffset: 3, syncWidth: 6 },
};
const WIDTH_MM = 270;
const HEIGHT_MM = 203;

function detailedTiming({ clock, horizontal: h, vertical: v }: DetailedTiming): number[] {
  const highs = (one: number, other: number) => ((one >> 8) << 4) | (other >> 8);
  return [
    clock & 0xff,
    clock >> 8,
    h.active & 0xff,
    h.blank & 0xff,
    highs(h.active, h.blank),
    v.active & 0xff,
    v.blank & 0xff,
    highs(v.active, v.blank),
    h.syncOffset & 0xff,
    h.syncWidth & 0xff,
    ((v.syncOffset & 0xf) << 4) | (v.syncWidth & 0xf),
    ((h.syncOffset >> 8) << 6) | ((h.syncWidth >> 8) << 4) | ((v.syncOffset >> 4) << 2) | (v.syncWidth >> 4),
    WIDTH_MM & 0xff,
    HEIGHT_MM & 0xff,
    highs(WIDTH_MM, HEIGHT_MM),
    0,
    0,
    // Digital separate sync, both negative.
    0x18,
  ];
}

/** A display descriptor (§3.10.3) of text, ended by a line feed. */
function textDescriptor(tag: number, text: string): number[] {
  const bytes = [...`${text}\n`.padEnd(13).slice(0, 13)].map((character) => character.charCodeAt(0));
  return [0, 0, 0, tag, 0, ...bytes];
}

/** Vertical 50 to 125 Hz, horizontal 30 to 160 kHz, up to 600 MHz (§3.10.3.3). */
const RANGE_LIMITS = [0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 60, 0x01, 0x0a, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20];
const DUMMY = [0, 0, 0, 0x10, ...new Array<number>(14).fill(0)];

export function edid(): Uint8Array {
  const id = [...MANUFACTURER].reduce((code, letter) => (code << 5) | (letter.charCodeAt(0) - 0x40), 0);
  const block = [
    ...HEADER,
    id >> 8,
    id & 0xff,
    PRODUCT & 0xff,
    PRODUCT >> 8,
    ...[0, 0, 0, 0],
    ...[1, YEAR - YEAR_FROM],
    // EDID 1.4; digital input of 8 bits a colour; size in centimetres; gamma 2.2; RGB, preferred timing is native.
    ...[1, 4, 0xa0, Math.round(WIDTH_MM / 10), Math.round(HEIGHT_MM / 10), 120, 0x06],
    ...CHROMATICITY,
    ...ESTABLISHED,
    ...STANDARD.flatMap(([width, aspect]) => [width / 8 - 31, aspect << 6]),
    ...detailedTiming(PREFERRED),
    ...RANGE_LIMITS,
    ...textDescriptor(0xfc, "Bunkhouse"),
    ...DUMMY,
    0,
  ];
  const bytes = new Uint8Array(LENGTH);
  bytes.set(block);
  bytes[LENGTH - 1] = -block.reduce((sum, byte) => sum + byte, 0);
  return bytes;
}
