/** A whole processor with a little RAM and ports that keep a record: runs assembly for tests of system instructions. */

import { assemble } from "../../../isa/assemble.ts";
import { CS, DS, ES, FS, GS, SS } from "../../../isa/semantics.ts";
import { runtimeModule } from "../../build-runtime.ts";
import type { ProcessorBus } from "../../bus.ts";
import { Processor } from "../../processor.ts";
import type { ProcessorOptions } from "../../processor-options.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE, TR } from "../../state.ts";

const RAM = 4 << 20;
export const CODE = 0x10_0000;
export const DATA = 0x20_0000;
/** A page that is not there in 64-bit mode. */
export const HOLE = 0x30_0000;
const TABLES = 0x8000;
export const PAGE_TABLES = TABLES + 0x3000;
const TSS = 0x4000;
const TSS_LIMIT = 0x87;
const SLICE = 400_000;

export type PortAccess = readonly [kind: "in" | "out", port: number, bytes: number, value: number];

export interface Outcome {
  readonly vector: number;
  readonly errorCode: number;
}

export class BareMachine {
  readonly processor: Processor;
  readonly ram: DataView;
  readonly ports: PortAccess[] = [];
  /** What ports read as, one after the other. */
  input: () => number = () => 0;
  readonly msrs = new Map<number, bigint>();
  cr8 = 0;
  time = 0n;
  readonly #bits: 16 | 32 | 64;

  /** With `regions` code is translated after it ran `heat` times. */
  constructor(bits: 16 | 32 | 64, model = "max", regions?: ProcessorOptions["regions"], heat = 1) {
    this.#bits = bits;
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
      model,
      ...(regions && { regions, heat }),
    });
    this.#enter();
  }

  #bus(): ProcessorBus {
    return {
      readPort: (port, bytes) => {
        const value = this.input();
        this.ports.push(["in", port, bytes, value]);
        return value;
      },
      writePort: (port, bytes, value) => {
        this.ports.push(["out", port, bytes, value]);
      },
      readMemory: () => 0,
      writeMemory() {},
      acknowledgeInterrupt: () => -1,
      readMsr: (msr, words) => {
        const value = this.msrs.get(msr);
        if (value === undefined) return false;
        words.set([Number(value & 0xffff_ffffn), Number(value >> 32n)]);
        return true;
      },
      writeMsr: (msr, low, high) => {
        if (!this.msrs.has(msr)) return false;
        this.msrs.set(msr, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
        return true;
      },
      readCr8: () => this.cr8,
      writeCr8: (value) => {
        this.cr8 = value;
      },
      tsc: () => Number(this.time),
      random: (target) => target.fill(0xa5),
    };
  }

  #enter(): void {
    const { registers } = this.processor;
    const flat = this.#bits !== 16;
    const sizes = this.#bits === 64 ? 0xa000 : 0xc000;
    for (const index of [ES, CS, SS, DS, FS, GS]) {
      const code = index === CS;
      const attributes = code ? 0x9b : 0x93;
      registers.setSegment(index, {
        selector: flat ? (code ? 0x08 : 0x10) : 0,
        base: flat ? 0n : BigInt(code ? CODE : DATA),
        limit: flat ? 0xffff_ffff : 0xffff,
        attributes: flat ? attributes | (code ? sizes : 0xc000) : attributes,
      });
    }
    registers.setSegment(TR, { selector: 0x28, base: BigInt(TSS), limit: TSS_LIMIT, attributes: 0x8b });
    if (this.#bits === 64) this.#mapLow();
    if (flat) registers.set64("cr0", this.#bits === 64 ? 0x8000_0011n : 0x11n);
    this.processor.flushTlb();
    this.processor.modeChanged();
  }

  /** The first 4 MiB in pages of 4 KiB, HOLE left out, for users as well. */
  #mapLow(): void {
    const { registers } = this.processor;
    const entry = (table: number, index: number, value: number) =>
      this.ram.setBigUint64(table + index * 8, BigInt(value), true);
    entry(TABLES, 0, (TABLES + 0x1000) | 7);
    entry(TABLES + 0x1000, 0, (TABLES + 0x2000) | 7);
    for (let table = 0; table < 2; table++) entry(TABLES + 0x2000, table, (PAGE_TABLES + table * 0x1000) | 7);
    for (let address = 0; address < RAM; address += 4096) if (address !== HOLE) this.mapPage(address, address);
    registers.set64("cr3", BigInt(TABLES));
    registers.set64("cr4", 0x20n);
    registers.set64("efer", 0x500n);
  }

  /** Writes a page table entry, and tells the processor nothing. */
  mapPage(linear: number, physical: number, writable = true): void {
    this.ram.setBigUint64(PAGE_TABLES + (linear / 4096) * 8, BigInt(physical | (writable ? 7 : 5)), true);
  }

  /** Makes the privilege level 3. */
  leaveRing0(): void {
    const { registers } = this.processor;
    registers.set32("cpl", 3);
    this.processor.modeChanged();
  }

  /** The task's I/O permission bitmap denies these ports and those beyond 0xff. */
  denyPorts(...ports: number[]): void {
    const bitmap = 0x68;
    this.ram.setUint16(TSS + 0x66, bitmap, true);
    for (let at = bitmap; at <= TSS_LIMIT; at++) this.ram.setUint8(TSS + at, 0);
    for (const port of ports) {
      const at = TSS + bitmap + (port >> 3);
      this.ram.setUint8(at, this.ram.getUint8(at) | (1 << (port & 7)));
    }
  }

  /**
   * Runs to the first exception, whose vector is returned, in slices as a machine does: between two of them it is looked at which
   * regions run. Undefined where that takes more than `most` instructions.
   */
  runInSlices(most: number): number | undefined {
    let fault: Outcome | undefined;
    for (let left = most; left > 0 && !fault; left -= SLICE) fault = this.processor.stretch(Math.min(left, SLICE));
    return fault?.vector;
  }

  /** Runs `source` one instruction after the other, until the end or the first exception, which is returned. */
  run(source: string): Outcome | undefined {
    const { registers } = this.processor;
    const origin = this.#bits === 16 ? 0n : BigInt(CODE);
    const { bytes } = assemble(source, { bits: this.#bits, origin });
    this.processor.physicalWritten(CODE, CODE + bytes.length);
    new Uint8Array(this.ram.buffer, this.ram.byteOffset + CODE).set(bytes);
    registers.set64("ip", origin);
    const end = origin + BigInt(bytes.length);
    for (let steps = 0; registers.get64("ip") !== end; steps++) {
      if (steps > bytes.length) throw new Error(`the program is at ${registers.get64("ip").toString(16)}`);
      const fault = this.processor.step();
      if (fault) return { vector: fault.vector, errorCode: fault.errorCode };
    }
    return undefined;
  }
}
