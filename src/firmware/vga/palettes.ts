/**
 * What the DAC's 256 registers hold in the standard modes: red, green and blue of 6 bits each.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Video DAC"; the 248 colours of mode 13h as
 * measured on cards: 16 greys, then 24 hues in 3 saturations and 3 intensities
 */
export type PaletteName = "cga" | "ega" | "monochrome" | "vga";

const ENTRIES = 256;
const COMPONENTS = 3;
const TWO_THIRDS = 0x2a;
const ONE_THIRD = 0x15;
const FULL = 0x3f;

type Colour = readonly [red: number, green: number, blue: number];

/** Bits rgbRGB: capitals give two thirds of a component, small letters one third. */
function egaColour(index: number): Colour {
  const component = (bit: number) => (index & (1 << bit) ? TWO_THIRDS : 0) + (index & (8 << bit) ? ONE_THIRD : 0);
  return [component(2), component(1), component(0)];
}

/** The 16 colours of a CGA: intensity adds a third to all components, and dark yellow is made brown. */
function cgaColour(index: number): Colour {
  if (index === 6) return [TWO_THIRDS, ONE_THIRD, 0];
  const third = index & 8 ? ONE_THIRD : 0;
  const component = (bit: number) => (index & (1 << bit) ? TWO_THIRDS : 0) + third;
  return [component(2), component(1), component(0)];
}

const GREYS = [0x00, 0x05, 0x08, 0x0b, 0x0e, 0x11, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x38, 0x3f];
/** From the least to the most of a component: for each intensity, three saturations. */
const RAMPS = [
  [0x00, 0x10, 0x1f, 0x2f, 0x3f],
  [0x1f, 0x27, 0x2f, 0x37, 0x3f],
  [0x2d, 0x31, 0x36, 0x3a, 0x3f],
  [0x00, 0x07, 0x0e, 0x15, 0x1c],
  [0x0e, 0x11, 0x15, 0x18, 0x1c],
  [0x14, 0x16, 0x18, 0x1a, 0x1c],
  [0x00, 0x04, 0x08, 0x0c, 0x10],
  [0x08, 0x0a, 0x0c, 0x0e, 0x10],
  [0x0b, 0x0c, 0x0d, 0x0f, 0x10],
] as const;
const HUES = 24;

/** Steps of a component, 0 to 4, as the hue goes round: up in four steps, eight hues at the top, down, eight at the bottom. */
function wave(step: number): number {
  const at = ((step % HUES) + HUES) % HUES;
  if (at < 4) return at;
  if (at <= 12) return 4;
  return at < 16 ? 16 - at : 0;
}

function vgaColour(index: number): Colour {
  if (index < 16) return cgaColour(index);
  if (index < 32) {
    const grey = GREYS[index - 16]!;
    return [grey, grey, grey];
  }
  const ramp = RAMPS[Math.floor((index - 32) / HUES)];
  if (!ramp) return [0, 0, 0];
  // The round begins at blue and goes by magenta to red.
  const hue = (index - 32) % HUES;
  const component = (step: number) => ramp[wave(step)]!;
  return [component(hue), component(hue - 8), component(hue + 8)];
}

const COLOURS: { readonly [name in PaletteName]: (index: number) => Colour } = {
  cga: (index) => cgaColour((index & 7) | ((index & 0x10) >> 1)),
  ega: (index) => egaColour(index & 0x3f),
  monochrome: (index) => {
    const grey = [0, TWO_THIRDS, 0, FULL][(index >> 3) & 3]!;
    return [grey, grey, grey];
  },
  vga: vgaColour,
};

/** 256 colours of 3 bytes. Beyond the 64 colours of the smaller palettes all is black. */
export function palette(name: PaletteName): Uint8Array {
  const bytes = new Uint8Array(ENTRIES * COMPONENTS);
  const count = name === "vga" ? ENTRIES : 64;
  for (let index = 0; index < count; index++) bytes.set(COLOURS[name](index), index * COMPONENTS);
  return bytes;
}
