/**
 * Resource descriptors: what a device decodes, for _CRS and _PRS.
 *
 * @spec ACPI 6.5 section 6.4
 */
import { struct, u8, u16, u32 } from "../../bits/struct.ts";
import { concat } from "../concat.ts";
import { type Aml, buffer, littleEndian } from "./aml.ts";

/** The descriptors with their end tag, as a buffer. A zero checksum means that none is kept. @spec 6.4.2.9 */
export const resourceTemplate = (...descriptors: readonly Aml[]): Aml => buffer(concat(...descriptors, [0x79, 0x00]));

/** Ports `base` up, decoded with 16 bits. @spec 6.4.2.5 */
export const io = (base: number, length: number): Aml =>
  concat([0x47, 1], littleEndian(base, 2), littleEndian(base, 2), [1, length]);

/** An edge-triggered, active-high, exclusive ISA interrupt. @spec 6.4.2.1 */
export const irq = (line: number): Aml => concat([0x22], littleEndian(1 << line, 2));

/** An 8-bit transfer on an ISA DMA channel, or the cascade. @spec 6.4.2.2 */
export const dma = (channel: number): Aml => concat([0x2a, 1 << channel, 0]);

/** Read/write memory at fixed addresses. @spec 6.4.3.4 */
export const fixedMemory = (base: number, length: number): Aml =>
  concat([0x86], littleEndian(9, 2), [1], littleEndian(base, 4), littleEndian(length, 4));

const CONSUMER = 1 << 0;
const LEVEL_ACTIVE_HIGH_SHARED = 1 << 3;
/** Level-triggered, active-high, shared interrupts of the system's numbering (GSIs). @spec 6.4.3.6 */
export const interrupts = (...numbers: readonly number[]): Aml =>
  concat(
    [0x89],
    littleEndian(2 + 4 * numbers.length, 2),
    [CONSUMER | LEVEL_ACTIVE_HIGH_SHARED, numbers.length],
    ...numbers.map((number) => littleEndian(number, 4)),
  );
/** Byte offset of the first number in an `interrupts` descriptor. */
export const INTERRUPT_NUMBER_AT = 5;

/** @spec 6.4.3.5: what a window passes on */
const MEMORY = 0;
const IO = 1;
const BUS = 2;
/** A bridge's fixed window, decoded positively. */
const PRODUCER_FIXED = 0x0c;
const ENTIRE_IO_RANGE = 0x03;
const WRITABLE = 1 << 0;
const CACHEABLE = 1 << 1;

const Window16 = struct("LE", {
  tag: u8,
  size: u16,
  type: u8,
  flags: u8,
  typeFlags: u8,
  granularity: u16,
  minimum: u16,
  maximum: u16,
  translation: u16,
  length: u16,
});
const Window32 = struct("LE", {
  tag: u8,
  size: u16,
  type: u8,
  flags: u8,
  typeFlags: u8,
  granularity: u32,
  minimum: u32,
  maximum: u32,
  translation: u32,
  length: u32,
});

function window16(type: number, typeFlags: number, minimum: number, maximum: number): Aml {
  return Window16.make({
    tag: 0x88,
    size: Window16.size - 3,
    type,
    flags: PRODUCER_FIXED,
    typeFlags,
    minimum,
    maximum,
    length: maximum - minimum + 1,
  });
}

/** The bus numbers behind a host bridge. `maximum` is included here and below. */
export const busWindow = (minimum: number, maximum: number): Aml => window16(BUS, 0, minimum, maximum);
/** Ports that a host bridge passes on. */
export const ioWindow = (minimum: number, maximum: number): Aml => window16(IO, ENTIRE_IO_RANGE, minimum, maximum);
/** Memory that a host bridge passes on. */
export function memoryWindow(minimum: number, maximum: number, cacheable: boolean): Aml {
  return Window32.make({
    tag: 0x87,
    size: Window32.size - 3,
    type: MEMORY,
    flags: PRODUCER_FIXED,
    typeFlags: WRITABLE | (cacheable ? CACHEABLE : 0),
    minimum,
    maximum,
    length: maximum - minimum + 1,
  });
}
