/**
 * What the controller answers about itself and its namespace, and its log pages.
 * @spec NVM Express 1.4c, §5.15 "Identify command", §5.14 "Get Log Page command"
 */
import { bytes, struct, u8, u16, u32, u64 } from "../../bits/struct.ts";
import { SECTOR_SIZE } from "../../bits/units.ts";
import { CQES, ERROR_LOG_ENTRY, ErrorLogEntry, SQES, VERSION_1_4 } from "./layout.ts";

export const VENDOR = 0x1b36;
/** The device that drivers know as the NVMe controller of virtual machines. */
export const DEVICE = 0x0010;
export const NSID = 1;
export const IDENTIFY_LENGTH = 4096;
/** Log2 of the most pages that a command moves. */
export const MDTS = 8;
export const FIRMWARE = "1.0";
export const MODEL = "Bunkhouse NVMe disk";
/** Entries of the error log. */
export const ERROR_LOG_LENGTH = 16;
/** Asynchronous event requests at a time. */
export const MOST_EVENT_REQUESTS = 4;

/** What CNS of IDENTIFY asks for. */
export const Cns = { namespace: 0, controller: 1, activeNamespaces: 2, namespaceDescriptors: 3 } as const;

const Controller = struct("LE", {
  vid: u16,
  ssvid: u16,
  sn: bytes(20),
  mn: bytes(40),
  fr: bytes(8),
  rab: u8,
  ieee: bytes(3),
  cmic: u8,
  mdts: u8,
  cntlid: u16,
  ver: u32,
  rtd3r: u32,
  rtd3e: u32,
  oaes: u32,
  ctratt: u32,
  reserved100: bytes(11),
  cntrltype: u8,
  reserved112: bytes(144),
  oacs: u16,
  acl: u8,
  aerl: u8,
  frmw: u8,
  lpa: u8,
  elpe: u8,
  npss: u8,
  avscc: u8,
  apsta: u8,
  wctemp: u16,
  cctemp: u16,
  reserved270: bytes(242),
  sqes: u8,
  cqes: u8,
  maxcmd: u16,
  nn: u32,
  oncs: u16,
  fuses: u16,
  fna: u8,
  vwc: u8,
  awun: u16,
  awupf: u16,
  nvscc: u8,
  nwpc: u8,
  acwu: u16,
  reserved534: bytes(2),
  sgls: u32,
  reserved540: bytes(228),
  subnqn: bytes(256),
  reserved1024: bytes(1024),
  power: u16,
});

const Namespace = struct("LE", {
  nsze: u64,
  ncap: u64,
  nuse: u64,
  nsfeat: u8,
  nlbaf: u8,
  flbas: u8,
  mc: u8,
  dpc: u8,
  dps: u8,
  nmic: u8,
  rescap: u8,
  fpi: u8,
  dlfeat: u8,
  reserved34: bytes(65),
  nsattr: u8,
  reserved100: bytes(4),
  nguid: bytes(16),
  eui64: bytes(8),
  /** Metadata size, log2 of the data size, relative performance. */
  lbaf0: u32,
});

const Smart = struct("LE", {
  criticalWarning: u8,
  temperature: u16,
  availableSpare: u8,
  availableSpareThreshold: u8,
  percentageUsed: u8,
  reserved6: bytes(26),
  dataUnitsRead: u64,
  dataUnitsReadHigh: u64,
  dataUnitsWritten: u64,
  dataUnitsWrittenHigh: u64,
  hostReads: u64,
  hostReadsHigh: u64,
  hostWrites: u64,
  hostWritesHigh: u64,
  controllerBusyTime: bytes(16),
  powerCycles: u64,
  powerCyclesHigh: u64,
});
const SMART_LENGTH = 512;
const KELVIN = 273;
const WARNING_CELSIUS = 70;
const CRITICAL_CELSIUS = 80;
export const TEMPERATURE = KELVIN + 30;
export const TEMPERATURE_THRESHOLD = KELVIN + WARNING_CELSIUS;
/** Sectors of a data unit: the log counts thousands of them. */
const DATA_UNIT = 1000;

export interface SmartCounters {
  sectorsRead: number;
  sectorsWritten: number;
  reads: number;
  writes: number;
}

export interface LoggedError {
  count: number;
  sqid: number;
  cid: number;
  /** As in the completion, with the phase tag's bit. */
  status: number;
  lba: number;
  nsid: number;
}

