/** Bytes that wait to be sent, or to be acknowledged: appended at the end, dropped from the start, copied from anywhere. */

export class SendBuffer {
  #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are gone. */
  #gone = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Keeps the array as it is: its bytes must not change any more. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  /** Forgets `count` bytes, at the most all. */
  drop(count: number): void {
    const left = Math.min(count, this.#length);
    this.#length -= left;
    this.#gone += left;
    let chunks = 0;
    for (const { length } of this.#chunks) {
      if (this.#gone < length) break;
      this.#gone -= length;
      chunks++;
    }
    if (chunks > 0) this.#chunks.splice(0, chunks);
  }

  /** A copy of `count` bytes from `offset` on, which must be there. */
  copy(offset: number, count: number): Uint8Array {
    const target = new Uint8Array(count);
    let start = this.#gone + offset;
    let filled = 0;
    for (const chunk of this.#chunks) {
      if (filled === count) break;
      if (start < chunk.length) {
        const part = chunk.subarray(start, start + count - filled);
        target.set(part, filled);
        filled += part.length;
        start = 0;
      } else start -= chunk.length;
    }
    return target;
  }
}
