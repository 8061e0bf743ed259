/** The value of --floppy: FILE[,readonly=on][,snapshot=on][,type=TYPE], or none[,type=TYPE] for an empty drive. */
import { FLOPPY_TYPE_NAMES } from "../device/i82077/medium.ts";
import type { FloppyOptions } from "../vm/node/floppies.ts";
import { usageError } from "./failure.ts";
import { parseSettings, type SettingsDescription } from "./settings.ts";

export const MOST_FLOPPIES = 2;
const EMPTY = "none";
const SETTINGS = {
  option: "--floppy",
  of: "a floppy",
  examples: { readonly: "on", snapshot: "on", type: "1.44M" },
} as const satisfies SettingsDescription<string>;

/** Throws CliError with what to change. */
export function parseFloppy(text: string): FloppyOptions {
  const settings = parseSettings(text, SETTINGS);
  const file = settings.first;
  if (file === "") throw usageError(`--floppy ${text} names no file; write --floppy FILE, or none for an empty drive`);
  const type = settings.choice("type", FLOPPY_TYPE_NAMES);
  const readOnly = settings.isOn("readonly");
  const snapshot = settings.isOn("snapshot");
  if (file === EMPTY && (readOnly || snapshot)) {
    throw usageError(`--floppy ${text}: an empty drive has no such setting; ./none is a file of that name`);
  }
  return {
    ...(file === EMPTY ? {} : { disk: { file, readOnly, snapshot } }),
    ...(type === undefined ? {} : { type }),
  };
}
