/**
 * The log of a VHDX image: changes to its tables that were safe in the log when the host crashed, and are made
 * again from there.
 *
 * @spec [MS-VHDX] §2.3
 */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import type { CurrentHeader } from "./headers.ts";
import {
  crc32c,
  DATA_DESCRIPTOR,
  DATA_SECTOR,
  Header,
  LOG_SECTOR,
  LOG_SIGNATURE,
  LogDescriptor,
  LogEntry,
  MIB,
  sameBytes,
  ZERO_DESCRIPTOR,
} from "./layout.ts";
import { openFailure } from "./problems.ts";

/** An entry of the log that is whole. */
interface Entry {
  /** In the log. */
  readonly start: number;
  readonly length: number;
  readonly tail: number;
  readonly sequence: bigint;
  readonly bytes: Uint8Array;
}

const MOST_LOG = 256 * MIB;

/** Makes the changes of the log's newest whole sequence of entries (§2.3.3), and flushes them. */
export async function replayLog(store: ByteStore, { bytes }: CurrentHeader): Promise<void> {
  const header = Header.at(bytes);
  const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
  if (header.logVersion !== 0)
    throw openFailure(store.name, { kind: "unknown-part", what: `a log of version ${header.logVersion}` });
  if (header.logLength > MOST_LOG) throw corrupt(`a log of ${header.logLength} bytes`);
  const log = new Uint8Array(header.logLength);
  await store.read(byteOffset(Number(header.logOffset)), log);
  const active = newestSequence(log, header.logGuid);
  if (active.length === 0) throw corrupt("its log has no whole entry");
  const last = LogEntry.at((active.at(-1) as Entry).bytes);
  if (BigInt(store.size) < last.flushedFileOffset) throw corrupt("it was cut off");
  const size = Number(last.lastFileOffset);
  // The file may have to grow, but not to any size that damaged bytes may state.
  if (!Number.isSafeInteger(size) || size > store.size + MOST_LOG * 16) throw corrupt(`its log states ${size} bytes`);
  if (size > store.size) await store.resize(size);
  for (const entry of active) await replay(store, entry, corrupt);
  await store.flush();
}

/** The entries from the tail of the newest one on, if all of them are there and in order. */
function newestSequence(log: Uint8Array, logGuid: Uint8Array): Entry[] {
  const entries = new Map<number, Entry>();
  for (let start = 0; start < log.length; start += LOG_SECTOR) {
    const entry = entryAt(log, start, logGuid);
    if (entry !== undefined) entries.set(start, entry);
  }
  const newestFirst = [...entries.values()].sort((a, b) => (a.sequence > b.sequence ? -1 : 1));
  for (const newest of newestFirst) {
    const sequence: Entry[] = [];
    let entry = entries.get(newest.tail);
    while (entry !== undefined && sequence.length <= entries.size) {
      const before = sequence.at(-1);
      if (before !== undefined && entry.sequence !== before.sequence + 1n) break;
      sequence.push(entry);
      if (entry === newest) return sequence;
      entry = entries.get((entry.start + entry.length) % log.length);
    }
  }
  return [];
}

function entryAt(log: Uint8Array, start: number, logGuid: Uint8Array): Entry | undefined {
  const header = LogEntry.at(log, start);
  const { signature, entryLength, tail, sequence, descriptorCount } = header;
  if (signature !== LOG_SIGNATURE || !sameBytes(header.logGuid, logGuid) || sequence === 0n) return undefined;
  if (entryLength < LOG_SECTOR || entryLength % LOG_SECTOR !== 0 || entryLength > log.length) return undefined;
  if (tail % LOG_SECTOR !== 0 || tail >= log.length) return undefined;
  if (LogEntry.size + descriptorCount * LogDescriptor.size > entryLength) return undefined;
  // An entry may go on at the start of the log.
  const bytes = new Uint8Array(entryLength);
  const first = Math.min(entryLength, log.length - start);
  bytes.set(log.subarray(start, start + first));
  bytes.set(log.subarray(0, entryLength - first), first);
  if (LogEntry.at(bytes).checksum !== crc32c(bytes, LogEntry.offset.checksum)) return undefined;
  return { start, length: entryLength, tail, sequence, bytes };
}

async function replay(store: ByteStore, { bytes, sequence }: Entry, corrupt: (what: string) => Error): Promise<void> {
  const { descriptorCount } = LogEntry.at(bytes);
  let sector = Math.ceil((LogEntry.size + descriptorCount * LogDescriptor.size) / LOG_SECTOR) * LOG_SECTOR;
  for (let i = 0; i < descriptorCount; i++) {
    const at = LogEntry.size + i * LogDescriptor.size;
    const descriptor = LogDescriptor.at(bytes, at);
    const offset = Number(descriptor.fileOffset);
    if (descriptor.sequence !== sequence || offset % LOG_SECTOR !== 0) throw corrupt("an entry of its log is wrong");
    if (descriptor.signature === ZERO_DESCRIPTOR) {
      const length = Number(descriptor.leading);
      if (!Number.isSafeInteger(length) || offset + length > store.size)
        throw corrupt("its log leads outside the file");
      await store.writeZeroes(byteOffset(offset), length);
      continue;
    }
    if (descriptor.signature !== DATA_DESCRIPTOR || sector + LOG_SECTOR > bytes.length) {
      throw corrupt("an entry of its log is wrong");
    }
    if (offset + LOG_SECTOR > Math.ceil(store.size / MIB) * MIB) throw corrupt("its log leads outside the file");
    await store.write(byteOffset(offset), dataOf(bytes, at, sector, sequence, corrupt));
    sector += LOG_SECTOR;
  }
}

/** The sector of a data descriptor (§2.3.1.4): its ends are in the descriptor, where numbers took their places. */
function dataOf(
  bytes: Uint8Array,
  descriptor: number,
  sector: number,
  sequence: bigint,
  corrupt: (what: string) => Error,
): Uint8Array {
  const data = bytes.slice(sector, sector + LOG_SECTOR);
  const view = new DataView(data.buffer);
  const low = view.getUint32(LOG_SECTOR - 4, true);
  const found = (BigInt(view.getUint32(4, true)) << 32n) | BigInt(low);
  if (view.getUint32(0, true) !== DATA_SECTOR || found !== sequence) throw corrupt("a sector of its log is wrong");
  const leading = LogDescriptor.offset.leading;
  data.set(bytes.subarray(descriptor + leading, descriptor + leading + 8), 0);
  const trailing = LogDescriptor.offset.trailing;
  data.set(bytes.subarray(descriptor + trailing, descriptor + trailing + 4), LOG_SECTOR - 4);
  return data;
}
