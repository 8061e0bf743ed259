/**
 * What the power-on self test leaves: chips programmed as a PC's BIOS programs them, interrupt vectors, the data area.
 * @spec Intel 8259A (231468) and 8254 (231164) datasheets; IBM PC/AT Technical Reference, BIOS listing "TEST1" to "TEST4"
 */
import type { BiosCall } from "./call.ts";
import { type Ports, writeCmos } from "./chips.ts";
import { Bda, Ebda } from "./data-area.ts";
import type { DriveTable } from "./disk/drive-table.ts";
import { assignPciResources } from "./pci-resources.ts";
import { installPorts } from "./ports-service.ts";
import { BIOS_SEGMENT } from "./segment.ts";
import { TableAt } from "./tables.ts";

const MASTER = 0x20;
const SLAVE = 0xa0;
/** Timer, keyboard, the slave, floppy. */
const MASTER_MASK = 0xff & ~(1 | 2 | 4 | 0x40);
const SLAVE_MASK = 0xff & ~0x20;
const EBDA_SEGMENT = 0x9fc0;

/** The 8259s, the 8254, the 8042, and PCI. */
export function setUpChips(ports: Ports): void {
  for (const [base, vector, cascade] of [
    [MASTER, 0x08, 0x04],
    [SLAVE, 0x70, 0x02],
  ] as const) {
    ports.write(base, 1, 0x11);
    ports.write(base + 1, 1, vector);
    ports.write(base + 1, 1, cascade);
    ports.write(base + 1, 1, 0x01);
  }
  ports.write(MASTER + 1, 1, MASTER_MASK);
  ports.write(SLAVE + 1, 1, SLAVE_MASK);
  // Channel 0: 18.2 Hz; channel 1: refresh.
  for (const [control, low, high, channel] of [
    [0x36, 0, 0, 0x40],
    [0x54, 0x12, undefined, 0x41],
  ] as const) {
    ports.write(0x43, 1, control);
    ports.write(channel, 1, low);
    if (high !== undefined) ports.write(channel, 1, high);
  }
  setUpKeyboard(ports);
  // Address line 20 is let through, as boot loaders expect it today.
  ports.write(0x92, 1, (ports.read(0x92, 1) & ~0x01) | 0x02);
  assignPciResources(ports);
}

function setUpKeyboard(ports: Ports): void {
  // Whatever waits is from before the reset.
  for (let i = 0; i < 32 && ports.read(0x64, 1) & 1; i++) ports.read(0x60, 1);
  ports.write(0x64, 1, 0xaa);
  ports.read(0x60, 1);
  // Translation to set 1, the system flag, keyboard interrupts; the mouse is off.
  ports.write(0x64, 1, 0x60);
  ports.write(0x60, 1, 0x65);
  ports.write(0x64, 1, 0xae);
}

/** The interrupt vectors and the data area, but for what services set up by themselves. */
export function setUpData(call: BiosCall, ports: Ports, vectors: Uint16Array, table: DriveTable): void {
  const keptReset = call.u16(Bda.resetFlag);
  call.setBytes(0x400, new Uint8Array(0x100));
  call.setU16(Bda.resetFlag, keptReset);
  call.setBytes(0, new Uint8Array(0x400));
  for (const [vector, offset] of vectors.entries()) {
    call.setU16(vector * 4, offset);
    call.setU16(vector * 4 + 2, BIOS_SEGMENT);
  }
  // Reserved for the user's programs.
  for (let vector = 0x60; vector < 0x68; vector++) call.setU32(vector * 4, 0);
  const pointAt = (vector: number, offset: number) => call.setU32(vector * 4, ((BIOS_SEGMENT << 16) | offset) >>> 0);
  pointAt(0x1e, TableAt.floppyParameters);
  pointAt(0x1d, TableAt.functionality);
  setUpDisks(call, table);
  const floppies = table.count("floppy");
  // A floppy drive, a coprocessor, a mouse, 80 columns of colour, two serial ports; bits 15 and 14 are printers.
  const equipment = (floppies > 0 ? 0x01 | ((floppies - 1) << 6) : 0) | 0x02 | 0x04;
  call.setU16(Bda.extendedSegment, EBDA_SEGMENT);
  call.setU16(Bda.memoryKib, 639);
  call.setBytes(EBDA_SEGMENT * 16, new Uint8Array(0x400));
  call.setU8(EBDA_SEGMENT * 16, 1);
  call.setU8(EBDA_SEGMENT * 16 + Ebda.mouseFlags2, 2);
  installPorts(call, ports);
  const serial = [0, 1, 2, 3].filter((i) => call.u16(Bda.comPorts + 2 * i) !== 0).length;
  call.setU16(Bda.equipment, equipment | (serial << 9));
  call.setU8(Bda.diskCount, table.count("disk"));
  writeCmos(ports, 0x14, equipment);
}

/** Parameters of the first two disks, which interrupts 41h and 46h point at. @spec Phoenix, "Fixed disk parameter table" */
function setUpDisks(call: BiosCall, table: DriveTable): void {
  for (const [i, vector] of [0x41, 0x46].entries()) {
    const offset = TableAt.diskParameters + 16 * i;
    call.setU32(vector * 4, ((BIOS_SEGMENT << 16) | offset) >>> 0);
    const at = BIOS_SEGMENT * 16 + offset;
    const geometry = table.geometry(0x80 + i);
    if (geometry === undefined) continue;
    call.setU16(at, geometry.cylinders);
    call.setU8(at + 2, geometry.heads);
    call.setU8(at + 8, geometry.heads > 8 ? 0x08 : 0x00);
    call.setU16(at + 12, geometry.cylinders);
    call.setU8(at + 14, geometry.sectors);
  }
}
