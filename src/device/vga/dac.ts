/**
 * The video DAC: 256 colours of three components, 6 bits wide or (set through the DISPI registers) 8.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Video Digital-to-Analog Converter"
 */
export interface DacState {
  /** Red, green and blue of each colour, as written. */
  colours: Uint8Array;
  mask: number;
  readIndex: number;
  writeIndex: number;
  /** Which component the next access to the data register is: 0 to 2. */
  component: number;
  /** What the state register reads as: the last index written was the one for reading. */
  reading: boolean;
  eightBits: boolean;
}

const COLOURS = 256;
const READING = 3;

export function powerOnDac(): DacState {
  return {
    colours: new Uint8Array(COLOURS * 3),
    mask: 0xff,
    readIndex: 0,
    writeIndex: 0,
    component: 0,
    reading: false,
    eightBits: false,
  };
}

export function readDacState(dac: DacState): number {
  return dac.reading ? READING : 0;
}

export function setReadIndex(dac: DacState, index: number): void {
  dac.readIndex = index;
  dac.component = 0;
  dac.reading = true;
}

export function setWriteIndex(dac: DacState, index: number): void {
  dac.writeIndex = index;
  dac.component = 0;
  dac.reading = false;
}

export function readDacData(dac: DacState): number {
  const value = dac.colours[dac.readIndex * 3 + dac.component]!;
  if (nextComponent(dac)) dac.readIndex = (dac.readIndex + 1) & 0xff;
  return value;
}

export function writeDacData(dac: DacState, value: number): void {
  dac.colours[dac.writeIndex * 3 + dac.component] = dac.eightBits ? value : value & 0x3f;
  if (nextComponent(dac)) dac.writeIndex = (dac.writeIndex + 1) & 0xff;
}

/** Whether that was a colour's last component. */
function nextComponent(dac: DacState): boolean {
  dac.component = dac.component === 2 ? 0 : dac.component + 1;
  return dac.component === 0;
}

/** A colour as 0x00RRGGBB. */
export function dacColour(dac: DacState, index: number): number {
  const at = (index & dac.mask) * 3;
  const { colours } = dac;
  const red = colours[at]!;
  const green = colours[at + 1]!;
  const blue = colours[at + 2]!;
  if (dac.eightBits) return (red << 16) | (green << 8) | blue;
  return (widen(red) << 16) | (widen(green) << 8) | widen(blue);
}

/** 6 bits to 8, so that all ones stay all ones. */
function widen(value: number): number {
  const six = value & 0x3f;
  return (six << 2) | (six >> 4);
}
