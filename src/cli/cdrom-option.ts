/** The value of --cdrom: FILE[,bus=BUS]. */
import { CDROM_BUSES, type CdromBus } from "../vm/drive-places.ts";
import { usageError } from "./failure.ts";
import { parseSettings, type SettingsDescription } from "./settings.ts";

export interface CdromOption {
  readonly file: string;
  /** Undefined for "ide". */
  readonly bus: CdromBus | undefined;
}

const SETTINGS = {
  option: "--cdrom",
  of: "a CD drive",
  examples: { bus: "ahci" },
} as const satisfies SettingsDescription<string>;

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseCdrom(text: string): CdromOption {
  const settings = parseSettings(text, SETTINGS);
  const file = settings.first;
  if (file === "") throw usageError(`--cdrom ${text} names no file; write --cdrom FILE[,bus=ahci]`);
  return { file, bus: settings.choice("bus", CDROM_BUSES) };
}
