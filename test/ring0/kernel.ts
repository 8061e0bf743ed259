/**
 * Small guest kernels for tests of what happens in ring 0: they go to one of the processor's modes, keep a log
 * of the exceptions that they meet, and either stop at one or go on where the program says (`attempt`).
 */

import { FIELDS_SIZE } from "../../src/cpu/state.ts";
import { descriptor, gate } from "../../src/cpu/system/testing/flat-cpu.ts";
import { GuestMachine } from "../../src/cpu/system/testing/guest-machine.ts";

/** Real mode; 32-bit protected mode without paging, with 2-level and with PAE paging; 64-bit mode. */
export type Mode = "real" | "protected" | "paged" | "pae" | "long";
export const PAGED: readonly Mode[] = ["paged", "pae", "long"];

const PAGE_BYTES = 4096;
const GDT = 0x1_0000;
const IDT = 0x1_1000;
export const TSS = 0x1_2000;
const LOG = 0x1_3000;
const LOG_NEXT = 0x1_2ff0;
const RESUME = 0x1_2ff8;
/** Vector of the exception that the guest returns from, with RF set. */
const CONTINUE = 0x1_2fe8;
const RF = 0x1_0000;
/** Stack pointers of ring 0, of interrupts from ring 3, and of ring 3. */
export const STACK = 0x1_8000;
export const INTERRUPT_STACK = 0x1_7000;
export const USER_STACK = 0x1_a000;
const TABLES = 0x2_0000;
/** Memory that nothing here uses. */
export const SCRATCH = 0x10_0000;

export const SELECTOR = {
  code32: 0x08,
  data: 0x10,
  code64: 0x18,
  userData: 0x2b,
  userCode64: 0x33,
  userCode32: 0x3b,
  tss: 0x40,
  code16: 0x50,
  data16: 0x58,
  /** The first that tests may define. */
  free: 0x80,
} as const;

const flat = { limit: 0xf_ffff, pages: true };
const DESCRIPTORS: Record<number, bigint> = {
  8: descriptor({ ...flat, type: 0xa, big: true }),
  16: descriptor({ ...flat, type: 2, big: true }),
  24: descriptor({ ...flat, type: 0xa, long: true }),
  32: descriptor({ ...flat, type: 2, big: true }),
  40: descriptor({ ...flat, type: 2, big: true, dpl: 3 }),
  48: descriptor({ ...flat, type: 0xa, long: true, dpl: 3 }),
  56: descriptor({ ...flat, type: 0xa, big: true, dpl: 3 }),
  64: descriptor({ base: TSS, limit: 0xfff, type: 9, system: true }),
  80: descriptor({ limit: 0xffff, type: 0xa }),
  88: descriptor({ limit: 0xffff, type: 2 }),
};

