/** The value of --disk: FILE[,readonly=on][,snapshot=on][,serial=TEXT][,format=NAME][,size=SIZE][,quota=SIZE][,bus=BUS]. */
import { FORMAT_NAMES } from "../disk/formats.ts";
import type { FormatName } from "../disk/image-format.ts";
import { DISK_BUSES, type DiskBus } from "../vm/drive-places.ts";
import { parseSize } from "../vm/size.ts";
import { usageError } from "./failure.ts";

export interface DiskOption {
  readonly file: string;
  /** Undefined where the option does not say: then it depends on the file. */
  readonly readOnly: boolean | undefined;
  readonly snapshot: boolean;
  readonly serial: string | undefined;
  /** Undefined where it is to be found out by content. "raw" attaches the bytes whatever they seem to be. */
  readonly format: FormatName | undefined;
  /** Bytes of the new disk that is made where there is no such file. */
  readonly size: number | undefined;
  /** Bytes of the host's storage that the file may take. */
  readonly quota: number | undefined;
  /** Undefined for what --disk-bus says. */
  readonly bus: DiskBus | undefined;
}

/** @spec virtio 1.2 §5.2.6: VIRTIO_BLK_T_GET_ID gives up to 20 bytes */
const SERIAL_LENGTH = 20;
const KEYS = ["readonly", "snapshot", "serial", "format", "size", "quota", "bus"] as const;
type Key = (typeof KEYS)[number];

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseDisk(text: string): DiskOption {
  const [file = "", ...settings] = splitAtCommas(text);
  if (file === "") throw usageError(`--disk ${text} names no file; write --disk FILE[,readonly=on]`);
  const given = new Map<Key, string>();
  for (const setting of settings) {
    const [key, value] = parseSetting(text, setting);
    if (given.has(key)) throw usageError(`--disk ${text}: ${key} is given twice`);
    given.set(key, value);
  }
  const readOnly = given.get("readonly");
  return {
    file,
    readOnly: readOnly === undefined ? undefined : parseSwitch("readonly", readOnly),
    snapshot: parseSwitch("snapshot", given.get("snapshot") ?? "off"),
    serial: parseSerial(given.get("serial")),
    format: parseFormat(given.get("format")),
    size: parseBytes("size", given.get("size")),
    quota: parseBytes("quota", given.get("quota")),
    bus: parseBus(given.get("bus")),
  };
}

/** Parts of the text between single commas; a double comma is one comma of a part. */
export function splitAtCommas(text: string): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/,,|,|[^,]+/g)) {
    if (piece === ",") parts.push("");
    else parts.push((parts.pop() as string) + (piece === ",," ? "," : piece));
  }
  return parts;
}

function parseSetting(text: string, setting: string): [Key, string] {
  const equals = setting.indexOf("=");
  const name = equals < 0 ? setting : setting.slice(0, equals);
  const key = KEYS.find((known) => known === name);
  if (key === undefined) {
    const known = KEYS.map((key) => `${key}=`).join(", ");
    throw usageError(
      `--disk ${text}: "${setting}" is no setting of a disk; known are ${known} (a comma in a file's name is written ",,")`,
    );
  }
  if (equals < 0) throw usageError(`--disk ${text}: ${key} needs a value, such as ${key}=${EXAMPLES[key]}`);
  return [key, setting.slice(equals + 1)];
}

const EXAMPLES: Readonly<Record<Key, string>> = {
  readonly: "on",
  snapshot: "on",
  serial: "DISK1",
  format: "raw",
  size: "8G",
  quota: "4G",
  bus: "ide",
};

function parseSwitch(key: Key, value: string): boolean {
  if (value === "on" || value === "off") return value === "on";
  throw usageError(`--disk: ${key}=${value} must be ${key}=on or ${key}=off`);
}

function parseSerial(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value.length > SERIAL_LENGTH || !/^[\x20-\x7e]+$/.test(value)) {
    throw usageError(`--disk: serial=${value} must be 1 to ${SERIAL_LENGTH} printable ASCII characters`);
  }
  return value;
}

function parseFormat(value: string | undefined): FormatName | undefined {
  const known = FORMAT_NAMES.find((name) => name === value);
  if (known !== undefined || value === undefined) return known;
  throw usageError(`--disk: format=${value} is not supported; it must be one of ${FORMAT_NAMES.join(", ")}`);
}

function parseBus(value: string | undefined): DiskBus | undefined {
  const known = DISK_BUSES.find((name) => name === value);
  if (known !== undefined || value === undefined) return known;
  throw usageError(`--disk: bus=${value} is not there; it must be one of ${DISK_BUSES.join(", ")}`);
}

const SECTOR = 512;

function parseBytes(key: "size" | "quota", value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const bytes = parseSize(value);
  if (bytes === undefined || bytes < SECTOR) {
    throw usageError(`--disk: ${key}=${value} must be a size of at least 512 bytes, such as ${key}=${EXAMPLES[key]}`);
  }
  // A disk has whole sectors.
  return key === "size" ? Math.ceil(bytes / SECTOR) * SECTOR : bytes;
}
