/**
 * What the tablet tells of itself.
 * @spec USB 2.0, §9.6; Device Class Definition for HID 1.11, §6.2; HID Usage Tables 1.12, pages 01h and 09h
 */

export const DescriptorType = {
  device: 1,
  configuration: 2,
  string: 3,
  interface: 4,
  endpoint: 5,
  hid: 0x21,
  report: 0x22,
} as const;

/** IDs by which guests know such a tablet: those of QEMU's. */
const VENDOR = 0x0627;
const PRODUCT = 0x0001;
/** Packet size of endpoint 0. */
const MAX_PACKET_0 = 8;
export const CONFIGURATION = 1;
/** Number of the interrupt endpoint. */
export const ENDPOINT = 1;
const MAX_PACKET = 8;
/** Milliseconds; a full-speed device's host asks this often, this one's as soon as there is something. */
const INTERVAL = 8;

const word = (value: number): [number, number] => [value & 0xff, value >>> 8];

export const DEVICE = Uint8Array.of(
  18,
  DescriptorType.device,
  ...word(0x0200),
  0,
  0,
  0,
  MAX_PACKET_0,
  ...word(VENDOR),
  ...word(PRODUCT),
  ...word(0x0100),
  1,
  2,
  0,
  1,
);

export const STRINGS: readonly string[] = ["", "Bunkhouse", "USB Tablet"];
/** English (United States), the only language. */
const LANGUAGE = 0x0409;

/** String descriptor `index`; undefined where there is none. */
export function stringDescriptor(index: number): Uint8Array | undefined {
  const text = STRINGS[index];
  if (text === undefined) return undefined;
  const units = index === 0 ? [LANGUAGE] : [...text].map((character) => character.charCodeAt(0));
  return Uint8Array.of(2 + units.length * 2, DescriptorType.string, ...units.flatMap(word));
}

/** The largest coordinate. */
export const LARGEST = 0x7fff;
const BUTTONS = 5;
/** Bytes of a report: buttons, X, Y, wheel. */
export const REPORT_SIZE = 6;

/** Items of the report descriptor, §6.2.2: tag and type with the size of their data. */
const Item = {
  usagePage: 0x05,
  usage: 0x09,
  usageMinimum: 0x19,
  usageMaximum: 0x29,
  collection: 0xa1,
  endCollection: 0xc0,
  logicalMinimum: 0x15,
  logicalMaximum: 0x25,
  logicalMaximum16: 0x26,
  physicalMinimum: 0x35,
  physicalMaximum: 0x45,
  physicalMaximum16: 0x46,
  reportSize: 0x75,
  reportCount: 0x95,
  input: 0x81,
} as const;
const Page = { genericDesktop: 1, button: 9 } as const;
const Usage = { pointer: 1, mouse: 2, x: 0x30, y: 0x31, wheel: 0x38 } as const;
const Collection = { physical: 0, application: 1 } as const;
const Input = { constant: 1, absolute: 2, relative: 6 } as const;

export const REPORT = Uint8Array.of(
  ...[Item.usagePage, Page.genericDesktop, Item.usage, Usage.mouse, Item.collection, Collection.application],
  ...[Item.usage, Usage.pointer, Item.collection, Collection.physical],
  ...[Item.usagePage, Page.button, Item.usageMinimum, 1, Item.usageMaximum, BUTTONS],
  ...[Item.logicalMinimum, 0, Item.logicalMaximum, 1],
  ...[Item.reportCount, BUTTONS, Item.reportSize, 1, Item.input, Input.absolute],
  ...[Item.reportCount, 1, Item.reportSize, 8 - BUTTONS, Item.input, Input.constant],
  ...[Item.usagePage, Page.genericDesktop, Item.usage, Usage.x, Item.usage, Usage.y],
  ...[Item.logicalMinimum, 0, Item.logicalMaximum16, ...word(LARGEST)],
  ...[Item.physicalMinimum, 0, Item.physicalMaximum16, ...word(LARGEST)],
  ...[Item.reportSize, 16, Item.reportCount, 2, Item.input, Input.absolute],
  ...[Item.usage, Usage.wheel, Item.logicalMinimum, 0x81, Item.logicalMaximum, 0x7f],
  ...[Item.physicalMinimum, 0, Item.physicalMaximum, 0],
  ...[Item.reportSize, 8, Item.reportCount, 1, Item.input, Input.relative],
  Item.endCollection,
  Item.endCollection,
);

export const HID = Uint8Array.of(
  9,
  DescriptorType.hid,
  ...word(0x0111),
  0,
  1,
  DescriptorType.report,
  ...word(REPORT.length),
);

const INTERFACE = [9, DescriptorType.interface, 0, 0, 1, 3, 0, 0, 0];
/** Interrupt IN. */
const ENDPOINT_1 = [7, DescriptorType.endpoint, 0x80 | ENDPOINT, 3, ...word(MAX_PACKET), INTERVAL];
const CONFIGURATION_HEADER = 9;
const TOTAL = CONFIGURATION_HEADER + INTERFACE.length + HID.length + ENDPOINT_1.length;
/** Bus-powered, 100 mA; no remote wake-up. */
export const CONFIGURATION_DESCRIPTOR = Uint8Array.of(
  ...[CONFIGURATION_HEADER, DescriptorType.configuration, ...word(TOTAL), 1, CONFIGURATION, 0, 0x80, 50],
  ...INTERFACE,
  ...HID,
  ...ENDPOINT_1,
);
