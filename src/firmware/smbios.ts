/**
 * SMBIOS tables: who made the machine, and what is in it. Both entry points lead to one set of structures:
 * the 32-bit one (2.8) and the 64-bit one (3.0).
 *
 * Structures: BIOS (0), system (1), chassis (3), processors (4, one per socket), OEM strings (11), physical
 * memory array (16), memory device (17), memory array mapping (19), boot information (32), end (127).
 * Not given: caches, slots, ports.
 *
 * @spec DMTF DSP0134 SMBIOS Reference Specification 3.0
 */
import { type GuestPhysical, guestPhysical, KIB, MIB } from "../bits/units.ts";
import type { GuestMemory } from "../machine/device.ts";
import { zeroSum } from "./acpi/table-set.ts";
import { utf8 } from "./c-string.ts";
import { concat } from "./concat.ts";
import {
  BiosInformation,
  BootInformation,
  CENTRAL_PROCESSOR,
  CHARACTERISTICS_PCI_CD_SELECTABLE_EDD,
  CHASSIS_OTHER,
  Chassis,
  DETAIL_OTHER,
  EntryPoint32,
  EntryPoint64,
  Extension1,
  Extension2,
  FAMILY_OTHER,
  FORM_DIMM,
  HANDLE,
  Header,
  INTERMEDIATE_AT,
  MEMORY_HANDLE,
  MEMORY_RAM,
  MemoryArray,
  MemoryDevice,
  MemoryMapping,
  NO_CACHE_HANDLE,
  NO_CORRECTION,
  NO_ERROR_HANDLE,
  NOT_SUPPORTED,
  OemStrings,
  ON_SYSTEM_BOARD,
  Processor,
  ProcessorCharacteristics,
  SECURITY_NONE,
  STATE_ENABLED,
  STATE_SAFE,
  Status,
  SYSTEM_MEMORY,
  SystemInformation,
  UPGRADE_OTHER,
  WAKE_POWER_SWITCH,
  WIDTH_UNKNOWN,
} from "./smbios-layout.ts";

export interface SmbiosSystem {
  /** Bytes of RAM. */
  readonly ramSize: number;
  readonly sockets: number;
  readonly coresPerSocket: number;
  /** CPUID leaf 1, EAX and EDX. */
  readonly processorId: { readonly signature: number; readonly features: number };
  /** Identifies the VM: "01234567-89ab-cdef-0123-456789abcdef". */
  readonly uuid: string;
  /** cloud-init reads its data source from here: "ds=nocloud;s=http://...". */
  readonly serialNumber?: string;
  /** Product's version and BIOS version. */
  readonly version: string;
  /** Type 11; systemd reads credentials from here: "io.systemd.credential:name=value". */
  readonly oemStrings?: readonly string[];
}

const VENDOR = "Bunkhouse";
const PRODUCT = "Bunkhouse VM";

/** Collects a structure's strings and gives their numbers. */
class Strings {
  readonly list: string[] = [];
  number(text: string | undefined): number {
    return text ? this.list.push(text.replaceAll("\0", "")) : 0;
  }
}

/** The structures one after another, as SMBIOS 3.0 defines them, and how many and how large they are. */
export interface SmbiosStructures {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Bytes of the largest one with its strings. */
  readonly largest: number;
}

export function smbiosStructures(system: SmbiosSystem): SmbiosStructures {
  const parts: Uint8Array[] = [];
  const add = (type: number, handle: number, fill: (strings: Strings) => Uint8Array) => {
    const strings = new Strings();
    const body = fill(strings);
    const header = Header.make({ type, length: Header.size + body.length, handle });
    const texts = utf8(`${strings.list.map((text) => `${text}\0`).join("") || "\0"}\0`);
    parts.push(concat(header, body, texts));
  };

  add(0, HANDLE.bios, (strings) =>
    BiosInformation.make({
      vendor: strings.number(VENDOR),
      version: strings.number(system.version),
      startSegment: 0xe000,
      releaseDate: strings.number("01/01/2026"),
      romSize: 1, // 128 KiB
      characteristics: CHARACTERISTICS_PCI_CD_SELECTABLE_EDD,
      extension1: Extension1.pack({ acpi: true }),
      extension2: Extension2.pack({ targetedContent: true, virtualMachine: true }),
      controllerMajor: NOT_SUPPORTED,
      controllerMinor: NOT_SUPPORTED,
    }),
  );
  add(1, HANDLE.system, (strings) =>
    SystemInformation.make({
      manufacturer: strings.number(VENDOR),
      product: strings.number(PRODUCT),
      version: strings.number(system.version),
      serialNumber: strings.number(system.serialNumber),
      uuid: uuidBytes(system.uuid),
      wakeUp: WAKE_POWER_SWITCH,
      family: strings.number("Virtual Machine"),
    }),
  );
  add(3, HANDLE.chassis, (strings) =>
    Chassis.make({
      manufacturer: strings.number(VENDOR),
      type: CHASSIS_OTHER,
      version: strings.number(system.version),
      bootState: STATE_SAFE,
      powerState: STATE_SAFE,
      thermalState: STATE_SAFE,
      security: SECURITY_NONE,
    }),
  );
  for (let socket = 0; socket < system.sockets; socket++) {
    add(4, HANDLE.processor + socket, (strings) => processor(system, socket, strings));
  }
  const { oemStrings = [] } = system;
  if (oemStrings.length > 0) {
    add(11, HANDLE.oemStrings, (strings) => {
      for (const text of oemStrings) strings.number(text);
      return OemStrings.make({ count: strings.list.length });
    });
  }
  addMemory(system.ramSize, add);
  add(32, MEMORY_HANDLE.boot, () => BootInformation.make({}));
  add(127, MEMORY_HANDLE.end, () => new Uint8Array(0));

  return { bytes: concat(...parts), count: parts.length, largest: Math.max(...parts.map((part) => part.length)) };
}

