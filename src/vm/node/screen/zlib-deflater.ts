/** A viewer's zlib stream, packed on Node's threads for it. */
import { constants, createDeflate, type Deflate } from "node:zlib";
import type { Deflater } from "../../rfb/session.ts";

/** Fast, and most of what there is to gain: screens have few colours. */
const LEVEL = 3;

export class ZlibDeflater implements Deflater {
  readonly #stream: Deflate = createDeflate({ level: LEVEL });
  #packed: Uint8Array[] = [];
  #reject: (error: Error) => void = () => {};

  constructor() {
    this.#stream.on("data", (bytes: Uint8Array) => this.#packed.push(bytes));
    this.#stream.on("error", (error) => this.#reject(error));
  }

  /** One piece at a time. */
  deflate(bytes: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#stream.write(bytes);
      this.#stream.flush(constants.Z_SYNC_FLUSH, () => {
        const packed = Buffer.concat(this.#packed);
        this.#packed = [];
        resolve(packed);
      });
    });
  }

  close(): void {
    this.#reject(new Error("the zlib stream was closed"));
    this.#stream.destroy();
  }
}
