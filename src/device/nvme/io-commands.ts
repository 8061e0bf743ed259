/**
 * Commands of the NVM command set. Data are copied between guest memory and a buffer of its own at one moment of guest
 * time, so that neither the host's timing shows in what a disk gets nor a reset is followed by writes into memory.
 * @spec NVM Express 1.4c, §6 "NVM Command Set"
 */
import { type ByteOffset, byteOffset, PAGE_SIZE, SECTOR_SIZE } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { gather, type Parts } from "../../disk/parts.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { MDTS, NSID } from "./identify.ts";
import { Feature, Nvm, Range, type Sqe, SqeFlags, Status } from "./layout.ts";
import { load, segmentsOf, store, viewsOf } from "./prp.ts";
import type { NvmeState } from "./state.ts";

export type Command = ReturnType<typeof Sqe.at>;

/** What a command ends with. */
export interface Outcome {
  readonly status: number;
  readonly result?: number;
}

/** A host operation that a command waits for. */
export interface HostStep {
  readonly operation: () => Promise<void>;
  /** The status where it fails. */
  readonly failure: number;
}

/** Runs in guest time and waits for the host's steps, each of which must succeed for it to go on. */
export type Steps = Generator<HostStep, Outcome, void>;

export interface IoContext {
  readonly state: NvmeState;
  readonly disk: BlockDevice;
  readonly memory: GuestMemory;
  /** Reads at once where that is possible; returns whether `targets` are filled. */
  readNow(offset: ByteOffset, targets: Parts): boolean;
  /** Writes at once where that is possible; returns whether `sources` are stored. */
  writeNow(offset: ByteOffset, sources: Parts): boolean;
}

export const MOST_BYTES = PAGE_SIZE << MDTS;
const ALL_NAMESPACES = 0xffff_ffff;
const FORCE_UNIT_ACCESS = 0x4000_0000;
const DEALLOCATE = 4;
const MOST_RANGES = 256;

const OK: Outcome = { status: Status.success };
const failed = (status: number): Outcome => ({ status });

export function* ioCommand(context: IoContext, command: Command): Steps {
  const { fuse, psdt } = SqeFlags(command.flags);
  if (fuse !== 0 || psdt !== 0) return failed(Status.invalidField);
  const { opcode, nsid } = command;
  if (nsid !== NSID && !(opcode === Nvm.flush && nsid === ALL_NAMESPACES)) return failed(Status.invalidNamespace);
  switch (opcode) {
    case Nvm.flush:
      yield flush(context);
      return OK;
    case Nvm.read:
      return yield* read(context, command);
    case Nvm.write:
      return yield* write(context, command);
    case Nvm.writeZeroes:
      return yield* writeZeroes(context, command);
    case Nvm.datasetManagement:
      return yield* datasetManagement(context, command);
    default:
      return failed(Status.invalidOpcode);
  }
}

const flush = ({ disk }: IoContext): HostStep => ({
  operation: () => disk.flush(),
  failure: Status.internalError,
});

/** The blocks of a command, as bytes of the disk; or the status to end with. */
function extent({ disk }: IoContext, { cdw10, cdw11, cdw12 }: Command): { start: number; length: number } | number {
  const start = (cdw10 + cdw11 * 2 ** 32) * SECTOR_SIZE;
  const length = ((cdw12 & 0xffff) + 1) * SECTOR_SIZE;
  return start + length <= disk.size ? { start, length } : Status.lbaOutOfRange;
}

function* read(context: IoContext, command: Command): Steps {
  const { disk, memory, state } = context;
  const where = extent(context, command);
  if (typeof where === "number") return failed(where);
  const { start, length } = where;
  if (length > MOST_BYTES) return failed(Status.invalidField);
  const segments = segmentsOf(memory, command.prp1, command.prp2, length);
  if (typeof segments === "number") return failed(segments);
  const offset = byteOffset(start);
  const targets = viewsOf(memory, segments, "write");
  if (targets === undefined) return failed(Status.dataTransferError);
  let isStored = context.readNow(offset, targets);
  if (!isStored) {
    const buffer = new Uint8Array(length);
    yield { operation: () => disk.read(offset, buffer), failure: Status.unrecoveredReadError };
    isStored = store(memory, segments, buffer);
  }
  state.smart.reads++;
  state.smart.sectorsRead += length / SECTOR_SIZE;
  return isStored ? OK : failed(Status.dataTransferError);
}

/** Whether a completed write must be stable. */
const writeThrough = ({ state }: IoContext, { cdw12 }: Command): boolean =>
  (cdw12 & FORCE_UNIT_ACCESS) !== 0 || ((state.features[Feature.volatileWriteCache] ?? 0) & 1) === 0;

function* write(context: IoContext, command: Command): Steps {
  const { disk, memory, state } = context;
  const where = extent(context, command);
  if (typeof where === "number") return failed(where);
  const { start, length } = where;
  if (length > MOST_BYTES) return failed(Status.invalidField);
  if (disk.readOnly) return failed(Status.writeProtected);
  const segments = segmentsOf(memory, command.prp1, command.prp2, length);
  if (typeof segments === "number") return failed(segments);
  const offset = byteOffset(start);
  const sources = viewsOf(memory, segments, "read");
  if (sources === undefined) return failed(Status.dataTransferError);
  if (!context.writeNow(offset, sources)) {
    const buffer = new Uint8Array(length);
    gather(sources, buffer);
    yield { operation: () => disk.write(offset, buffer), failure: Status.writeFault };
  }
  if (writeThrough(context, command)) yield flush(context);
  state.smart.writes++;
  state.smart.sectorsWritten += length / SECTOR_SIZE;
  return OK;
}

function* writeZeroes(context: IoContext, command: Command): Steps {
  const { disk } = context;
  const where = extent(context, command);
  if (typeof where === "number") return failed(where);
  if (disk.readOnly) return failed(Status.writeProtected);
  const { start, length } = where;
  yield { operation: () => disk.writeZeroes(byteOffset(start), length), failure: Status.writeFault };
  if (writeThrough(context, command)) yield flush(context);
  return OK;
}

function* datasetManagement({ disk, memory }: IoContext, command: Command): Steps {
  const count = (command.cdw10 & 0xff) + 1;
  const bytes = new Uint8Array(Math.min(count, MOST_RANGES) * Range.size);
  const segments = segmentsOf(memory, command.prp1, command.prp2, bytes.length);
  if (typeof segments === "number") return failed(segments);
  if (!load(memory, segments, bytes)) return failed(Status.dataTransferError);
  const ranges: { start: number; length: number }[] = [];
  for (let at = 0; at < bytes.length; at += Range.size) {
    const { start, length } = Range.at(bytes, at);
    const range = { start: Number(start) * SECTOR_SIZE, length: length * SECTOR_SIZE };
    if (range.start + range.length > disk.size) return failed(Status.lbaOutOfRange);
    if (range.length > 0) ranges.push(range);
  }
  // What the other attributes say is advice.
  if ((command.cdw11 & DEALLOCATE) === 0) return OK;
  if (disk.readOnly) return failed(Status.writeProtected);
  for (const { start, length } of ranges) {
    yield { operation: () => disk.discard(byteOffset(start), length), failure: Status.writeFault };
  }
  return OK;
}
