/** A processor with 4 MiB of RAM and no devices, for tests that run guest programs. */

import { assemble } from "../../../isa/assemble.ts";
import { runtimeModule } from "../../build-runtime.ts";
import type { ProcessorBus } from "../../bus.ts";
import { Processor } from "../../processor.ts";
import type { ProcessorOptions, RegionSettings } from "../../processor-options.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../../state.ts";
import { InPlace } from "../../translate/in-place.ts";

const RAM = 4 << 20;

export class GuestMachine {
  readonly processor: Processor;
  readonly ram: DataView;
  #waiting = -1;
  readonly output: number[] = [];
  /** Whether a non-maskable interrupt was sent. */
  nmiSent = false;

  /** With `translates`, hot code becomes regions, made in place. */
  constructor({
    translates = false,
    ...options
  }: { readonly translates?: boolean } & Partial<
    Pick<ProcessorOptions, "heat" | "mostHandlers" | "mostRegions" | "regions" | "kept" | "start">
  > = {}) {
    const pages = (RAM_BASE + RAM) >> 16;
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    new Uint8Array(memory.buffer).fill(PAGE.io, PAGE_FLAGS + (RAM >> 12), PAGE_FLAGS + (1 << 20));
    this.ram = new DataView(memory.buffer, RAM_BASE, RAM);
    this.processor = new Processor({
      runtime: runtimeModule(),
      memory,
      memoryPages,
      bus: this.#bus(),
      model: "max",
      ...options,
      ...(translates ? { regions: (settings: RegionSettings) => new InPlace(settings) } : {}),
    });
  }

  /** Vector that waits to be taken, or -1. */
  get waiting(): number {
    return this.#waiting;
  }
  set waiting(vector: number) {
    this.#waiting = vector;
    this.processor.setInterrupt(vector >= 0);
  }

  nmi(): void {
    this.nmiSent = true;
    this.processor.nmi();
  }

  #bus(): ProcessorBus {
    return {
      readPort: () => 0xffff_ffff,
      writePort: (_port, _bytes, value) => void this.output.push(value),
      readMemory: () => 0,
      writeMemory() {},
      acknowledgeInterrupt: () => {
        const vector = this.#waiting;
        this.waiting = -1;
        return vector;
      },
      readMsr: () => false,
      writeMsr: () => false,
      readCr8: () => 0,
      writeCr8() {},
      tsc: () => 0,
      random() {},
    };
  }

  /** Assembles code to 0x1000 and starts it in real mode with all segments 0 and SP 0x8000. Returns its labels. */
  load(source: string): ReadonlyMap<string, bigint> {
    const { bytes, symbols } = assemble(source, { bits: 16, origin: 0x1000n });
    new Uint8Array(this.ram.buffer, this.ram.byteOffset).set(bytes, 0x1000);
    const { registers } = this.processor;
    for (let index = 0; index < 6; index++) {
      registers.setSegment(index, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
    }
    registers.setGpr(4, 0x8000n);
    registers.set64("ip", 0x1000n);
    this.processor.modeChanged();
    return symbols;
  }
}
