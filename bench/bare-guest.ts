/**
 * A program of bench/guest on a processor alone, in this thread: no Linux, no devices. Its pages are as a process has
 * them (4 KiB, user mode); its system calls (write, exit, clock_gettime) are served here.
 */

import { runtimeModule } from "../src/cpu/build-runtime.ts";
import type { ProcessorBus } from "../src/cpu/bus.ts";
import { Processor } from "../src/cpu/processor.ts";
import type { ProcessorOptions } from "../src/cpu/processor-options.ts";
import { TR } from "../src/cpu/state.ts";
import { descriptor, gate } from "../src/cpu/system/testing/flat-cpu.ts";
import { parseElf } from "../src/firmware/elf.ts";
import { assemble } from "../src/isa/assemble.ts";
import { CS, DS, ES, FS, GS, SS } from "../src/isa/semantics.ts";
import { GuestRam } from "../src/vm/guest-ram.ts";

const MIB = 1 << 20;
const PAGE_BYTES = 4096;
/** i386 programs are linked to 128 MiB; linear addresses are physical ones. */
const RAM_BYTES = 160 * MIB;
const STACK_TOP = 152 * MIB;
/** The kernel's, below 1 MiB: code, what a system call is asked for, descriptor tables, stack. Page tables are above. */
const START = 0x1000;
const KERNEL = 0x2000;
const CALL = 0x3000;
const GDT = 0x4000;
const IDT = 0x5000;
const TSS = 0x6000;
const KERNEL_STACK = 0x8000;
const TABLES = 1 * MIB;
const PORT = 0xf5;
const SELECTOR = { code: 0x08, data: 0x10, userCode32: 0x1b, userData: 0x23, userCode64: 0x2b, tss: 0x30 } as const;
const MSR = { star: 0xc000_0081, lstar: 0xc000_0082, sfmask: 0xc000_0084 } as const;
const PTE = { supervisor: 3n, user: 7n } as const;
/** Instructions of one slice, as in a machine (src/vm/machine.ts). */
const SLICE = 400_000;

/** Arguments go through memory, so that whoever runs the code need not have registers in their place. */
const SERVE_64 = `mov [${CALL}],rax\n mov [${CALL + 8}],rdi\n mov [${CALL + 16}],rsi\n mov [${CALL + 24}],rdx
  out ${PORT},al\n mov rax,[${CALL}]\n o64 sysret`;
const SERVE_32 = `mov [${CALL}],eax\n mov [${CALL + 8}],ebx\n mov [${CALL + 16}],ecx\n mov [${CALL + 24}],edx
  out ${PORT},al\n mov eax,[${CALL}]\n iretd`;
const CALLS = { 64: { write: 1, exit: 60, clock: 228 }, 32: { write: 4, exit: 1, clock: 265 } } as const;

export interface BareGuestOptions {
  readonly args: readonly string[];
  /** What makes the translator's regions; without it all is interpreted. */
  readonly regions: ProcessorOptions["regions"];
  /** The guest's clock, in milliseconds. */
  readonly now: () => number;
  /** Gets what the program writes. */
  readonly write: (text: string) => void;
}

export class BareGuest {
  readonly processor: Processor;
  readonly #ram = new GuestRam(RAM_BYTES);
  readonly #view: DataView;
  readonly #bits: 32 | 64;
  readonly #write: (text: string) => void;
  /** Milliseconds. */
  readonly #now: () => number;
  #status: number | undefined;

  constructor(file: Uint8Array, { args, regions, now, write }: BareGuestOptions) {
    const image = parseElf(file);
    this.#bits = image.class;
    this.#now = now;
    this.#write = write;
    this.#view = new DataView(this.#ram.memory.buffer, this.#ram.bytes.byteOffset, RAM_BYTES);
    const { memory, memoryPages } = this.#ram;
    this.processor = new Processor({
      runtime: runtimeModule(),
      memory,
      memoryPages,
      bus: this.#bus(),
      model: "max",
      ...(regions && { regions }),
    });
    for (const { virtualAddress, content } of image.segments) this.#ram.bytes.set(content, Number(virtualAddress));
    this.#prepareKernel();
    this.#mapPages();
    this.#enter(image.entry, this.#layStack(["program", ...args]));
  }

