/**
 * Keeps the guest of a raw image from making it look like an image of another format. Formats are recognised by
 * content: a guest that writes the header of a qcow2 image, with a backing file of its choice, into a disk that
 * was taken for raw would be given that file of the host at the next start. Such writes fail as I/O errors where
 * the format was a guess; whoever says format=raw may write anything, and must say so every time.
 */

import { type ByteOffset, byteOffset } from "../../bits/units.ts";
import { BlockError } from "../block-device.ts";
import { type Content, type ContentKind, identify } from "../identify.ts";
import type { ImageDisk, ImageInfo } from "../image-format.ts";
import { lengthOf, type Parts } from "../parts.ts";
import { SerialQueue } from "../serial-queue.ts";

/** Bytes at each end that decide whether a file is an image: every magic number of formats.ts is there. */
const EDGE = 512;
/** Contents that are not attached byte for byte unless that is asked for. */
const REFUSED: readonly ContentKind[] = ["qcow", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "disk-image", "compressed"];

export class FormatGuard implements ImageDisk {
  readonly size: number;
  readonly readOnly: boolean;
  readonly info: ImageInfo;
  readonly #disk: ImageDisk;
  readonly #edgeWrites = new SerialQueue();
  /** Of the file, whose last bytes count, while the disk may appear rounded up. */
  readonly #fileSize: () => number;
  readonly #name: string;

  constructor(disk: ImageDisk, file: { readonly name: string; readonly size: number }) {
    this.#disk = disk;
    this.size = disk.size;
    this.readOnly = disk.readOnly;
    this.info = disk.info;
    this.#name = file.name;
    this.#fileSize = () => file.size;
  }

  read(offset: ByteOffset, target: Uint8Array): Promise<void> {
    return this.#disk.read(offset, target);
  }

  readNow(offset: ByteOffset, targets: Parts): boolean {
    return this.#disk.readNow?.(offset, targets) ?? false;
  }

  writeNow(offset: ByteOffset, sources: Parts): boolean {
    return !this.#isAtEdge(offset, lengthOf(sources)) && (this.#disk.writeNow?.(offset, sources) ?? false);
  }

  async write(offset: ByteOffset, source: Uint8Array): Promise<void> {
    const end = offset + source.length;
    const isInside = offset >= 0 && end <= this.size && source.length > 0;
    if (!isInside || this.readOnly || !this.#isAtEdge(offset, source.length)) return this.#disk.write(offset, source);
    // One after the other, so that no two of them bring a magic number together.
    await this.#edgeWrites.run(async () => {
      const refused = (await this.#after(offset, source)).find(({ kind }) => REFUSED.includes(kind));
      if (refused !== undefined) throw this.#refusal(refused.phrase);
      await this.#disk.write(offset, source);
    });
  }

  /** Whether a range has bytes that decide what the file seems to be. */
  #isAtEdge(offset: number, length: number): boolean {
    return offset < EDGE || offset + length > this.#fileSize() - EDGE;
  }

  /** What the file would seem to be after a write: by its first bytes, and by its last ones, without the others. */
  async #after(offset: number, source: Uint8Array): Promise<Content[]> {
    const size = Math.max(this.#fileSize(), offset + source.length);
    const edge = async (from: number) => {
      const bytes = new Uint8Array(Math.min(EDGE, size));
      await this.#disk.read(byteOffset(from), bytes);
      for (let i = 0; i < bytes.length; i++) {
        const at = from + i - offset;
        if (at >= 0 && at < source.length) bytes[i] = source[at] as number;
      }
      return bytes;
    };
    const [head, tail] = [await edge(0), await edge(Math.max(0, size - EDGE))];
    const nothing = new Uint8Array(0);
    return [identify({ size, head, tail: nothing }), identify({ size, head: nothing, tail })];
  }

  #refusal(phrase: string): BlockError {
    const text = `the guest's write would make ${this.#name} look like ${phrase}, and was refused`;
    return new BlockError("io", `${text}; to let it, attach the disk with format=raw`);
  }

  flush(): Promise<void> {
    return this.#disk.flush();
  }

  discard(offset: ByteOffset, length: number): Promise<void> {
    return this.#disk.discard(offset, length);
  }

  writeZeroes(offset: ByteOffset, length: number): Promise<void> {
    return this.#disk.writeZeroes(offset, length);
  }

  close(): Promise<void> {
    return this.#disk.close();
  }
}
