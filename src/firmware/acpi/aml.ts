/**
 * Builds ACPI Machine Language: each function encodes one term and returns its bytes, so that a definition
 * block reads like its ASL source.
 *
 *     scope("\\_SB", device("PCI0", name("_HID", eisaId("PNP0A03")), name("_ADR", integer(0))))
 *
 * Only the terms that the machine's own tables use are here.
 *
 * @spec ACPI 6.5 section 20.2 (AML grammar)
 */
import { utf8 } from "../c-string.ts";
import { concat } from "../concat.ts";

/** The bytes of one or more AML terms. */
export type Aml = Uint8Array;

const EXTENDED = 0x5b;

/** An opcode, a package length, and what the length covers. @spec 20.2.4 */
function withLength(opcode: readonly number[], ...content: readonly (Aml | readonly number[])[]): Aml {
  const body = concat(...content);
  return concat(opcode, packageLength(body.length), body);
}

/** The length of `content` bytes together with the encoding's own bytes. */
function packageLength(content: number): number[] {
  if (content + 1 < 0x40) return [content + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const length = content + 1 + extra;
    if (length < 2 ** (4 + 8 * extra)) {
      const following = Array.from({ length: extra }, (_, i) => (length >>> (4 + 8 * i)) & 0xff);
      return [(extra << 6) | (length & 0xf), ...following];
    }
  }
  throw new RangeError(`an AML package of ${content} bytes is too long`);
}

/** A name or path such as `\_SB.PCI0` or `^LNKA`. @spec 20.2.2 */
export function path(text: string): Aml {
  const [, prefix = "", rest = ""] = /^(\\|\^*)(.*)$/.exec(text) ?? [];
  const segments = rest === "" ? [] : rest.split(".");
  for (const segment of segments) {
    if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(segment)) throw new RangeError(`"${text}" is no ACPI name`);
  }
  const count =
    segments.length === 0
      ? [0x00]
      : segments.length === 1
        ? []
        : segments.length === 2
          ? [0x2e]
          : [0x2f, segments.length];
  return concat(utf8(prefix), count, utf8(segments.map((segment) => segment.padEnd(4, "_")).join("")));
}

/** An unsigned integer of up to 32 bits. @spec 20.2.3 */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return Uint8Array.of(value);
  if (value <= 0xff) return Uint8Array.of(0x0a, value);
  if (value <= 0xffff) return concat([0x0b], littleEndian(value, 2));
  return concat([0x0c], littleEndian(value, 4));
}

/** The low `size` bytes of `value`. */
export function littleEndian(value: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
}

/** A compressed EISA identifier, such as "PNP0A03". @spec 19.6.36 */
export function eisaId(id: string): Aml {
  const letter = (index: number) => id.charCodeAt(index) - 0x40;
  const maker = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return concat([0x0c, maker >> 8, maker & 0xff, product >> 8, product & 0xff]);
}

export const name = (target: string, value: Aml): Aml => concat([0x08], path(target), value);
export const scope = (target: string, ...terms: readonly Aml[]): Aml => withLength([0x10], path(target), ...terms);
export const device = (target: string, ...terms: readonly Aml[]): Aml =>
  withLength([EXTENDED, 0x82], path(target), ...terms);

/** Up to 255 elements. */
export const packageOf = (...elements: readonly Aml[]): Aml => withLength([0x12], [elements.length], ...elements);
export const buffer = (bytes: Aml): Aml => withLength([0x11], integer(bytes.length), bytes);

/** A processor object without a control block; `id` is the ACPI processor UID of the MADT. @spec ACPI 6.3 20.2.5.2 */
export const processor = (target: string, id: number): Aml =>
  withLength([EXTENDED, 0x83], path(target), [id], littleEndian(0, 4), [0]);

const SERIALIZED = 1 << 3;
/** A method that only one thread of the guest's interpreter may be in, as one that creates names must be. */
export const serializedMethod = (target: string, argumentCount: number, ...terms: readonly Aml[]): Aml =>
  withLength([0x14], path(target), [argumentCount | SERIALIZED], ...terms);
export const method = (target: string, argumentCount: number, ...terms: readonly Aml[]): Aml =>
  withLength([0x14], path(target), [argumentCount], ...terms);

/** @spec table 5.180: address spaces */
export const PCI_CONFIG = 2;
export const operationRegion = (target: string, space: number, offset: number, length: number): Aml =>
  concat([EXTENDED, 0x80], path(target), [space], integer(offset), integer(length));

const BYTE_ACCESS = 1;
/** Fields of one byte each, in order, in an operation region that is accessed by bytes. */
export const byteFields = (region: string, ...names: readonly string[]): Aml =>
  withLength([EXTENDED, 0x81], path(region), [BYTE_ACCESS], ...names.map((field) => concat(path(field), [8])));

export const returns = (value: Aml): Aml => concat([0xa4], value);
export const store = (value: Aml, target: Aml): Aml => concat([0x70], value, target);
/** `a & b` */
export const and = (a: Aml, b: Aml): Aml => concat([0x7b], a, b, [0x00]);
/** `target = a | b` */
export const orInto = (a: Aml, b: Aml, target: Aml): Aml => concat([0x7d], a, b, target);
/** Whether `value` is zero. */
export const not = (value: Aml): Aml => concat([0x92], value);
export const iff = (condition: Aml, ...terms: readonly Aml[]): Aml => withLength([0xa0], condition, ...terms);
export const argument = (index: number): Aml => Uint8Array.of(0x68 + index);
/** Names the four bytes at byte `offset` of a buffer. */
export const dwordField = (source: Aml, offset: number, target: string): Aml =>
  concat([0x8a], source, integer(offset), path(target));
