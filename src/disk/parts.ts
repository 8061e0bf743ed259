/** Bytes that lie in several places, in order: what a disk's range is moved to or from at once. */
export type Parts = readonly Uint8Array[];

export function lengthOf(parts: Parts): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** The `length` bytes from byte `from` on, in place. */
export function cut(parts: Parts, from: number, length: number): Parts {
  const found: Uint8Array[] = [];
  let skip = from;
  let left = length;
  for (const part of parts) {
    if (left === 0) break;
    if (skip >= part.length) {
      skip -= part.length;
      continue;
    }
    const size = Math.min(part.length - skip, left);
    found.push(size === part.length ? part : part.subarray(skip, skip + size));
    left -= size;
    skip = 0;
  }
  return found;
}

export function fill(parts: Parts, byte: number): void {
  for (const part of parts) part.fill(byte);
}

/** Copies `source` into the parts, or as much of it as there is room for. */
export function scatter(parts: Parts, source: Uint8Array): void {
  let at = 0;
  for (const part of parts) {
    part.set(source.subarray(at, at + part.length));
    at += part.length;
  }
}

/** Copies the parts into `target`, which has room for them. */
export function gather(parts: Parts, target: Uint8Array): void {
  let at = 0;
  for (const part of parts) {
    target.set(part, at);
    at += part.length;
  }
}
