/**
 * Physical region pages: where a command's data are in the guest's memory.
 * @spec NVM Express 1.4c, §4.3 "Physical Region Page Entry and List"
 */
import { type GuestPhysical, guestPhysical, PAGE_SIZE } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { Status } from "./layout.ts";

export interface Segment {
  readonly address: GuestPhysical;
  readonly length: number;
}

const ENTRY = 8;

/** The segments of `length` bytes that PRP 1 and 2 point at; or the status to end with. */
export function segmentsOf(memory: GuestMemory, prp1: bigint, prp2: bigint, length: number): Segment[] | number {
  const first = Number(prp1);
  if (first % 4 !== 0) return Status.prpOffsetInvalid;
  const segments: { address: GuestPhysical; length: number }[] = [];
  let left = length;
  const add = (address: number) => {
    const part = Math.min(left, PAGE_SIZE - (address % PAGE_SIZE));
    const last = segments.at(-1);
    if (last && last.address + last.length === address) last.length += part;
    else segments.push({ address: guestPhysical(address), length: part });
    left -= part;
  };
  if (left > 0) add(first);
  if (left === 0) return segments;
  const second = Number(prp2);
  if (left <= PAGE_SIZE) {
    if (second % PAGE_SIZE !== 0) return Status.prpOffsetInvalid;
    add(second);
    return segments;
  }
  if (second % ENTRY !== 0) return Status.prpOffsetInvalid;
  let list = second;
  while (left > 0) {
    // The last entry of a page points at the next one of the list, where that one is needed.
    const room = (PAGE_SIZE - (list % PAGE_SIZE)) / ENTRY;
    const needed = Math.ceil(left / PAGE_SIZE);
    const count = Math.min(room, needed);
    const view = memory.view(guestPhysical(list), count * ENTRY, "read");
    if (view === undefined) return Status.dataTransferError;
    const entries = new DataView(view.buffer, view.byteOffset, view.length);
    const data = needed > room ? count - 1 : count;
    for (let i = 0; i < data; i++) {
      const address = Number(entries.getBigUint64(i * ENTRY, true));
      if (address % PAGE_SIZE !== 0) return Status.prpOffsetInvalid;
      add(address);
    }
    if (data === count) continue;
    list = Number(entries.getBigUint64(data * ENTRY, true));
    // A list that goes on does so at the start of a page, so that each page of it has entries.
    if (list % PAGE_SIZE !== 0) return Status.prpOffsetInvalid;
  }
  return segments;
}

/** Live views of the segments, good until the guest runs again; undefined where they are not RAM from end to end. */
export function viewsOf(
  memory: GuestMemory,
  segments: readonly Segment[],
  access: "read" | "write",
): Uint8Array[] | undefined {
  const views: Uint8Array[] = [];
  for (const { address, length } of segments) {
    const view = memory.view(address, length, access);
    if (view === undefined) return undefined;
    views.push(view);
  }
  return views;
}

/** Stores `bytes` in the segments; false where they are not RAM from end to end. */
export function store(memory: GuestMemory, segments: readonly Segment[], bytes: Uint8Array): boolean {
  let at = 0;
  for (const { address, length } of segments) {
    const view = memory.view(address, length, "write");
    if (view === undefined) return false;
    view.set(bytes.subarray(at, at + length));
    at += length;
  }
  return true;
}

/** Fills `target` from the segments; false where they are not RAM from end to end. */
export function load(memory: GuestMemory, segments: readonly Segment[], target: Uint8Array): boolean {
  let at = 0;
  for (const { address, length } of segments) {
    const view = memory.view(address, length, "read");
    if (view === undefined) return false;
    target.set(view, at);
    at += length;
  }
  return true;
}