/** Page table bits. @spec SDM 3A 4.3–4.5 */
export const PTE = { P: 1, RW: 2, US: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;
const OPEN = PTE.P | PTE.RW | PTE.US;

export interface Exception {
  readonly vector: number;
  readonly errorCode: number;
  readonly ip: number;
  readonly cs: number;
  readonly flags: number;
  readonly cr2: bigint;
  readonly dr6: number;
}

export interface KernelOptions {
  /** Descriptors by selector, in place of and beside those of `SELECTOR`. */
  readonly descriptors?: Record<number, bigint>;
  /** Gates of the interrupt descriptor table by vector; other exceptions are logged. */
  readonly gates?: Record<number, { label: string; dpl?: number; selector?: number; type?: number; ist?: number }>;
  /** Vector of an exception that is logged and returned from: its cause is taken out of DR6, and RF is set. */
  readonly continues?: number;
  /** Vectors without a gate. */
  readonly missing?: readonly number[];
  /** Writes to memory before the start. */
  readonly setup?: (kernel: Kernel) => void;
  /** Hot code is translated. */
  readonly translates?: boolean;
  /** Instructions to run at most. */
  readonly budget?: number;
}

const ERROR_CODES = new Set([8, 10, 11, 12, 13, 14, 17]);
let labels = 0;

/** Assembly that tries `code`, and goes on behind it when that raises an exception. */
export function attempt(code: string): string {
  const label = `attempted${labels++}`;
  return `
    ss mov dword ptr [${RESUME}],${label}
    ${code}
  ${label}:
    ss mov dword ptr [${RESUME}],0
    `;
}

/** Assembly that sets and clears bits of a control register. */
export function changeControl(mode: Mode, register: "cr0" | "cr4", set: number, clear = 0): string {
  const accumulator = mode === "long" ? "rax" : "eax";
  return `
    mov ${accumulator},${register}
    or eax,${set}
    and eax,${~clear >>> 0}
    mov ${register},${accumulator}`;
}

/** Assembly that goes to `label` in ring 3. */
export function toUser(mode: Mode, label: string, flags = 2): string {
  const long = mode === "long";
  return `
    mov ax,${SELECTOR.userData}
    mov ds,ax
    mov es,ax
    push ${SELECTOR.userData}
    push ${USER_STACK}
    push ${flags}
    push ${long ? SELECTOR.userCode64 : SELECTOR.userCode32}
    push ${label}
    ${long ? "iretq" : "iretd"}`;
}

/** Exceptions that are logged; the others have no gate unless the test gives one. */
const LOGGED = [...Array(32).keys()];

function stubs(): string {
  return LOGGED.map(
    (vector) => `
  exception${vector}:
    ${ERROR_CODES.has(vector) ? "" : "push 0"}
    push ${vector}
    jmp logged`,
  ).join("");
}

const LOG_32 = `
  logged:
    pushad
    ss mov edi,[${LOG_NEXT}]
    ${[32, 36, 40, 44, 48]
      .map(
        (offset, i) => `
    mov eax,[esp+${offset}]
    ss mov [edi+${i * 8}],eax`,
      )
      .join("")}
    mov eax,cr2
    ss mov [edi+40],eax
    mov eax,dr6
    ss mov [edi+48],eax
    ss add dword ptr [${LOG_NEXT}],64
    mov eax,[esp+32]
    ss cmp eax,[${CONTINUE}]
    jz continue
    ss cmp dword ptr [${RESUME}],0
    jz stop
    ss mov eax,[${RESUME}]
    mov [esp+40],eax
    ss mov dword ptr [${RESUME}],0
  leave:
    popad
    add esp,8
    iretd
  continue:
    or dword ptr [esp+48],${RF}
    mov eax,0
    mov dr6,eax
    jmp leave
  stop:
    popad
    hlt`;

const LOG_64 = `
  logged:
    push rax
    push rdi
    mov rdi,[${LOG_NEXT}]
    ${[16, 24, 32, 40, 48]
      .map(
        (offset, i) => `
    mov rax,[rsp+${offset}]
    mov [rdi+${i * 8}],rax`,
      )
      .join("")}
    mov rax,cr2
    mov [rdi+40],rax
    mov rax,dr6
    mov [rdi+48],rax
    add qword ptr [${LOG_NEXT}],64
    mov rax,[rsp+16]
    cmp eax,[${CONTINUE}]
    jz continue
    cmp qword ptr [${RESUME}],0
    jz stop
    mov rax,[${RESUME}]
    mov [rsp+32],rax
    mov qword ptr [${RESUME}],0
  leave:
    pop rdi
    pop rax
    add rsp,16
    iretq
  continue:
    or dword ptr [rsp+48],${RF}
    mov eax,0
    mov dr6,rax
    jmp leave
  stop:
    pop rdi
    pop rax
    hlt`;

const paging = (mode: Mode): string => {
  const cr4 = mode === "paged" ? 0x10 : 0x20;
  const efer = mode === "long" ? 0x901 : 0x800;
  return `
    mov eax,cr4
    or eax,${cr4 | 0x600}
    mov cr4,eax
    mov eax,${TABLES}
    mov cr3,eax
    mov ecx,0xc0000080
    mov eax,${efer}
    mov edx,0
    wrmsr
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax`;
};

function source(mode: Mode, program: string): string {
  if (mode === "real") return program;
  const long = mode === "long";
  return `
    lgdt [gdtr]
    lidt [idtr]
    mov eax,cr0
    or eax,0x21
    mov cr0,eax
    jmp ${SELECTOR.code32}:protected
  gdtr:
    dw 0xfff
    dd ${GDT}
  idtr:
    dw 0xfff
    dq ${IDT}
  bits 32
  protected:
    mov ax,${SELECTOR.data}
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,${STACK}
    ${mode === "protected" ? "" : paging(mode)}
    ${long ? `jmp ${SELECTOR.code64}:long\n bits 64\n long:\n lidt [idtr]\n mov rsp,${STACK}` : ""}
    mov ax,${SELECTOR.tss}
    ltr ax
    xor eax,eax
    xor ecx,ecx
    xor edx,edx
    jmp program
    ${stubs()}
    ${long ? LOG_64 : LOG_32}
  program:
    ${program}`;
}

/** Kernels share it, one after the other: what it has built for one serves the next. */
const machines = {
  plain: new GuestMachine(),
  translating: new GuestMachine({ translates: true }),
  eager: new GuestMachine({ translates: true, heat: 1 }),
};

/** Whether kernels run translated unless they say otherwise: see translated.test.ts. */
let areTranslated = false;

/** From now on kernels run twice: what runs in the first run is translated in the second, which starts as the first did. */
export function translateKernels(): void {
  areTranslated = true;
}

/** Regions that were made for them. */
export const translatedRegions = (): number => machines.eager.processor.statistics.translated.regions;

function resetMachine(translates: boolean | undefined): GuestMachine {
  const machine = translates ? machines.translating : areTranslated ? machines.eager : machines.plain;
  machine.waiting = -1;
  machine.nmiSent = false;
  machine.output.length = 0;
  new Uint8Array(machine.ram.buffer, machine.ram.byteOffset, machine.ram.byteLength).fill(0);
  machine.processor.physicalWritten(0, machine.ram.byteLength - 1);
  machine.processor.reset();
  return machine;
}

/** A guest, until the next one is made. */
export class Kernel {
  readonly mode: Mode;
  readonly machine: GuestMachine;
  readonly ram: DataView;
  readonly symbols: ReadonlyMap<string, bigint>;
  readonly #budget: number;
  readonly #tables = new Map<string, number>();

  constructor(mode: Mode, program: string, options: KernelOptions = {}) {
    this.mode = mode;
    this.machine = resetMachine(options.translates);
    this.ram = this.machine.ram;
    this.#budget = options.budget ?? 100_000;
    this.symbols = this.machine.load(source(mode, program));
    if (mode !== "real") {
      this.#writeTables(options);
      if (mode !== "protected") this.#mapLow();
    }
    options.setup?.(this);
  }

  #writeTables({ descriptors = {}, gates = {}, missing = [], continues = -1 }: KernelOptions): void {
    const { ram } = this;
    for (const [selector, value] of Object.entries({ ...DESCRIPTORS, ...descriptors })) {
      ram.setBigUint64(GDT + Number(selector), value, true);
    }
    for (const vector of LOGGED) if (!missing.includes(vector)) this.#setGate(vector, { label: `exception${vector}` });
    for (const [vector, fields] of Object.entries(gates)) this.#setGate(Number(vector), fields);
    ram.setUint32(LOG_NEXT, LOG, true);
    ram.setInt32(CONTINUE, continues, true);
    ram.setUint32(TSS + 4, INTERRUPT_STACK, true);
    if (this.mode !== "long") ram.setUint16(TSS + 8, SELECTOR.data, true);
    // No I/O permission bitmap.
    ram.setUint16(TSS + 0x66, 0xffff, true);
  }

  #setGate(vector: number, fields: NonNullable<KernelOptions["gates"]>[number]): void {
    const long = this.mode === "long";
    const { label, dpl = 0, type = 14, ist = 0 } = fields;
    const selector = fields.selector ?? (long ? SELECTOR.code64 : SELECTOR.code32);
    const value = gate({ selector, offset: this.at(label), type, dpl, count: ist });
    this.ram.setBigUint64(IDT + vector * (long ? 16 : 8), value, true);
  }

  /** Maps the first 4 MiB to themselves in small pages, open to all. */
  #mapLow(): void {
    for (let linear = 0; linear < 4 << 20; linear += 4096) this.map(linear, linear | OPEN);
  }

  /** The address of a label; numbers in decimal stand for themselves. */
  at(label: string): number {
    const address = this.symbols.get(label) ?? (/^\d+$/.test(label) ? BigInt(label) : undefined);
    if (address === undefined) throw new Error(`there is no label ${label}`);
    return Number(address);
  }

  /** Physical addresses of the paging-structure entries that lead to `linear`, top level first. */
  entries(linear: number): readonly number[] {
    const { mode } = this;
    const levels = mode === "paged" ? [22, 12] : mode === "pae" ? [30, 21, 12] : [39, 30, 21, 12];
    const bytes = mode === "paged" ? 4 : 8;
    let table = TABLES;
    return levels.map((shift, depth) => {
      if (depth > 0) table = this.#table(`${depth} ${Math.floor(linear / 2 ** (levels[depth - 1] as number))}`);
      const bits = depth === 0 && mode === "pae" ? 2 : mode === "paged" ? 10 : 9;
      return table + (Math.floor(linear / 2 ** shift) % 2 ** bits) * bytes;
    });
  }

  /** The table of this name, a new one where there is none. */
  #table(name: string): number {
    const table = this.#tables.get(name) ?? TABLES + 0x1000 * (1 + this.#tables.size);
    this.#tables.set(name, table);
    return table;
  }

  entry(address: number): bigint {
    return this.mode === "paged" ? BigInt(this.ram.getUint32(address, true)) : this.ram.getBigUint64(address, true);
  }
  setEntry(address: number, value: number | bigint): void {
    if (this.mode === "paged") this.ram.setUint32(address, Number(BigInt.asUintN(32, BigInt(value))), true);
    else this.ram.setBigUint64(address, BigInt.asUintN(64, BigInt(value)), true);
  }

  /** Sets the entry of the small page at `linear`; entries above it are open where there were none. */
  map(linear: number, value: number | bigint): void {
    const entries = this.entries(linear);
    entries.forEach((at, depth) => {
      if (depth === entries.length - 1) this.setEntry(at, value);
      else if (this.entry(at) === 0n) {
        const table = (entries[depth + 1] as number) & ~0xfff;
        this.setEntry(at, table | (this.mode === "pae" && depth === 0 ? PTE.P : OPEN));
      }
    });
  }

  /** The entry of the small page at `linear`. */
  page(linear: number): bigint {
    return this.entry(this.entries(linear).at(-1) as number);
  }

  /** Runs until the guest halts or shuts down; says which. */
  run(): "halted" | "shutdown" | "running" {
    if (this.machine === machines.eager) {
      const goBack = this.#remember();
      this.#run();
      goBack();
    }
    return this.#run();
  }

  /** Returns a function that brings back the state of now; the processor is told of the pages that it changes. */
  #remember(): () => void {
    const { machine } = this;
    const { processor } = machine;
    const { registers } = processor;
    const ram = new Uint8Array(machine.ram.buffer, machine.ram.byteOffset, machine.ram.byteLength);
    const before = ram.slice();
    const fields = registers.bytes.slice(registers.base, registers.base + FIELDS_SIZE);
    const { waiting } = machine;
    return () => {
      for (let page = 0; page < ram.length; page += PAGE_BYTES) {
        const now = Buffer.from(ram.buffer, ram.byteOffset + page, PAGE_BYTES);
        if (now.equals(before.subarray(page, page + PAGE_BYTES))) continue;
        processor.physicalWritten(page, page + PAGE_BYTES - 1);
        ram.set(before.subarray(page, page + PAGE_BYTES), page);
      }
      processor.reset();
      registers.bytes.set(fields, registers.base);
      processor.flushTlb();
      processor.modeChanged();
      machine.waiting = waiting;
      machine.output.length = 0;
      if (machine.nmiSent) processor.nmi();
    };
  }

  #run(): "halted" | "shutdown" | "running" {
    let left = this.#budget;
    while (left > 0) {
      const before = this.machine.processor.instructions;
      const { kind } = this.machine.processor.run(left);
      if (kind === "halted" || kind === "shutdown") return kind;
      left -= Math.max(this.machine.processor.instructions - before, 1);
    }
    return "running";
  }

  /** What was logged, first to last. */
  get exceptions(): Exception[] {
    const { ram } = this;
    const list: Exception[] = [];
    for (let at = LOG; at < ram.getUint32(LOG_NEXT, true); at += 64) {
      list.push({
        vector: ram.getUint32(at, true),
        errorCode: ram.getUint32(at + 8, true),
        ip: ram.getUint32(at + 16, true),
        cs: ram.getUint16(at + 24, true),
        flags: ram.getUint32(at + 32, true),
        cr2: ram.getBigUint64(at + 40, true),
        dr6: ram.getUint32(at + 48, true),
      });
    }
    return list;
  }

  gpr(index: number): bigint {
    return this.machine.processor.registers.gpr(index);
  }
}

