/** INT 10h AH=10h and 0Bh: the palette's registers and the DAC. @spec PS/2 BIOS Interface Technical Reference, INT 10h (AH)=10H */
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";

const ATTRIBUTE = 0x3c0;
const ATTRIBUTE_READ = 0x3c1;
const DAC_MASK = 0x3c6;
const DAC_READ = 0x3c7;
const DAC_WRITE = 0x3c8;
const DAC_DATA = 0x3c9;
/** Sets the flip-flop of the attribute controller to its index. */
const STATUS = [0x3da, 0x3ba];
const SHOWN = 0x20;
const OVERSCAN = 0x11;
const MODE_CONTROL = 0x10;
const COLOUR_SELECT = 0x14;
const BLINK = 0x08;
const PAGES_OF_16 = 0x80;

export function writeAttribute(ports: Ports, index: number, value: number): void {
  for (const port of STATUS) ports.read(port, 1);
  ports.write(ATTRIBUTE, 1, index & 0x1f);
  ports.write(ATTRIBUTE, 1, value);
  ports.write(ATTRIBUTE, 1, SHOWN);
}
export function readAttribute(ports: Ports, index: number): number {
  for (const port of STATUS) ports.read(port, 1);
  ports.write(ATTRIBUTE, 1, index & 0x1f);
  const value = ports.read(ATTRIBUTE_READ, 1);
  for (const port of STATUS) ports.read(port, 1);
  ports.write(ATTRIBUTE, 1, SHOWN);
  return value;
}

const readDac = (ports: Ports, index: number): [red: number, green: number, blue: number] => {
  ports.write(DAC_READ, 1, index);
  return [ports.read(DAC_DATA, 1), ports.read(DAC_DATA, 1), ports.read(DAC_DATA, 1)];
};
function writeDac(ports: Ports, index: number, colour: ArrayLike<number>): void {
  ports.write(DAC_WRITE, 1, index);
  for (let i = 0; i < 3; i++) ports.write(DAC_DATA, 1, colour[i] as number);
}

/** Brightness of a colour in its 6 bits: 30 % red, 59 % green, 11 % blue. */
export function sumToGrey(ports: Ports, first: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = readDac(ports, (first + i) & 0xff);
    const grey = Math.min(63, Math.round(0.3 * red + 0.59 * green + 0.11 * blue));
    writeDac(ports, (first + i) & 0xff, [grey, grey, grey]);
  }
}

export function paletteService(call: BiosCall, ports: Ports): void {
  const count = Math.min(call.cx, 256);
  switch (call.al) {
    case 0x00:
      writeAttribute(ports, call.bl, call.bh);
      return;
    case 0x01:
      writeAttribute(ports, OVERSCAN, call.bh);
      return;
    case 0x02:
      for (const [i, value] of call.bytes(call.inEs(call.dx), 17).entries()) {
        writeAttribute(ports, i === 16 ? OVERSCAN : i, value);
      }
      return;
    case 0x03: {
      const mode = readAttribute(ports, MODE_CONTROL);
      writeAttribute(ports, MODE_CONTROL, call.bl & 1 ? mode | BLINK : mode & ~BLINK);
      return;
    }
    case 0x07:
      call.bh = readAttribute(ports, call.bl);
      return;
    case 0x08:
      call.bh = readAttribute(ports, OVERSCAN);
      return;
    case 0x09:
      for (let i = 0; i < 17; i++) call.setU8(call.inEs(call.dx + i), readAttribute(ports, i === 16 ? OVERSCAN : i));
      return;
    case 0x10:
      writeDac(ports, call.bl, [call.dh, call.ch, call.cl]);
      return;
    case 0x12: {
      const colours = call.bytes(call.inEs(call.dx), 3 * count);
      for (let i = 0; i < count; i++) writeDac(ports, (call.bl + i) & 0xff, colours.subarray(3 * i));
      return;
    }
    case 0x13: {
      const mode = readAttribute(ports, MODE_CONTROL);
      if (call.bl === 0) writeAttribute(ports, MODE_CONTROL, call.bh & 1 ? mode | PAGES_OF_16 : mode & ~PAGES_OF_16);
      else writeAttribute(ports, COLOUR_SELECT, mode & PAGES_OF_16 ? call.bh & 0xf : (call.bh & 3) << 2);
      return;
    }
    case 0x15: {
      const [red, green, blue] = readDac(ports, call.bl);
      call.dh = red;
      call.ch = green;
      call.cl = blue;
      return;
    }
    case 0x17: {
      const colours = new Uint8Array(3 * count);
      for (let i = 0; i < count; i++) colours.set(readDac(ports, (call.bl + i) & 0xff), 3 * i);
      call.setBytes(call.inEs(call.dx), colours);
      return;
    }
    case 0x18:
      ports.write(DAC_MASK, 1, call.bl);
      return;
    case 0x19:
      call.bl = ports.read(DAC_MASK, 1);
      return;
    case 0x1a: {
      const sixteen = (readAttribute(ports, MODE_CONTROL) & PAGES_OF_16) !== 0;
      const page = readAttribute(ports, COLOUR_SELECT);
      call.bl = sixteen ? 1 : 0;
      call.bh = sixteen ? page & 0xf : (page >> 2) & 3;
      return;
    }
    case 0x1b:
      sumToGrey(ports, call.bx & 0xff, count);
  }
}

/** Function 0Bh: border and background, and the palette of four colours. */
export function cgaPalette(call: BiosCall, ports: Ports): void {
  if (call.bh === 0) {
    const colour = (call.bl & 7) | ((call.bl & 8) << 1);
    writeAttribute(ports, 0, colour);
    writeAttribute(ports, OVERSCAN, colour);
    for (let i = 1; i < 4; i++) {
      const value = readAttribute(ports, i) & 0x0f;
      writeAttribute(ports, i, value | (call.bl & 0x10));
    }
  } else if (call.bh === 1) {
    for (let i = 1; i < 4; i++) writeAttribute(ports, i, (readAttribute(ports, i) & 0xf0) | (2 * i) | (call.bl & 1));
  }
}
