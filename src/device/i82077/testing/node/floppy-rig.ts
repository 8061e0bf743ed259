/** A controller with a DMA controller, memory and disks, driven by its ports. */
import assert from "node:assert/strict";
import { byteOffset } from "../../../../bits/units.ts";
import { MemoryStore } from "../../../../disk/memory-store.ts";
import { RawDisk } from "../../../../disk/raw/raw-disk.ts";
import { ImmediateWork, ManualTime, PlainMemory, ProbeLine } from "../../../../machine/testing/rig.ts";
import { I8237Pair } from "../../../i8237/i8237.ts";
import { I82077 } from "../../i82077.ts";
import { type FloppyType, mediumFor } from "../../medium.ts";

export const KIB_1440 = 1440 * 1024;
const DMA_TO_MEMORY = 0x46;
const DMA_FROM_MEMORY = 0x4a;
export const DMA_VERIFY = 0x42;

/** The byte that each sector of a numbered disk is full of. */
export const markOf = (lba: number): number => (lba * 7 + 1) & 0xff;

/** A disk each of whose sectors is full of its mark. */
export function numberedDisk(size: number, { readOnly = false } = {}) {
  const store = new MemoryStore(size);
  const bytes = new Uint8Array(size);
  for (let lba = 0; lba < size / 512; lba++) bytes.fill(markOf(lba), lba * 512, lba * 512 + 512);
  return { store, bytes, disk: new RawDisk(store, { readOnly }) };
}

/** Lets every host operation that was begun end. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

export class FloppyRig {
  readonly time = new ManualTime();
  readonly irq = new ProbeLine();
  readonly memory = new PlainMemory(0x10_0000);
  readonly dma = new I8237Pair({ memory: this.memory });
  readonly errors: Error[] = [];
  readonly fdc: I82077;

  constructor(drives: ConstructorParameters<typeof I82077>[0]["drives"]) {
    this.fdc = new I82077(
      { drives },
      {
        time: this.time,
        work: new ImmediateWork(),
        dma: this.dma.channel(2),
        irq: this.irq,
        events: { ioError: (error) => this.errors.push(error) },
      },
    );
    this.fdc.reset();
  }

  /** Drive 0 with a disk of this size, made ready as an operating system does. */
  static async with(size = KIB_1440, { type = "1.44M" as FloppyType, readOnly = false, rate = 0 } = {}) {
    const { disk, store, bytes } = numberedDisk(size, { readOnly });
    if (!readOnly) await disk.write(byteOffset(0), bytes);
    else await store.write(byteOffset(0), bytes);
    const medium = mediumFor(disk, type);
    if (medium === undefined) throw new Error(`no drive of type ${type} takes ${size} bytes`);
    const rig = new FloppyRig([{ type, medium }]);
    rig.out(0xd6, 0xc0);
    rig.out(0xd4, 0x00);
    rig.start();
    rig.out(0x3f7, rate);
    return Object.assign(rig, { disk });
  }

  /** Out of reset, drive 0's motor on, interrupts of the reset taken. */
  start(): void {
    this.out(0x3f2, 0x00);
    this.out(0x3f2, 0x1c);
    this.time.advance(1e6);
    for (let drive = 0; drive < 4; drive++) {
      this.command(0x08);
      this.results(2);
    }
    this.command(0x03, 0xdf, 0x02);
  }

  out(port: number, value: number): void {
    (port < 0x100 ? this.dma : this.fdc).writePort(port, 1, value);
  }

  in(port: number): number {
    return (port < 0x100 ? this.dma : this.fdc).readPort(port, 1);
  }

  /** Writes bytes as a driver does, the main status register permitting. */
  command(...bytes: number[]): void {
    for (const byte of bytes) {
      assert.equal(this.in(0x3f4) & 0xc0, 0x80, "ready for a byte of the command");
      this.out(0x3f5, byte);
    }
  }

  results(count: number): number[] {
    const bytes = Array.from({ length: count }, () => {
      assert.equal(this.in(0x3f4) & 0xc0, 0xc0, "ready to give a byte of the result");
      return this.in(0x3f5);
    });
    assert.equal(this.in(0x3f4) & 0xd0, 0x80, "back to the command phase");
    return bytes;
  }

  seek(cylinder: number, drive = 0): void {
    this.command(0x0f, drive, cylinder);
    this.time.advance(1e6);
    this.command(0x08);
    assert.deepEqual(this.results(2), [0x20 | drive, cylinder]);
  }

  /** Sets channel 2 up for `length` bytes at `address`. */
  dmaFor(mode: "read" | "write" | number, address: number, length: number): void {
    this.out(0x0a, 6);
    this.out(0x0c, 0);
    this.out(0x0b, mode === "read" ? DMA_TO_MEMORY : mode === "write" ? DMA_FROM_MEMORY : mode);
    this.out(0x04, address & 0xff);
    this.out(0x04, (address >>> 8) & 0xff);
    this.out(0x81, address >>> 16);
    this.out(0x05, (length - 1) & 0xff);
    this.out(0x05, (length - 1) >>> 8);
    this.out(0x0a, 2);
  }

  /** The bytes of a command that reads, writes or verifies from a sector on. */
  transfer(
    code: number,
    {
      cylinder = 0,
      head = 0,
      sector = 1,
      sizeCode = 2,
      last = 18,
      length = 0xff,
      unit = undefined as number | undefined,
    } = {},
  ): void {
    this.command(code, unit ?? head << 2, cylinder, head, sector, sizeCode, last, 0x1b, length);
  }

  /** Lets the host work until the result phase. */
  async result(): Promise<number[]> {
    for (let i = 0; i < 50 && (this.in(0x3f4) & 0xc0) !== 0xc0; i++) await settle();
    return this.results(7);
  }
}
