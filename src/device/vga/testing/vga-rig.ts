/** A display adapter on buses of its own, with a clock that stands still. */
import type { Rectangle } from "../../../machine/display.ts";
import { MemoryBus } from "../../../machine/memory-bus.ts";
import { PortBus } from "../../../machine/port-bus.ts";
import { ManualTime } from "../../../machine/testing/rig.ts";
import { Vga } from "../vga.ts";

export const WINDOW = 0xa0000;

export function rig({ videoMemory = 16 << 20 } = {}) {
  const ports = new PortBus();
  const memory = new MemoryBus();
  const time = new ManualTime();
  const bytes = new Uint8Array(videoMemory);
  const vga = new Vga(bytes, { clock: time, ports, memory });
  const out = (port: number, value: number) => ports.write(port, 1, value);
  const indexed = (port: number) => (index: number, value: number) => ports.write(port, 2, (value << 8) | index);
  const attribute = (index: number, value: number) => {
    ports.read(0x3da, 1);
    ports.read(0x3ba, 1);
    out(0x3c0, index);
    out(0x3c0, value);
    ports.read(0x3da, 1);
    ports.read(0x3ba, 1);
    out(0x3c0, 0x20);
  };
  const dispi = (index: number, value: number) => {
    ports.write(0x1ce, 2, index);
    ports.write(0x1cf, 2, value);
  };
  const readDispi = (index: number) => {
    ports.write(0x1ce, 2, index);
    return ports.read(0x1cf, 2);
  };
  const poke = (offset: number, ...values: number[]) =>
    values.forEach((value, at) => void memory.write(WINDOW + offset + at, 1, value));
  const peek = (offset: number) => memory.read(WINDOW + offset, 1);
  /** Plane `p` of address `a`. */
  const plane = (address: number) => [...bytes.subarray(address * 4, address * 4 + 4)];
  return {
    ...{ ports, memory, time, bytes, vga, out, attribute, dispi, readDispi, poke, peek, plane },
    sequencer: indexed(0x3c4),
    graphics: indexed(0x3ce),
    crtc: indexed(0x3d4),
    viewer: () => viewerOf(vga),
  };
}

/** A viewer that makes itself a new surface when the picture's size changes. */
export function viewerOf({ display }: Vga) {
  let surface = { width: 0, height: 0, pixels: new Uint32Array(0) };
  return {
    draw(): readonly Rectangle[] {
      const { width, height } = display.size;
      if (surface.width !== width || surface.height !== height) {
        surface = { width, height, pixels: new Uint32Array(width * height) };
      }
      return display.draw(surface);
    },
    get surface() {
      return surface;
    },
    pixel: (x: number, y: number) => surface.pixels[y * surface.width + x]!,
    /** Columns `x` to `x + length - 1` of a line: `#` where it is `lit`. */
    dots: (x: number, y: number, length: number, lit: number) =>
      [...surface.pixels.subarray(y * surface.width + x, y * surface.width + x + length)]
        .map((pixel) => (pixel === lit ? "#" : "."))
        .join(""),
  };
}
