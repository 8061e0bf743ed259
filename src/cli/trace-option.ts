/** The value of --trace: FILE[,blocks=on][,devices=on][,from=COUNT][,to=COUNT][,every=COUNT][,size=SIZE]. */
import { MIB } from "../bits/units.ts";
import { parseSize } from "../vm/size.ts";
import { usageError } from "./failure.ts";
import { parseSettings, type SettingsDescription } from "./settings.ts";

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
const SETTINGS = {
  option: "--trace",
  of: "a trace",
  examples: { blocks: "on", devices: "on", from: "1000000", to: "2000000", every: "1000000", size: "64M" },
} as const satisfies SettingsDescription<string>;

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseTrace(text: string): TraceOption {
  const settings = parseSettings(text, SETTINGS);
  const file = settings.first;
  if (file === "") throw usageError(`--trace ${text} names no file; write --trace FILE[,blocks=on]`);
  const number = (key: "from" | "to" | "every"): number => {
    const value = settings.get(key);
    if (value === undefined) return DEFAULTS[key];
    if (!/^\d{1,15}$/.test(value) || (key === "every" && Number(value) === 0)) {
      throw usageError(`--trace ${text}: ${key}= must be a count of instructions, such as ${key}=1000000`);
    }
    return Number(value);
  };
  return {
    file,
    blocks: settings.isOn("blocks"),
    devices: settings.isOn("devices"),
    from: number("from"),
    to: number("to"),
    every: number("every"),
    size: sizeOf(text, settings.get("size")),
  };
}

function sizeOf(text: string, value: string | undefined): number {
  const size = value === undefined ? DEFAULTS.size : parseSize(value);
  if (size === undefined) throw usageError(`--trace ${text}: size= must be a size such as 64M`);
  return size;
}
