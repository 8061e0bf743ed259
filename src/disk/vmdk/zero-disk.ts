/** A part of a disk that is nowhere, and reads as zeros. */
import type { ByteOffset } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../block-device.ts";
import { mustBeInside } from "../range.ts";

export class ZeroDisk implements BlockDevice {
  readonly size: number;
  readonly readOnly = true;

  constructor(size: number) {
    this.size = size;
  }

  async read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    mustBeInside(this, offset, target.length);
    target.fill(0);
  }
  async zeroesFrom(offset: ByteOffset): Promise<number> {
    return this.size - offset;
  }
  async write(): Promise<void> {
    throw this.#refusal();
  }
  async discard(): Promise<void> {
    throw this.#refusal();
  }
  async writeZeroes(): Promise<void> {
    throw this.#refusal();
  }
  async flush(): Promise<void> {}
  async close(): Promise<void> {}

  #refusal(): BlockError {
    return new BlockError("read-only", "the disk is opened for reading only");
  }
}
