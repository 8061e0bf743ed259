/** Our own processor in the role of the host's: compatibility mode, the same addresses and segments. */

import { CS, DS, ES, FS, GS, SS } from "../../../isa/semantics.ts";
import { runtimeModule } from "../../build-runtime.ts";
import type { ProcessorBus } from "../../bus.ts";
import { Processor } from "../../processor.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../../state.ts";
import { CODE, DATA, FIELD, MEMORY_SIZE, NO_VECTOR } from "./record.ts";

const RAM = 8 << 20;
/** Guest-physical places: page tables, code, memory. */
const PHYSICAL = { tables: 0x1000, code: 0x40_0000, data: 0x50_0000 } as const;
const PRESENT_WRITABLE = 3n;
/** PE, MP, ET, NE, WP, AM, PG; PAE, OSFXSR, OSXMMEXCPT; long mode. */
const CR0 = 0x8005_0033n;
const CR4 = 0x620n;
const EFER = 0x500n;
/** Steps after which a test is taken to have lost its way: REP steps once for a share of its elements. */
const MAX_STEPS = 16;

const NO_MACHINE: ProcessorBus = {
  readPort: () => -1,
  writePort() {},
  readMemory: () => 0,
  writeMemory() {},
  acknowledgeInterrupt: () => -1,
  readMsr: () => false,
  writeMsr: () => false,
  readCr8: () => 0,
  writeCr8() {},
  tsc: () => 0,
  random() {},
};

export class LegacyGuest {
  readonly #processor: Processor;
  readonly #bytes: Uint8Array;
  #bits = 0;

  constructor() {
    const pages = (RAM_BASE + RAM) >> 16;
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    this.#bytes = new Uint8Array(memory.buffer);
    this.#bytes.fill(PAGE.io, PAGE_FLAGS + (RAM >> 12), PAGE_FLAGS + (1 << 20));
    this.#processor = new Processor({ runtime: runtimeModule(), memory, memoryPages, bus: NO_MACHINE, model: "max" });
    this.#map(CODE, PHYSICAL.code);
    this.#map(DATA, PHYSICAL.data);
  }

  /** Maps a page of 4 KiB. */
  #map(linear: number, physical: number): void {
    const view = new DataView(this.#bytes.buffer, RAM_BASE, RAM);
    const tables = [0x1000, 0x2000, 0x3000].map((offset) => PHYSICAL.tables + offset);
    let table: number = PHYSICAL.tables;
    [39, 30, 21].forEach((shift, level) => {
      const next = tables[level] as number;
      view.setBigUint64(table + (Math.floor(linear / 2 ** shift) % 512) * 8, BigInt(next) | PRESENT_WRITABLE, true);
      table = next;
    });
    view.setBigUint64(table + ((linear >>> 12) % 512) * 8, BigInt(physical) | PRESENT_WRITABLE, true);
  }

  #enter(bits: number): void {
    if (bits === this.#bits) return;
    this.#bits = bits;
    const { registers } = this.#processor;
    registers.set64("cr3", BigInt(PHYSICAL.tables));
    registers.set64("cr4", CR4);
    registers.set64("efer", EFER);
    registers.set64("cr0", CR0);
    const flat = { base: 0n, limit: 0xffff_ffff };
    const code = bits === 16 ? { base: BigInt(CODE), limit: 0xffff } : flat;
    const data = bits === 16 ? { base: BigInt(DATA), limit: MEMORY_SIZE - 1 } : flat;
    registers.setSegment(CS, { selector: 0x08, attributes: bits === 16 ? 0x009b : 0xc09b, ...code });
    for (const segment of [SS, DS, ES, FS, GS]) {
      registers.setSegment(segment, { selector: 0x10, attributes: bits === 16 ? 0x0093 : 0xc093, ...data });
    }
    this.#processor.flushTlb();
    this.#processor.modeChanged();
  }

  /** Runs the record's code to its end or to an exception, and changes the record accordingly. */
  run(record: DataView): void {
    const { registers } = this.#processor;
    const bits = record.getUint32(FIELD.bits, true);
    this.#enter(bits);
    const bytes = new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
    const code = RAM_BASE + PHYSICAL.code;
    const data = RAM_BASE + PHYSICAL.data;
    const length = record.getUint32(FIELD.length, true);
    this.#processor.physicalWritten(PHYSICAL.code, PHYSICAL.code + 63);
    this.#bytes.fill(0xcc, code, code + 64);
    this.#bytes.set(bytes.subarray(FIELD.code, FIELD.code + length), code);
    this.#bytes.set(bytes.subarray(FIELD.memory), data);
    for (let i = 0; i < 8; i++) registers.setGpr32(i, record.getUint32(FIELD.gpr + 4 * i, true));
    registers.eflags = record.getUint32(FIELD.flags, true);
    const start = bits === 16 ? 0 : CODE;
    registers.set64("ip", BigInt(start));
    let exception: { vector: number; errorCode: number } | undefined;
    for (let i = 0; i < MAX_STEPS && !exception && registers.get64("ip") !== BigInt(start + length); i++) {
      exception = this.#processor.step();
    }
    for (let i = 0; i < 8; i++) record.setUint32(FIELD.gpr + 4 * i, registers.gpr32(i), true);
    record.setUint32(FIELD.flags, registers.eflags, true);
    record.setUint32(FIELD.vector, exception?.vector ?? NO_VECTOR, true);
    record.setUint32(FIELD.error, exception?.errorCode ?? 0, true);
    record.setUint32(FIELD.ip, Number(registers.get64("ip")), true);
    bytes.set(this.#bytes.subarray(data, data + MEMORY_SIZE), FIELD.memory);
  }
}
