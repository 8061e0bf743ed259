/** The value of --cdrom: FILE[,bus=BUS]. */
import { CDROM_BUSES, type CdromBus } from "../vm/drive-places.ts";
import { splitAtCommas } from "./disk-option.ts";
import { usageError } from "./failure.ts";

export interface CdromOption {
  readonly file: string;
  /** Undefined for "ide". */
  readonly bus: CdromBus | undefined;
}

/** Throws CliError with what to change. A comma in the file's name is written twice. */
export function parseCdrom(text: string): CdromOption {
  const [file = "", ...settings] = splitAtCommas(text);
  if (file === "") throw usageError(`--cdrom ${text} names no file; write --cdrom FILE[,bus=ahci]`);
  let bus: CdromBus | undefined;
  for (const setting of settings) {
    const [key, value] = setting.split(/=(.*)/s);
    const known = CDROM_BUSES.find((name) => name === value);
    if (key !== "bus") {
      throw usageError(
        `--cdrom ${text}: "${setting}" is no setting of a CD drive; known is bus= (a comma in a file's name is written ",,")`,
      );
    }
    if (bus !== undefined) throw usageError(`--cdrom ${text}: bus is given twice`);
    if (known === undefined) throw usageError(`--cdrom: bus=${value} must be one of ${CDROM_BUSES.join(", ")}`);
    bus = known;
  }
  return { file, bus };
}