/** Where the paging-structure entry for `linear` will lie in a new kernel, `level` up from the page table. */
export function entryAddress(mode: Mode, linear: number, level = 0): number {
  return new Kernel(mode, "hlt").entries(linear).at(-1 - level) as number;
}

/** Runs a program to its HLT. */
export function run(mode: Mode, program: string, options?: KernelOptions): Kernel {
  const kernel = new Kernel(mode, program, options);
  const end = kernel.run();
  if (end !== "halted") {
    const { registers } = kernel.machine.processor;
    throw new Error(
      `the guest is ${end} at ${registers.get64("ip").toString(16)}: ${show(kernel.exceptions.slice(0, 20))}`,
    );
  }
  return kernel;
}

/** Exceptions in short, as tests compare them: "#13(0)", a page fault as "#14(2)@100000". */
export function show(exceptions: readonly Exception[]): string[] {
  return exceptions.map(({ vector, errorCode, cr2 }) => {
    const code = ERROR_CODES.has(vector) ? `(${errorCode.toString(16)})` : "";
    return `#${vector}${code}${vector === 14 ? `@${cr2.toString(16)}` : ""}`;
  });
}

/** Runs a program and gives the exceptions that it met, in short. */
export function exceptionsOf(mode: Mode, program: string, options?: KernelOptions): string[] {
  return show(run(mode, program, options).exceptions);
}
