/** The value of --trace: FILE[,blocks=on][,devices=on][,from=COUNT][,to=COUNT][,every=COUNT][,size=SIZE]. */
import { MIB } from "../bits/units.ts";
import { parseSize } from "../vm/size.ts";
import { splitAtCommas } from "./disk-option.ts";
import { usageError } from "./failure.ts";

export interface TraceOption {
  readonly file: string;
  /** Tell of each block and region that is entered, and of each access to a device. */
  readonly blocks: boolean;
  readonly devices: boolean;
  /** Counts of instructions: from the first on, before the second; and between two lines of registers. */
  readonly from: number;
  readonly to: number;
  readonly every: number;
  /** Bytes of the file at the most. */
  readonly size: number;
}

const DEFAULTS = { from: 0, to: Number.POSITIVE_INFINITY, every: 1_000_000, size: 256 * MIB };
const SETTINGS = ["blocks", "devices", "from", "to", "every", "size"] as const;
type Setting = (typeof SETTINGS)[number];

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseTrace(text: string): TraceOption {
  const [file = "", ...settings] = splitAtCommas(text);
  if (file === "") throw usageError(`--trace ${text} names no file; write --trace FILE[,blocks=on]`);
  const given = new Map<Setting, string>();
  for (const setting of settings) {
    const [name = "", value = ""] = setting.split("=", 2);
    const known = SETTINGS.find((key) => key === name);
    if (known === undefined) {
      const all = SETTINGS.map((key) => `${key}=`).join(", ");
      throw usageError(`--trace ${text}: "${setting}" is no setting of a trace; known are ${all}`);
    }
    if (given.has(known)) throw usageError(`--trace ${text}: ${known} is given twice`);
    given.set(known, value);
  }
  const isOn = (key: "blocks" | "devices"): boolean => {
    const value = given.get(key) ?? "off";
    if (value !== "on" && value !== "off") throw usageError(`--trace ${text}: ${key}= must be on or off`);
    return value === "on";
  };
  const number = (key: "from" | "to" | "every"): number => {
    const value = given.get(key);
    if (value === undefined) return DEFAULTS[key];
    if (!/^\d{1,15}$/.test(value) || (key === "every" && Number(value) === 0)) {
      throw usageError(`--trace ${text}: ${key}= must be a count of instructions, such as ${key}=1000000`);
    }
    return Number(value);
  };
  return {
    file,
    blocks: isOn("blocks"),
    devices: isOn("devices"),
    from: number("from"),
    to: number("to"),
    every: number("every"),
    size: sizeOf(text, given.get("size")),
  };
}

function sizeOf(text: string, value: string | undefined): number {
  const size = value === undefined ? DEFAULTS.size : parseSize(value);
  if (size === undefined) throw usageError(`--trace ${text}: size= must be a size such as 64M`);
  return size;
}
