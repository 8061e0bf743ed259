/** The commands that move data, by their bytes. @spec Intel 82077AA datasheet (290166), §5.1 */
import { type CommandName, Flags, Unit } from "./registers.ts";
import type { TransferState } from "./transfer.ts";

/** The transfer that a command's bytes ask for. */
export function transferOf(name: CommandName, command: readonly number[]): TransferState {
  const [first = 0, second = 0, ...rest] = command;
  const { multiTrack, mfm, skip } = Flags(first);
  const { drive, head, enableCount } = Unit(second);
  const flags = { mfm, skip: false, deleted: false, wrongHead: false, terminalCount: false };
  const shared = { drive, ...flags, moved: 0, step: "host" } as const;
  if (name === "formatTrack") {
    const [sizeCode = 0, sectors = 0, , filler = 0] = rest;
    const id = { cylinder: 0, head: Number(head), sector: 1, sizeCode, last: sectors };
    const buffer = new Uint8Array(sectors * 4);
    return { ...shared, ...id, operation: "format", multiTrack: false, left: 0, filler, buffer };
  }
  const [cylinder = 0, idHead = 0, sector = 0, sizeCode = 0, last = 0, , length = 0] = rest;
  return {
    ...shared,
    operation: name === "verify" ? "verify" : name.startsWith("write") ? "write" : "read",
    deleted: name === "readDeletedData",
    skip,
    multiTrack: multiTrack && name !== "readTrack",
    cylinder,
    head: Number(head),
    // Sectors have the number of the head that they are under.
    wrongHead: idHead !== Number(head),
    sector: name === "readTrack" ? 1 : sector,
    sizeCode,
    last,
    left: name === "verify" && enableCount ? length : 0,
    filler: 0,
    buffer: new Uint8Array(0),
  };
}
