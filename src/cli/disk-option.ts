/** The value of --disk: FILE[,readonly=on][,snapshot=on][,serial=TEXT][,format=NAME][,size=SIZE][,quota=SIZE][,bus=BUS]. */
import { FORMAT_NAMES } from "../disk/formats.ts";
import type { FormatName } from "../disk/image-format.ts";
import { DISK_BUSES, type DiskBus } from "../vm/drive-places.ts";
import { parseSize } from "../vm/size.ts";
import { usageError } from "./failure.ts";
import { parseSettings, type SettingsDescription } from "./settings.ts";

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
const SETTINGS = {
  option: "--disk",
  of: "a disk",
  examples: { readonly: "on", snapshot: "on", serial: "DISK1", format: "raw", size: "8G", quota: "4G", bus: "ide" },
} as const satisfies SettingsDescription<string>;

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseDisk(text: string): DiskOption {
  const settings = parseSettings(text, SETTINGS);
  const file = settings.first;
  if (file === "") throw usageError(`--disk ${text} names no file; write --disk FILE[,readonly=on]`);
  return {
    file,
    readOnly: settings.get("readonly") === undefined ? undefined : settings.isOn("readonly"),
    snapshot: settings.isOn("snapshot"),
    serial: parseSerial(settings.get("serial")),
    format: parseFormat(settings.get("format")),
    size: parseBytes("size", settings.get("size")),
    quota: parseBytes("quota", settings.get("quota")),
    bus: settings.choice("bus", DISK_BUSES),
  };
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

const SECTOR = 512;

function parseBytes(key: "size" | "quota", value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const bytes = parseSize(value);
  if (bytes === undefined || bytes < SECTOR) {
    throw usageError(
      `--disk: ${key}=${value} must be a size of at least 512 bytes, such as ${key}=${SETTINGS.examples[key]}`,
    );
  }
  // A disk has whole sectors.
  return key === "size" ? Math.ceil(bytes / SECTOR) * SECTOR : bytes;
}