  /** Runs to the program's exit; its status. After each slice of guest time `onSlice` is called and awaited. */
  async run(onSlice: () => Promise<void> | undefined): Promise<number> {
    try {
      while (this.#status === undefined) {
        const { kind } = this.processor.run(SLICE);
        if (kind !== "budget") throw new Error(`the program is ${kind} at 0x${this.#ip()}`);
        await onSlice();
      }
      return this.#status;
    } finally {
      this.processor.close();
    }
  }

  #ip(): string {
    return this.processor.registers.get64("ip").toString(16);
  }

  #bus(): ProcessorBus {
    return {
      readPort: () => 0,
      writePort: (port) => {
        if (port === PORT) this.#serve();
      },
      readMemory: () => 0,
      writeMemory() {},
      acknowledgeInterrupt: () => -1,
      readMsr: () => false,
      writeMsr: () => false,
      readCr8: () => 0,
      writeCr8() {},
      tsc: () => Math.floor(this.#now() * 1e6),
      random: (target) => target.fill(0xa5),
    };
  }

  #serve(): void {
    const argument = (index: number) => this.#view.getUint32(CALL + 8 * index, true);
    const calls = CALLS[this.#bits];
    switch (argument(0)) {
      case calls.write:
        this.#write(Buffer.from(this.#ram.bytes.slice(argument(2), argument(2) + argument(3))).toString("latin1"));
        break;
      case calls.exit:
        this.#status = argument(1);
        this.processor.requestReturn();
        break;
      case calls.clock: {
        const at = argument(2);
        const now = this.#now();
        this.#setLong(at, Math.floor(now / 1000));
        this.#setLong(at + this.#bits / 8, Math.floor((now % 1000) * 1e6));
        break;
      }
      default:
        throw new Error(`the program makes the system call ${argument(0)}, which this kernel has not`);
    }
    this.#view.setBigUint64(CALL, 0n, true);
  }

  #setLong(at: number, value: number): void {
    if (this.#bits === 64) this.#view.setBigUint64(at, BigInt(value), true);
    else this.#view.setUint32(at, value, true);
  }

  #prepareKernel(): void {
    const bits = this.#bits;
    const { bytes } = assemble(bits === 64 ? SERVE_64 : SERVE_32, { bits, origin: BigInt(KERNEL) });
    this.#ram.bytes.set(bytes, KERNEL);
    const start = assemble(bits === 64 ? "fninit\n o64 sysret" : "fninit\n iretd", { bits, origin: BigInt(START) });
    this.#ram.bytes.set(start.bytes, START);
    const flat = { limit: 0xf_ffff, pages: true };
    const table: Record<number, bigint> = {
      [SELECTOR.code]: descriptor({ ...flat, type: 0xb, big: true }),
      [SELECTOR.data]: descriptor({ ...flat, type: 3, big: true }),
      [SELECTOR.userCode32]: descriptor({ ...flat, type: 0xb, big: true, dpl: 3 }),
      [SELECTOR.userData]: descriptor({ ...flat, type: 3, big: true, dpl: 3 }),
      [SELECTOR.userCode64]: descriptor({ ...flat, type: 0xb, long: true, dpl: 3 }),
    };
    for (const [selector, value] of Object.entries(table)) {
      this.#view.setBigUint64(GDT + (Number(selector) & ~7), value, true);
    }
    const callGate = gate({ selector: SELECTOR.code, offset: KERNEL, type: 14, dpl: 3 });
    if (bits === 32) this.#view.setBigUint64(IDT + 0x80 * 8, callGate, true);
    this.#view.setUint32(TSS + 4, KERNEL_STACK, true);
    this.#view.setUint16(TSS + 8, SELECTOR.data, true);
  }

  /** All of RAM, each page at its own address; the first megabyte is the kernel's. */
  #mapPages(): void {
    const long = this.#bits === 64;
    const bytes = long ? 8 : 4;
    const set = (table: number, index: number, value: bigint) =>
      long
        ? this.#view.setBigUint64(table + index * 8, value, true)
        : this.#view.setUint32(table + index * 4, Number(value), true);
    const perTable = PAGE_BYTES / bytes;
    const directory = long ? TABLES + 2 * PAGE_BYTES : TABLES;
    if (long) {
      set(TABLES, 0, BigInt(TABLES + PAGE_BYTES) | PTE.user);
      set(TABLES + PAGE_BYTES, 0, BigInt(directory) | PTE.user);
    }
    for (let page = 0; page < RAM_BYTES / PAGE_BYTES; page++) {
      const index = Math.floor(page / perTable);
      const table = directory + (index + 1) * PAGE_BYTES;
      if (page % perTable === 0) set(directory, index, BigInt(table) | PTE.user);
      const address = BigInt(page * PAGE_BYTES);
      set(table, page % perTable, address | (address < MIB ? PTE.supervisor : PTE.user));
    }
  }

  /** argc, argv and an empty environment, as the ABI has them; the stack pointer. */
  #layStack(args: readonly string[]): number {
    let at = STACK_TOP;
    const addresses = args.map((text) => {
      const bytes = Buffer.from(`${text}\0`, "latin1");
      at -= bytes.length;
      this.#ram.bytes.set(bytes, at);
      return at;
    });
    const bytes = this.#bits / 8;
    const words = [args.length, ...addresses, 0, 0];
    const pointer = (at - words.length * bytes) & ~63;
    words.forEach((word, i) => {
      this.#setLong(pointer + i * bytes, word);
    });
    return pointer;
  }

  /** In ring 0, at code that readies the x87 as Linux does and goes to the program. */
  #enter(entry: bigint, stack: number): void {
    const { registers, system } = this.processor;
    const long = this.#bits === 64;
    const data = { selector: SELECTOR.userData, base: 0n, limit: 0xffff_ffff, attributes: 0xc0f3 };
    for (const index of [ES, DS, FS, GS]) registers.setSegment(index, data);
    registers.setSegment(SS, { ...data, selector: SELECTOR.data, attributes: 0xc093 });
    registers.setSegment(CS, { ...data, selector: SELECTOR.code, attributes: long ? 0xa09b : 0xc09b });
    registers.setSegment(TR, { selector: SELECTOR.tss, base: BigInt(TSS), limit: 0x67, attributes: 0x8b });
    registers.set64("gdtBase", BigInt(GDT));
    registers.set32("gdtLimit", 0xff);
    registers.set64("idtBase", BigInt(IDT));
    registers.set32("idtLimit", 0x7ff);
    registers.set64("cr0", 0x8000_0033n);
    registers.set64("cr3", BigInt(TABLES));
    registers.set64("cr4", long ? 0x620n : 0x600n);
    registers.set64("efer", long ? 0xd01n : 0n);
    registers.set32("cpl", 0);
    this.processor.flushTlb();
    this.processor.modeChanged();
    registers.set64("ip", BigInt(START));
    if (long) {
      // SYSRET to 64-bit code takes the selector plus 16 for CS, plus 8 for SS.
      system.writeMsr(MSR.star, (0x1bn << 48n) | (BigInt(SELECTOR.code) << 32n));
      system.writeMsr(MSR.lstar, BigInt(KERNEL));
      system.writeMsr(MSR.sfmask, 0x200n);
      registers.setGpr(1, entry);
      registers.setGpr(4, BigInt(stack));
      registers.setGpr(11, 2n);
      return;
    }
    const frame = [Number(entry), SELECTOR.userCode32, 2, stack, SELECTOR.userData];
    const at = KERNEL_STACK - 4 * frame.length;
    frame.forEach((word, i) => {
      this.#setLong(at + 4 * i, word);
    });
    registers.setGpr(4, BigInt(at));
  }
}
