/** Bytes put one after the other, big-endian as in RFB, in a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** What was put so far; valid until more is. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Makes room for `count` bytes, counts them as put, and returns where they begin in `buffer`. */
  reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  /** The buffer behind; another one after each `reserve`. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  // `reserve` comes first: it may replace the view.
  u8(value: number): this {
    const at = this.reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }

  put(bytes: ArrayLike<number>): this {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }
}
