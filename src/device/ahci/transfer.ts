/** Serves one ATA command whose data lie in memory, whatever the protocol: the steps between its first and last. */

import type { Scratch } from "../../machine/scratch.ts";
import type { AtaDrive, AtaEnd, AtaTask } from "../ata/ata-drive.ts";
import type { PrdTable } from "./prd-table.ts";

/** A host operation that the command waits for. */
export interface HostStep {
  readonly operation: () => Promise<void>;
  /** Bytes of data before it. */
  readonly at: number;
}

/** How a command's data ended: with registers, or where memory that it names is not there. */
export type TransferEnd =
  | { readonly kind: "ended"; readonly end: AtaEnd; readonly overflow: boolean }
  | { readonly kind: "bus-error" };

/** Bytes that are asked of the host at once. */
export const PIECE = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** `scratch`: where it is given, what the host does at once need not be waited for. */
export function* transfer(
  drive: AtaDrive,
  task: AtaTask,
  prds: PrdTable,
  scratch: Scratch | undefined,
): Generator<HostStep, TransferEnd, void> {
  const { protocol, length, data } = task;
  const ended = (end: AtaEnd, overflow = false): TransferEnd => ({ kind: "ended", end, overflow });
  if (task.end !== undefined) return ended(task.end);
  let overflow = false;
  let gathered: Uint8Array = NOTHING;
  if (protocol === "pioIn" || protocol === "dmaIn" || protocol === "queuedIn") {
    for (let at = 0; at < length && !overflow; at += PIECE) {
      const size = Math.min(length - at, PIECE);
      let piece = data?.subarray(at, at + size) ?? readNow(drive, task, at, scratch?.take(size));
      if (piece === undefined) {
        const read = new Uint8Array(size);
        yield { operation: () => drive.read(task, at, read), at };
        piece = read;
      }
      const result = prds.put(piece);
      if (result === "error") return { kind: "bus-error" };
      // What there is no room for is dropped.
      overflow = result === "short";
    }
  } else if (protocol === "pioOut" || protocol === "dmaOut" || protocol === "queuedOut") {
    for (let at = 0; at < length; at += PIECE) {
      const size = Math.min(length - at, PIECE);
      const source = scratch?.take(size) ?? new Uint8Array(size);
      const result = prds.take(source);
      if (result === "error") return { kind: "bus-error" };
      if (result === "short") return ended(drive.abort(task));
      if (!task.gathers && scratch !== undefined && drive.writeNow(task, at, source)) continue;
      const piece = scratch === undefined ? source : source.slice();
      if (task.gathers) gathered = piece;
      else yield { operation: () => drive.write(task, at, piece), at };
    }
  }
  if (task.finishes) yield { operation: () => drive.finish(task, gathered), at: length };
  return ended(drive.complete(task, gathered), overflow);
}

/** `target` with data that are at hand; undefined where they are not. */
function readNow(drive: AtaDrive, task: AtaTask, at: number, target: Uint8Array | undefined): Uint8Array | undefined {
  return target !== undefined && drive.readNow(task, at, target) ? target : undefined;
}