function processor(system: SmbiosSystem, socket: number, strings: Strings): Uint8Array {
  const cores = system.coresPerSocket;
  const short = Math.min(cores, 0xff);
  return Processor.make({
    socket: strings.number(`CPU ${socket}`),
    type: CENTRAL_PROCESSOR,
    family: FAMILY_OTHER,
    manufacturer: strings.number(VENDOR),
    signature: system.processorId.signature,
    features: system.processorId.features,
    version: strings.number(system.version),
    status: Status.pack({ state: STATE_ENABLED, populated: true }),
    upgrade: UPGRADE_OTHER,
    l1Cache: NO_CACHE_HANDLE,
    l2Cache: NO_CACHE_HANDLE,
    l3Cache: NO_CACHE_HANDLE,
    coreCount: short,
    coresEnabled: short,
    threadCount: short,
    characteristics: ProcessorCharacteristics.pack({ wide: true, multiCore: cores > 1 }),
    family2: FAMILY_OTHER,
    coreCount2: cores,
    coresEnabled2: cores,
    threadCount2: cores,
  });
}

function addMemory(
  ramSize: number,
  add: (type: number, handle: number, fill: (strings: Strings) => Uint8Array) => void,
): void {
  add(16, MEMORY_HANDLE.array, () =>
    MemoryArray.make({
      location: ON_SYSTEM_BOARD,
      use: SYSTEM_MEMORY,
      errorCorrection: NO_CORRECTION,
      maximumCapacityKib: ramSize / KIB,
      errorHandle: NO_ERROR_HANDLE,
      deviceCount: 1,
    }),
  );
  add(17, MEMORY_HANDLE.device, (strings) =>
    MemoryDevice.make({
      array: MEMORY_HANDLE.array,
      errorHandle: NO_ERROR_HANDLE,
      totalWidth: WIDTH_UNKNOWN,
      dataWidth: WIDTH_UNKNOWN,
      sizeMib: Math.ceil(ramSize / MIB),
      formFactor: FORM_DIMM,
      locator: strings.number("DIMM 0"),
      type: MEMORY_RAM,
      typeDetail: DETAIL_OTHER,
      manufacturer: strings.number(VENDOR),
    }),
  );
  add(19, MEMORY_HANDLE.mapping, () =>
    MemoryMapping.make({ endKib: ramSize / KIB - 1, array: MEMORY_HANDLE.array, partitionWidth: 1 }),
  );
}

/** A UUID's bytes: the first three fields are little-endian. Throws RangeError for what is none. @spec 7.2.1 */
export function uuidBytes(uuid: string): Uint8Array {
  const digits = uuid.replaceAll("-", "");
  if (!/^[0-9a-fA-F]{32}$/.test(digits)) throw new RangeError(`"${uuid}" is no UUID`);
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, (index) => Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16));
}

/** Entry points are looked for at multiples of this, from 0xF0000 to 1 MiB. */
const ENTRY_ALIGNMENT = 16;
const ENTRY_AREA = 0xf_0000;

/** The 32-bit entry point, version 2.8. */
export function entryPoint32(structures: SmbiosStructures, tableAt: GuestPhysical): Uint8Array {
  const bytes = EntryPoint32.make({
    anchor: utf8("_SM_"),
    length: EntryPoint32.size,
    majorVersion: 2,
    minorVersion: 8,
    maxStructureSize: structures.largest,
    intermediateAnchor: utf8("_DMI_"),
    tableLength: structures.bytes.length,
    tableAddress: tableAt,
    structureCount: structures.count,
    bcdRevision: 0x28,
  });
  const view = EntryPoint32.at(bytes);
  view.intermediateChecksum = zeroSum(bytes.subarray(INTERMEDIATE_AT));
  view.checksum = zeroSum(bytes);
  return bytes;
}

/** The 64-bit entry point, version 3.0. */
export function entryPoint64(structures: SmbiosStructures, tableAt: GuestPhysical): Uint8Array {
  const bytes = EntryPoint64.make({
    anchor: utf8("_SM3_"),
    length: EntryPoint64.size,
    majorVersion: 3,
    revision: 1,
    tableMaxSize: structures.bytes.length,
    tableAddress: BigInt(tableAt),
  });
  EntryPoint64.at(bytes).checksum = zeroSum(bytes);
  return bytes;
}

/**
 * Writes both entry points and the structures from `at` on (a multiple of 16 from 0xF0000 to 1 MiB, where a
 * guest finds them). Returns the first byte after them; throws RangeError where they do not fit.
 */
export function installSmbios(memory: GuestMemory, system: SmbiosSystem, at: GuestPhysical): GuestPhysical {
  const structures = smbiosStructures(system);
  const second = at + 2 * ENTRY_ALIGNMENT;
  const table = guestPhysical(second + 2 * ENTRY_ALIGNMENT);
  const end = table + structures.bytes.length;
  const target = memory.view(at, end - at, "write");
  if (at % ENTRY_ALIGNMENT !== 0 || at < ENTRY_AREA || end > MIB || target === undefined) {
    throw new RangeError(`SMBIOS tables do not fit: ${end - at} bytes at ${at}`);
  }
  target.set(entryPoint64(structures, table));
  target.set(entryPoint32(structures, table), second - at);
  target.set(structures.bytes, table - at);
  return guestPhysical(end);
}
