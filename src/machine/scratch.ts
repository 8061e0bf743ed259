/** Room for bytes that are done with before anything else runs: one allocation for all of a device's transfers. */
export class Scratch {
  #bytes = new Uint8Array(0);

  /** `length` bytes of whatever content, good until the next call. */
  take(length: number): Uint8Array {
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }
}
