/** The value of --floppy: FILE[,readonly=on][,snapshot=on][,type=TYPE], or none[,type=TYPE] for an empty drive. */
import { FLOPPY_TYPE_NAMES, type FloppyType } from "../device/i82077/medium.ts";
import type { FloppyOptions } from "../vm/node/floppies.ts";
import { splitAtCommas } from "./disk-option.ts";
import { usageError } from "./failure.ts";

export const MOST_FLOPPIES = 2;
const EMPTY = "none";
const EXAMPLES = { readonly: "on", snapshot: "on", type: "1.44M" } as const;
type Key = keyof typeof EXAMPLES;
const KEYS = Object.keys(EXAMPLES) as Key[];

/** Throws CliError with what to change. */
export function parseFloppy(text: string): FloppyOptions {
  const [file = "", ...settings] = splitAtCommas(text);
  if (file === "") throw usageError(`--floppy ${text} names no file; write --floppy FILE, or none for an empty drive`);
  const given = new Map<Key, string>();
  for (const setting of settings) {
    const [name = "", value] = setting.split(/=(.*)/s);
    const key = KEYS.find((known) => known === name);
    if (key === undefined) {
      const known = KEYS.map((each) => `${each}=`).join(", ");
      throw usageError(`--floppy ${text}: "${name}" is no setting of a floppy; known are ${known}`);
    }
    if (value === undefined) {
      throw usageError(`--floppy ${text}: ${key} needs a value, such as ${key}=${EXAMPLES[key]}`);
    }
    if (given.has(key)) throw usageError(`--floppy ${text}: ${key} is given twice`);
    given.set(key, value);
  }
  const type = parseType(given.get("type"));
  const readOnly = parseSwitch("readonly", given.get("readonly"));
  const snapshot = parseSwitch("snapshot", given.get("snapshot"));
  if (file === EMPTY && (readOnly || snapshot)) {
    throw usageError(`--floppy ${text}: an empty drive has no such setting; ./none is a file of that name`);
  }
  return {
    ...(file === EMPTY ? {} : { disk: { file, readOnly, snapshot } }),
    ...(type === undefined ? {} : { type }),
  };
}

function parseType(value: string | undefined): FloppyType | undefined {
  const type = FLOPPY_TYPE_NAMES.find((name) => name === value);
  if (type !== undefined || value === undefined) return type;
  throw usageError(`--floppy: type=${value} is no type of drive; it must be one of ${FLOPPY_TYPE_NAMES.join(", ")}`);
}

function parseSwitch(key: Key, value = "off"): boolean {
  if (value === "on" || value === "off") return value === "on";
  throw usageError(`--floppy: ${key}=${value} must be ${key}=on or ${key}=off`);
}
