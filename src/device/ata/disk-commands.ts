/**
 * Which data command of an ATA disk does what: direction, protocol, width of addresses.
 * @spec ATA/ATAPI-7 volume 1 §6; ACS-3 §7 for the queued ones
 */
import { Command } from "./registers.ts";

export interface DataCommand {
  readonly protocol: "none" | "pioIn" | "pioOut" | "dmaIn" | "dmaOut" | "queuedIn" | "queuedOut";
  /** 48-bit address and 16-bit count. */
  readonly extended: boolean;
  /** PIO in blocks of several sectors. */
  readonly multiple?: boolean;
  /** On stable storage when it completes, whatever the cache is set to. */
  readonly fua?: boolean;
}

const one = (protocol: DataCommand["protocol"]): DataCommand => ({ protocol, extended: false });
const ext = (protocol: DataCommand["protocol"]): DataCommand => ({ protocol, extended: true });

export const DATA_COMMANDS: ReadonlyMap<number, DataCommand> = new Map<number, DataCommand>([
  [Command.readSectors, one("pioIn")],
  [Command.readSectorsOnce, one("pioIn")],
  [Command.readSectorsExt, ext("pioIn")],
  [Command.readMultiple, { ...one("pioIn"), multiple: true }],
  [Command.readMultipleExt, { ...ext("pioIn"), multiple: true }],
  [Command.readDma, one("dmaIn")],
  [Command.readDmaOnce, one("dmaIn")],
  [Command.readDmaExt, ext("dmaIn")],
  [Command.readFpdmaQueued, ext("queuedIn")],
  [Command.writeSectors, one("pioOut")],
  [Command.writeSectorsOnce, one("pioOut")],
  [Command.writeSectorsExt, ext("pioOut")],
  [Command.writeMultiple, { ...one("pioOut"), multiple: true }],
  [Command.writeMultipleExt, { ...ext("pioOut"), multiple: true }],
  [Command.writeMultipleFuaExt, { ...ext("pioOut"), multiple: true, fua: true }],
  [Command.writeDma, one("dmaOut")],
  [Command.writeDmaOnce, one("dmaOut")],
  [Command.writeDmaExt, ext("dmaOut")],
  [Command.writeDmaFuaExt, { ...ext("dmaOut"), fua: true }],
  [Command.writeFpdmaQueued, ext("queuedOut")],
  [Command.readVerify, one("none")],
  [Command.readVerifyOnce, one("none")],
  [Command.readVerifyExt, ext("none")],
]);

export const isWrite = ({ protocol }: DataCommand): boolean =>
  protocol === "pioOut" || protocol === "dmaOut" || protocol === "queuedOut";
