/** Gathers a serial line's single bytes until the event loop's next turn. */
import type { ByteSink } from "../../machine/device.ts";

const FLUSH_AT = 4096;

export class SerialBatch implements ByteSink {
  readonly #deliver: (bytes: Uint8Array) => void;
  #bytes = new Uint8Array(FLUSH_AT);
  #length = 0;
  #scheduled = false;

  constructor(deliver: (bytes: Uint8Array) => void) {
    this.#deliver = deliver;
  }

  write(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.#bytes[this.#length++] = byte;
      if (this.#length === FLUSH_AT) this.flush();
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.#deliver(bytes);
  }
}
