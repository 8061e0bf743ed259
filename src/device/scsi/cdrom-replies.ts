/**
 * What a CD or DVD drive answers about its disc, as bytes: pure functions of the disc's number of blocks.
 * A disc is one session with one data track.
 * @spec MMC-6 §6.22 "READ DISC INFORMATION", §6.23 "READ DISC STRUCTURE", §6.26 "READ TOC/PMA/ATIP", §6.27 "READ TRACK
 * INFORMATION", §5.3 "Features"
 */
import {
  BLOCK_SIZE,
  Capacity,
  concatBytes,
  DATA_TRACK,
  DiscInformation,
  DVD_DATA_START,
  DvdPhysical,
  Feature,
  LARGEST_CD,
  LEAD_OUT_TRACK,
  msfOf,
  Position,
  Profile,
  packMsf,
  SectorHeader,
  TocEntry,
  TocHeader,
  TocTrack,
  TrackInformation,
} from "./cdrom-layout.ts";

export const isDvd = (blocks: number): boolean => blocks > LARGEST_CD;

/** Table of contents, formats 0 to 2; undefined where the request cannot be met. */
export function tableOfContents(format: number, msf: boolean, from: number, blocks: number): Uint8Array | undefined {
  const address = (lba: number) => (msf ? packMsf(msfOf(lba)) : lba);
  const track = (number: number, lba: number) =>
    TocTrack.make({ control: DATA_TRACK, track: number, address: address(lba) });
  switch (format) {
    case 0: {
      if (from > 1 && from !== LEAD_OUT_TRACK) return undefined;
      const tracks = [...(from <= 1 ? [track(1, 0)] : []), track(LEAD_OUT_TRACK, blocks)];
      return withHeader(tracks);
    }
    case 1:
      return withHeader([track(1, 0)]);
    case 2: {
      if (from > 1) return undefined;
      const point = (point: number, place: { minute: number; second: number; frame: number }) =>
        TocEntry.make({ session: 1, control: DATA_TRACK, point, ...place });
      return withHeader([
        point(0xa0, { minute: 1, second: 0, frame: 0 }),
        point(0xa1, { minute: 1, second: 0, frame: 0 }),
        point(0xa2, msfOf(blocks)),
        point(1, msfOf(0)),
      ]);
    }
    default:
      return undefined;
  }
}

/** First and last track, or session, are 1. */
function withHeader(entries: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...entries);
  return concatBytes(TocHeader.make({ length: 2 + body.length, first: 1, last: 1 }), body);
}

/** A finished disc whose last session is complete. */
export function discInformation(): Uint8Array {
  return DiscInformation.make({
    length: DiscInformation.size - 2,
    status: 0x0e,
    firstTrack: 1,
    sessions: 1,
    firstTrackOfLastSession: 1,
    lastTrackOfLastSession: 1,
    // Unrestricted use.
    validity: 0x20,
    lastLeadIn: 0xffff_ffff,
    lastPossibleLeadOut: 0xffff_ffff,
  });
}

/** The one track. */
export function trackInformation(blocks: number): Uint8Array {
  return TrackInformation.make({
    length: TrackInformation.size - 2,
    track: 1,
    session: 1,
    trackMode: 0x04,
    dataMode: 0x01,
    size: blocks,
  });
}

/** Structures of a DVD: physical format (0), copyright (1), manufacturer (4), and their list (FFh). */
export function discStructure(format: number, layer: number, blocks: number): Uint8Array | undefined {
  if (layer !== 0 && format === 0) return undefined;
  switch (format) {
    case 0x00: {
      const end = DVD_DATA_START + blocks - 1;
      // A read-only DVD of 120 mm, one layer that is stamped.
      const physical = DvdPhysical.make({
        bookType: 0x01,
        discSize: 0x0f,
        layers: 0x01,
        startHigh: DVD_DATA_START >>> 16,
        start: DVD_DATA_START & 0xffff,
        endHigh: (end >>> 16) & 0xff,
        end: end & 0xffff,
      });
      return structure(physical, 2048);
    }
    case 0x01:
      return structure(new Uint8Array(4), 4);
    case 0x04:
      return structure(new Uint8Array(2048), 2048);
    case 0xff: {
      const entry = (code: number, length: number) =>
        Uint8Array.of(code, 0x40, ((length + 4) >>> 8) & 0xff, (length + 4) & 0xff);
      const list = concatBytes(entry(0x00, 2048), entry(0x01, 4), entry(0x04, 2048), entry(0xff, 16));
      return structure(list, list.length);
    }
    default:
      return undefined;
  }
}

