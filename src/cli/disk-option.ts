/** The value of --disk: FILE[,readonly=on][,snapshot=on][,serial=TEXT][,format=raw]. */
import { usageError } from "./failure.ts";

export interface DiskOption {
  readonly file: string;
  /** Undefined where the option does not say: then it depends on the file. */
  readonly readOnly: boolean | undefined;
  readonly snapshot: boolean;
  readonly serial: string | undefined;
  /** The bytes are the disk's, even if the file seems to be an image of another format. */
  readonly raw: boolean;
}

/** @spec virtio 1.2 §5.2.6: VIRTIO_BLK_T_GET_ID gives up to 20 bytes */
const SERIAL_LENGTH = 20;
const KEYS = ["readonly", "snapshot", "serial", "format"] as const;
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
    raw: parseFormat(given.get("format")),
  };
}

/** Parts of the text between single commas; a double comma is one comma of a part. */
function splitAtCommas(text: string): string[] {
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

const EXAMPLES: Readonly<Record<Key, string>> = { readonly: "on", snapshot: "on", serial: "DISK1", format: "raw" };

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

function parseFormat(value: string | undefined): boolean {
  if (value === undefined) return false;
  if (value === "raw") return true;
  throw usageError(
    `--disk: format=${value} is not supported, only format=raw; convert it with: qemu-img convert -O raw`,
  );
}