/** ASCII, padded with spaces. */
function ascii(text: string, length: number): Uint8Array {
  const result = new Uint8Array(length).fill(0x20);
  for (let i = 0; i < Math.min(text.length, length); i++) result[i] = text.charCodeAt(i) & 0x7f;
  return result;
}

const codesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);

function padded(part: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  result.set(part.subarray(0, length));
  return result;
}

export function identifyController(serial: string): Uint8Array {
  const nqn = `nqn.2026-01.dev.bunkhouse:nvme:${serial}`;
  const controller = Controller.make({
    vid: VENDOR,
    ssvid: VENDOR,
    sn: ascii(serial, 20),
    mn: ascii(MODEL, 40),
    fr: ascii(FIRMWARE, 8),
    mdts: MDTS,
    ver: VERSION_1_4,
    cntrltype: 1,
    // Aborts and event requests at a time, less one.
    acl: 3,
    aerl: MOST_EVENT_REQUESTS - 1,
    // One firmware slot, read-only.
    frmw: 0x03,
    elpe: ERROR_LOG_LENGTH - 1,
    wctemp: KELVIN + WARNING_CELSIUS,
    cctemp: KELVIN + CRITICAL_CELSIUS,
    sqes: (SQES << 4) | SQES,
    cqes: (CQES << 4) | CQES,
    nn: NSID,
    // DATASET MANAGEMENT and WRITE ZEROES.
    oncs: 0x0c,
    // There is a write cache; FLUSH of all namespaces is known.
    vwc: 0x07,
    subnqn: padded(codesOf(nqn), 256),
    // 25 W, in hundredths.
    power: 2500,
  });
  return padded(controller, IDENTIFY_LENGTH);
}

export function identifyNamespace(sectors: number, readOnly: boolean, eui64: Uint8Array): Uint8Array {
  const size = BigInt(sectors);
  const namespace = Namespace.make({
    nsze: size,
    ncap: size,
    nuse: size,
    nsattr: readOnly ? 1 : 0,
    eui64,
    lbaf0: Math.log2(SECTOR_SIZE) << 16,
  });
  return padded(namespace, IDENTIFY_LENGTH);
}

/** The namespaces above `after`, of which there is one. */
export function namespaceList(after: number): Uint8Array {
  const list = new Uint8Array(IDENTIFY_LENGTH);
  if (after < NSID) list[0] = NSID;
  return list;
}

const EUI64_DESCRIPTOR = 1;

export function namespaceDescriptors(eui64: Uint8Array): Uint8Array {
  return padded(Uint8Array.of(EUI64_DESCRIPTOR, eui64.length, 0, 0, ...eui64), IDENTIFY_LENGTH);
}

/** Eight bytes that are the same for the same serial number, in the range of identifiers without an owner. */
export function eui64Of(serial: string): Uint8Array {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of codesOf(serial)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  }
  const result = new Uint8Array(8);
  new DataView(result.buffer).setBigUint64(0, hash);
  // Locally administered, no group.
  result[0] = (result[0]! & 0xfc) | 0x02;
  return result;
}

export function smartLog(counters: SmartCounters): Uint8Array {
  const units = (sectors: number) => BigInt(Math.ceil(sectors / DATA_UNIT));
  const log = Smart.make({
    temperature: TEMPERATURE,
    availableSpare: 100,
    availableSpareThreshold: 10,
    dataUnitsRead: units(counters.sectorsRead),
    dataUnitsWritten: units(counters.sectorsWritten),
    hostReads: BigInt(counters.reads),
    hostWrites: BigInt(counters.writes),
    powerCycles: 1n,
  });
  return padded(log, SMART_LENGTH);
}

export function firmwareLog(): Uint8Array {
  const log = new Uint8Array(512);
  // Slot 1 is active.
  log[0] = 0x01;
  log.set(ascii(FIRMWARE, 8), 8);
  return log;
}

/** The latest error first. */
export function errorLog(errors: readonly LoggedError[]): Uint8Array {
  const log = new Uint8Array(ERROR_LOG_LENGTH * ERROR_LOG_ENTRY);
  errors.forEach(({ count, sqid, cid, status, lba, nsid }, index) => {
    const entry = ErrorLogEntry.make({
      errorCount: BigInt(count),
      sqid,
      cid,
      status,
      // Not about a field of the command.
      parameter: 0xffff,
      lba: BigInt(lba),
      nsid,
    });
    log.set(entry, (errors.length - 1 - index) * ERROR_LOG_ENTRY);
  });
  return log;
}
