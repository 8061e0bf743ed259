/** Rock Ridge's extensions of a directory record: names as on Unix, modes, symbolic links. */
import { decodeUtf8 } from "../../bits/utf8.ts";

export interface RockRidge {
  readonly name: string | undefined;
  /** As of stat(2). */
  readonly mode: number | undefined;
  readonly linkTarget: string | undefined;
  /** The sector of a directory that had to be put elsewhere because of its depth. */
  readonly childSector: number | undefined;
  /** The record is such a directory, at the place where it does not belong. */
  readonly isRelocated: boolean;
}

/** Continuation areas of one record. */
const MOST_CONTINUATIONS = 32;
const NameFlag = { continues: 1, current: 2, parent: 4 } as const;
const ComponentFlag = { continues: 1, current: 2, parent: 4, root: 8 } as const;

/**
 * Reads the system use area of a record. `more` gives a part of a sector that the area goes on in.
 *
 * @spec SUSP §5, Rock Ridge §4
 */
export async function readRockRidge(
  area: Uint8Array,
  more: (sector: number, offset: number, length: number) => Promise<Uint8Array>,
): Promise<RockRidge> {
  const name: number[] = [];
  const target: string[] = [];
  let hasName = false;
  let mode: number | undefined;
  let childSector: number | undefined;
  let isRelocated = false;
  let isPartial = false;
  let current: Uint8Array | undefined = area;
  for (let areas = 0; current !== undefined && areas < MOST_CONTINUATIONS; areas++) {
    let next: { sector: number; offset: number; length: number } | undefined;
    for (const { signature, data } of entriesOf(current)) {
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      if (signature === "CE" && data.length >= 24) {
        next = { sector: view.getUint32(0, true), offset: view.getUint32(8, true), length: view.getUint32(16, true) };
      } else if (signature === "NM" && data.length >= 1) {
        const flags = data[0] as number;
        if ((flags & (NameFlag.current | NameFlag.parent)) !== 0) continue;
        hasName = true;
        name.push(...data.subarray(1));
      } else if (signature === "PX" && data.length >= 4) mode = view.getUint32(0, true);
      else if (signature === "CL" && data.length >= 4) childSector = view.getUint32(0, true);
      else if (signature === "RE") isRelocated = true;
      else if (signature === "SL" && data.length >= 1) isPartial = addComponents(data.subarray(1), target, isPartial);
    }
    current = next === undefined ? undefined : await more(next.sector, next.offset, next.length);
  }
  return {
    name: hasName ? decodeUtf8(Uint8Array.from(name)) : undefined,
    mode,
    linkTarget: target.length === 0 ? undefined : target.join("/").replace(/^\/\//, "/"),
    childSector,
    isRelocated,
  };
}

function* entriesOf(area: Uint8Array): Iterable<{ signature: string; data: Uint8Array }> {
  for (let at = 0; at + 4 <= area.length; ) {
    const length = area[at + 2] as number;
    const signature = String.fromCharCode(area[at] as number, area[at + 1] as number);
    if (length < 4 || at + length > area.length || signature === "ST") return;
    yield { signature, data: area.subarray(at + 4, at + length) };
    at += length;
  }
}

/** Adds the components of a part of a link's target; returns whether the last one goes on in the next part. */
function addComponents(data: Uint8Array, target: string[], isPartial: boolean): boolean {
  let goesOn = isPartial;
  for (let at = 0; at + 2 <= data.length; ) {
    const [flags, length] = [data[at] as number, data[at + 1] as number];
    const text = decodeUtf8(data.subarray(at + 2, at + 2 + length));
    const component =
      (flags & ComponentFlag.root) !== 0
        ? "/"
        : (flags & ComponentFlag.current) !== 0
          ? "."
          : (flags & ComponentFlag.parent) !== 0
            ? ".."
            : text;
    if (goesOn) target.push((target.pop() ?? "") + component);
    else target.push(component);
    goesOn = (flags & ComponentFlag.continues) !== 0;
    at += 2 + length;
  }
  return goesOn;
}

/** Bytes to leave out at the start of each area, where the disc has such extensions at all. @spec SUSP §5.3 "SP" */
export function skippedBytes(area: Uint8Array): number | undefined {
  const isMarked = area[0] === 0x53 && area[1] === 0x50 && area[4] === 0xbe && area[5] === 0xef;
  return isMarked ? (area[6] as number) : undefined;
}
