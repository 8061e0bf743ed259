/** The two headers of a VHDX image, and its regions. */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { holds } from "../sample.ts";
import {
  crc32c,
  FILE_SIGNATURE,
  Guid,
  HEADER_PLACES,
  HEADER_SIGNATURE,
  HEADER_SIZE,
  Header,
  KIB64,
  MIB,
  MOST_REGIONS,
  REGION_PLACES,
  REGION_SIGNATURE,
  REGION_SIZE,
  RegionEntry,
  RegionTable,
  sameBytes,
} from "./layout.ts";
import { openFailure } from "./problems.ts";

export interface CurrentHeader {
  /** Which of the two places it is in. */
  readonly place: 0 | 1;
  readonly bytes: Uint8Array;
}

/** The header that counts (§2.2.2.1). */
export async function readHeader(store: ByteStore): Promise<CurrentHeader> {
  const start = new Uint8Array(FILE_SIGNATURE.length);
  await store.read(byteOffset(0), start);
  if (!holds(start, 0, FILE_SIGNATURE)) throw openFailure(store.name, { kind: "not-vhdx" });
  const valid: CurrentHeader[] = [];
  for (const place of [0, 1] as const) {
    const bytes = new Uint8Array(HEADER_SIZE);
    await store.read(byteOffset(HEADER_PLACES[place]), bytes);
    const { signature, checksum } = Header.at(bytes);
    if (signature === HEADER_SIGNATURE && checksum === crc32c(bytes, Header.offset.checksum))
      valid.push({ place, bytes });
  }
  const [first, second] = valid;
  if (first === undefined) throw openFailure(store.name, { kind: "corrupt", what: "neither of its headers is right" });
  const isSecond = second !== undefined && Header.at(second.bytes).sequence > Header.at(first.bytes).sequence;
  const current = isSecond ? second : first;
  const { version, logOffset, logLength } = Header.at(current.bytes);
  if (version !== 1) throw openFailure(store.name, { kind: "bad-version", version });
  const end = logOffset + BigInt(logLength);
  if (logOffset % BigInt(MIB) !== 0n || logLength % MIB !== 0 || logOffset < BigInt(MIB) || end > BigInt(store.size)) {
    throw openFailure(store.name, { kind: "corrupt", what: "its log is not in the file" });
  }
  return current;
}

/** Writes a changed header to the place that does not count, where it then does. */
export async function writeHeader(
  store: ByteStore,
  current: CurrentHeader,
  change: (header: ReturnType<typeof Header.at>) => void,
): Promise<CurrentHeader> {
  const bytes = current.bytes.slice();
  const header = Header.at(bytes);
  header.sequence = (header.sequence + 1n) & 0xffff_ffff_ffff_ffffn;
  change(header);
  header.checksum = crc32c(bytes, Header.offset.checksum);
  const place = current.place === 0 ? 1 : 0;
  await store.flush();
  await store.write(byteOffset(HEADER_PLACES[place]), bytes);
  await store.flush();
  return { place, bytes };
}

export interface Regions {
  readonly bat: { readonly offset: number; readonly length: number };
  readonly metadata: { readonly offset: number; readonly length: number };
}

/** §2.2.3 */
export async function readRegions(store: ByteStore): Promise<Regions> {
  const corrupt = (what: string) => openFailure(store.name, { kind: "corrupt", what });
  for (const place of REGION_PLACES) {
    const bytes = new Uint8Array(REGION_SIZE);
    await store.read(byteOffset(place), bytes);
    const { signature, checksum, entryCount } = RegionTable.at(bytes);
    if (signature !== REGION_SIGNATURE || checksum !== crc32c(bytes, RegionTable.offset.checksum)) continue;
    if (entryCount > MOST_REGIONS) throw corrupt(`${entryCount} regions`);
    let bat: Regions["bat"] | undefined;
    let metadata: Regions["metadata"] | undefined;
    for (let i = 0; i < entryCount; i++) {
      const entry = RegionEntry.at(bytes, RegionTable.size + i * RegionEntry.size);
      const isBat = sameBytes(entry.guid, Guid.bat);
      if (!isBat && !sameBytes(entry.guid, Guid.metadata)) {
        if ((entry.required & 1) !== 0)
          throw openFailure(store.name, { kind: "unknown-part", what: "an unknown region" });
        continue;
      }
      const [offset, length] = [Number(entry.fileOffset), entry.length];
      const isPlaced = offset >= MIB && offset % KIB64 === 0 && offset + length <= Math.ceil(store.size / MIB) * MIB;
      if (!isPlaced || length === 0) throw corrupt("a region is not in the file");
      if (isBat) bat = { offset, length };
      else metadata = { offset, length };
    }
    if (bat === undefined || metadata === undefined) throw corrupt("it lacks a region");
    return { bat, metadata };
  }
  throw corrupt("neither of its region tables is right");
}