function structure(body: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(4 + length);
  result[0] = (length + 2) >>> 8;
  result[1] = (length + 2) & 0xff;
  result.set(body.subarray(0, length), 4);
  return result;
}

/** READ CAPACITY. */
export function capacity(blocks: number): Uint8Array {
  return Capacity.make({ lastBlock: Math.max(blocks - 1, 0), blockSize: BLOCK_SIZE });
}

/** READ HEADER: where a sector of mode 1 says that it is. */
export function sectorHeader(lba: number, msf: boolean): Uint8Array {
  return SectorHeader.make({ dataMode: 1, address: msf ? packMsf(msfOf(lba)) : lba });
}

/** READ SUB-CHANNEL: no audio is ever played, so that the position is the track's start; the disc has no numbers. */
export function subChannel(format: number, msf: boolean, subQ: boolean): Uint8Array | undefined {
  const header = (length: number) => Uint8Array.of(0, 0, 0, length);
  if (!subQ) return header(0);
  if (format === 2 || format === 3) return concatBytes(header(20), Uint8Array.of(format), new Uint8Array(19));
  if (format !== 1) return undefined;
  const start = Position.make({ address: msf ? packMsf(msfOf(0)) : 0 });
  return concatBytes(header(4 + start.length), Uint8Array.of(format, DATA_TRACK, 1, 1), start);
}

interface FeatureDescription {
  readonly code: number;
  readonly version?: number;
  readonly persistent?: boolean;
  readonly current: boolean;
  readonly data: readonly number[];
}

/**
 * GET CONFIGURATION's answer. `blocks` is undefined without a disc; `requested` 0 is all features from `from` on, 1 the
 * current ones, 2 only `from`.
 */
export function configuration(blocks: number | undefined, requested: number, from: number): Uint8Array {
  const dvd = blocks !== undefined && isDvd(blocks);
  const cd = blocks !== undefined && !dvd;
  const current = cd ? Profile.cdRom : dvd ? Profile.dvdRom : Profile.none;
  const readable = blocks !== undefined;
  const features: FeatureDescription[] = [
    {
      code: Feature.profileList,
      persistent: true,
      current: true,
      data: [0, Profile.dvdRom, dvd ? 1 : 0, 0, 0, Profile.cdRom, cd ? 1 : 0, 0],
    },
    // Physical interface: ATAPI.
    { code: Feature.core, version: 2, persistent: true, current: true, data: [0, 0, 0, 2, 1, 0, 0, 0] },
    // Operational changes are polled for.
    { code: Feature.morphing, version: 1, persistent: true, current: true, data: [2, 0, 0, 0] },
    // A tray that can be locked and ejected.
    { code: Feature.removableMedium, version: 1, persistent: true, current: true, data: [0x39, 0, 0, 0] },
    { code: Feature.randomReadable, current: readable, data: [0, 0, 8, 0, 0, 1, 0, 0] },
    { code: Feature.multiRead, current: cd, data: [] },
    { code: Feature.cdRead, version: 2, current: cd, data: [0, 0, 0, 0] },
    { code: Feature.dvdRead, version: 1, current: dvd, data: [0, 0, 0, 0] },
    { code: Feature.powerManagement, persistent: true, current: true, data: [] },
    { code: Feature.timeout, persistent: true, current: true, data: [0, 0, 0, 0] },
  ];
  const chosen = features.filter(({ code, current: isCurrent }) => {
    if (requested === 2) return code === from;
    return code >= from && (requested === 0 || isCurrent);
  });
  const body = concatBytes(
    ...chosen.map(({ code, version = 0, persistent = false, current: isCurrent, data }) =>
      Uint8Array.of(
        code >>> 8,
        code & 0xff,
        (version << 2) | (persistent ? 2 : 0) | (isCurrent ? 1 : 0),
        data.length,
        ...data,
      ),
    ),
  );
  const length = 4 + body.length;
  return concatBytes(Uint8Array.of(0, 0, length >>> 8, length & 0xff, 0, 0, current >>> 8, current & 0xff), body);
}
