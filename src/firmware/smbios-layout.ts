/**
 * The layouts and numbers of the SMBIOS structures that a Bunkhouse machine has. Each structure's fields begin
 * after its type, length and handle.
 *
 * @spec DMTF DSP0134 SMBIOS Reference Specification 3.0
 */
import { bits } from "../bits/fields.ts";
import { bytes, struct, u8, u16, u32, u64 } from "../bits/struct.ts";

/** @spec 5.2.1 */
export const EntryPoint32 = struct("LE", {
  anchor: bytes(4),
  checksum: u8,
  length: u8,
  majorVersion: u8,
  minorVersion: u8,
  maxStructureSize: u16,
  revision: u8,
  formattedArea: bytes(5),
  intermediateAnchor: bytes(5),
  intermediateChecksum: u8,
  tableLength: u16,
  tableAddress: u32,
  structureCount: u16,
  bcdRevision: u8,
});
export const INTERMEDIATE_AT = EntryPoint32.offset.intermediateAnchor;
/** @spec 5.2.2 */
export const EntryPoint64 = struct("LE", {
  anchor: bytes(5),
  checksum: u8,
  length: u8,
  majorVersion: u8,
  minorVersion: u8,
  docrev: u8,
  revision: u8,
  reserved: u8,
  tableMaxSize: u32,
  tableAddress: u64,
});

/** What follows type, length and handle in each structure; a string field counts from 1, 0 for none. @spec 7.1 */
export const BiosInformation = struct("LE", {
  vendor: u8,
  version: u8,
  startSegment: u16,
  releaseDate: u8,
  romSize: u8,
  characteristics: u64,
  extension1: u8,
  extension2: u8,
  majorRelease: u8,
  minorRelease: u8,
  controllerMajor: u8,
  controllerMinor: u8,
});
export const CHARACTERISTICS_PCI_CD_SELECTABLE_EDD = (1n << 7n) | (1n << 15n) | (1n << 16n) | (1n << 19n);
export const Extension1 = bits({ acpi: 0 });
export const Extension2 = bits({ targetedContent: 2, virtualMachine: 4 });
export const NOT_SUPPORTED = 0xff;

/** @spec 7.2 */
export const SystemInformation = struct("LE", {
  manufacturer: u8,
  product: u8,
  version: u8,
  serialNumber: u8,
  uuid: bytes(16),
  wakeUp: u8,
  sku: u8,
  family: u8,
});
export const WAKE_POWER_SWITCH = 6;

/** @spec 7.4 */
export const Chassis = struct("LE", {
  manufacturer: u8,
  type: u8,
  version: u8,
  serialNumber: u8,
  assetTag: u8,
  bootState: u8,
  powerState: u8,
  thermalState: u8,
  security: u8,
  oem: u32,
  height: u8,
  powerCords: u8,
  elementCount: u8,
  elementLength: u8,
  sku: u8,
});
export const CHASSIS_OTHER = 1;
export const STATE_SAFE = 3;
export const SECURITY_NONE = 3;

/** @spec 7.5 */
export const Processor = struct("LE", {
  socket: u8,
  type: u8,
  family: u8,
  manufacturer: u8,
  signature: u32,
  features: u32,
  version: u8,
  voltage: u8,
  externalClock: u16,
  maxSpeed: u16,
  currentSpeed: u16,
  status: u8,
  upgrade: u8,
  l1Cache: u16,
  l2Cache: u16,
  l3Cache: u16,
  serialNumber: u8,
  assetTag: u8,
  partNumber: u8,
  coreCount: u8,
  coresEnabled: u8,
  threadCount: u8,
  characteristics: u16,
  family2: u16,
  coreCount2: u16,
  coresEnabled2: u16,
  threadCount2: u16,
});
export const CENTRAL_PROCESSOR = 3;
export const FAMILY_OTHER = 1;
export const Status = bits({ state: [0, 2], populated: 6 });
export const STATE_ENABLED = 1;
export const UPGRADE_OTHER = 1;
export const NO_CACHE_HANDLE = 0xffff;
export const ProcessorCharacteristics = bits({ wide: 2, multiCore: 3 });

/** @spec 7.17 */
export const MemoryArray = struct("LE", {
  location: u8,
  use: u8,
  errorCorrection: u8,
  maximumCapacityKib: u32,
  errorHandle: u16,
  deviceCount: u16,
  extendedMaximum: u64,
});
export const ON_SYSTEM_BOARD = 3;
export const SYSTEM_MEMORY = 3;
export const NO_CORRECTION = 3;
export const NO_ERROR_HANDLE = 0xfffe;

/** @spec 7.18 */
export const MemoryDevice = struct("LE", {
  array: u16,
  errorHandle: u16,
  totalWidth: u16,
  dataWidth: u16,
  sizeMib: u16,
  formFactor: u8,
  deviceSet: u8,
  locator: u8,
  bank: u8,
  type: u8,
  typeDetail: u16,
  speed: u16,
  manufacturer: u8,
  serialNumber: u8,
  assetTag: u8,
  partNumber: u8,
  attributes: u8,
  extendedSize: u32,
  configuredSpeed: u16,
  minimumVoltage: u16,
  maximumVoltage: u16,
  configuredVoltage: u16,
});
export const WIDTH_UNKNOWN = 0xffff;
export const FORM_DIMM = 9;
export const MEMORY_RAM = 7;
export const DETAIL_OTHER = 1 << 1;

/** @spec 7.20 */
export const MemoryMapping = struct("LE", {
  startKib: u32,
  endKib: u32,
  array: u16,
  partitionWidth: u8,
  extendedStart: u64,
  extendedEnd: u64,
});
export const BootInformation = struct("LE", { reserved: bytes(6), status: u8 });
export const OemStrings = struct("LE", { count: u8 });

export const Header = struct("LE", { type: u8, length: u8, handle: u16 });
export const HANDLE = { bios: 0x0000, system: 0x0100, chassis: 0x0300, processor: 0x0400, oemStrings: 0x0b00 } as const;
export const MEMORY_HANDLE = { array: 0x1000, device: 0x1100, mapping: 0x1300, boot: 0x2000, end: 0x7f00 } as const;
