/** Ports of the board's chips as BIOS code uses them. */
import type { AccessSize } from "../../machine/device.ts";

export interface Ports {
  read(port: number, size: AccessSize): number;
  write(port: number, size: AccessSize, value: number): void;
}

const CMOS_INDEX = 0x70;
const CMOS_DATA = 0x71;
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;

export function readCmos(ports: Ports, register: number): number {
  ports.write(CMOS_INDEX, 1, register);
  return ports.read(CMOS_DATA, 1);
}
export function writeCmos(ports: Ports, register: number, value: number): void {
  ports.write(CMOS_INDEX, 1, register);
  ports.write(CMOS_DATA, 1, value & 0xff);
}

/** A PCI function: bits 15 to 8 are the bus, 7 to 3 the slot, 2 to 0 the function. */
export type PciAddress = number;

export function readPci(ports: Ports, at: PciAddress, register: number, size: AccessSize): number {
  ports.write(CONFIG_ADDRESS, 4, (0x8000_0000 | (at << 8) | (register & 0xfc)) >>> 0);
  return ports.read(CONFIG_DATA + (register & 3), size);
}
export function writePci(ports: Ports, at: PciAddress, register: number, size: AccessSize, value: number): void {
  ports.write(CONFIG_ADDRESS, 4, (0x8000_0000 | (at << 8) | (register & 0xfc)) >>> 0);
  ports.write(CONFIG_DATA + (register & 3), size, value >>> 0);
}

/** The functions on bus 0, in ascending order; the board has no bridge to another. */
export function pciFunctions(ports: Ports): PciAddress[] {
  const found: PciAddress[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let fn = 0; fn < 8; fn++) {
      const at = (slot << 3) | fn;
      const present = readPci(ports, at, 0, 2) !== 0xffff;
      if (present) found.push(at);
      const single = fn === 0 && (readPci(ports, at, 0x0e, 1) & 0x80) === 0;
      if (fn === 0 && (!present || single)) break;
    }
  }
  return found;
}
