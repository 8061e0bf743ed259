/** What the display says of itself: a monitor that likes 1024x768. @spec VESA E-EDID 1.3, section 3 */

const HEADER = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
/** "BNK" in three letters of 5 bits. */
const MANUFACTURER = [0x09, 0xcb];
/** sRGB's chromaticities. */
const COLOURS = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
/** 640x480, 800x600, 1024x768 at 60 Hz. */
const ESTABLISHED = [0x21, 0x08, 0x00];

/** A timing of 1024x768 at 60 Hz. @spec VESA DMT, 1024 x 768 at 60 Hz */
const DETAILED = detailed({ clock: 6500, active: [1024, 768], blank: [320, 38], offset: [24, 3], sync: [136, 6] });

type Pair = readonly [horizontal: number, vertical: number];

function detailed(timing: { clock: number; active: Pair; blank: Pair; offset: Pair; sync: Pair }): number[] {
  const { clock, active, blank, offset, sync } = timing;
  return [
    clock & 0xff,
    clock >> 8,
    active[0] & 0xff,
    blank[0] & 0xff,
    ((active[0] >> 8) << 4) | (blank[0] >> 8),
    active[1] & 0xff,
    blank[1] & 0xff,
    ((active[1] >> 8) << 4) | (blank[1] >> 8),
    offset[0] & 0xff,
    sync[0] & 0xff,
    ((offset[1] & 0xf) << 4) | (sync[1] & 0xf),
    ((offset[0] >> 8) << 6) | ((sync[0] >> 8) << 4) | ((offset[1] >> 4) << 2) | (sync[1] >> 4),
    ...[0, 0, 0, 0, 0],
    0x18,
  ];
}

/** A descriptor of text: FCh is the monitor's name. */
function name(text: string): number[] {
  const padded = `${text}\n`.padEnd(13, " ").slice(0, 13);
  return [0, 0, 0, 0xfc, 0, ...[...padded].map((character) => character.charCodeAt(0))];
}

const RANGES = [0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 30, 0x00, 0x0a, ...new Array<number>(6).fill(0x20)];
const UNUSED = [0, 0, 0, 0x10, 0, ...new Array<number>(13).fill(0)];

/** 128 bytes. */
export function edid(): Uint8Array {
  const bytes = new Uint8Array(128);
  bytes.set(HEADER);
  bytes.set([...MANUFACTURER, 0x01, 0x00, 0, 0, 0, 0, 1, 34, 1, 3], 8);
  // Digital or not: analogue, no size, gamma 2.2, RGB, the first timing is preferred.
  bytes.set([0x08, 0, 0, 120, 0x0a], 20);
  bytes.set(COLOURS, 25);
  bytes.set(ESTABLISHED, 35);
  bytes.fill(0x01, 38, 54);
  bytes.set([...DETAILED, ...name("Bunkhouse"), ...RANGES, ...UNUSED], 54);
  bytes[127] = (256 - (bytes.reduce((sum, byte) => sum + byte, 0) & 0xff)) & 0xff;
  return bytes;
}
