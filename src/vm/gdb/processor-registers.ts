/**
 * The processor's registers as gdb knows them, for 32-bit and for 64-bit guests.
 * @spec Debugging with GDB, G.5.4 "i386 Features"
 *
 * Not modelled: writing CS in protected mode (a far jump does more than load a register), and the flags VM, VIF and VIP.
 */
import type { Processor } from "../../cpu/processor.ts";
import { CONTEXT } from "../../cpu/state.ts";
import { GuestFault } from "../../cpu/system/guest-fault.ts";
import { EFER, hasRealSegments } from "../../cpu/system/mode.ts";
import { loadRealSegment, loadSegment } from "../../cpu/system/segments.ts";
import { CS, DS, ES, FS, GS, SS } from "../../isa/semantics.ts";
import type { Architecture, RegisterDescription, RegisterFeature } from "./debug-target.ts";
import { FLOAT_REGISTERS, vectorRegisters } from "./float-registers.ts";
import { fromLittleEndian, littleEndian } from "./hex.ts";

export interface ProcessorRegister extends RegisterDescription {
  read(cpu: Processor): bigint;
  /** False where the register cannot take the value. */
  write(cpu: Processor, value: bigint): boolean;
}

interface Feature extends RegisterFeature {
  readonly registers: readonly ProcessorRegister[];
}

/** In the order of gdb's register numbers, with the numbers of encodings. */
const GENERAL_32: readonly (readonly [string, number])[] = [
  ["eax", 0],
  ["ecx", 1],
  ["edx", 2],
  ["ebx", 3],
  ["esp", 4],
  ["ebp", 5],
  ["esi", 6],
  ["edi", 7],
];
const GENERAL_64: readonly (readonly [string, number])[] = [
  ["rax", 0],
  ["rbx", 3],
  ["rcx", 1],
  ["rdx", 2],
  ["rsi", 6],
  ["rdi", 7],
  ["rbp", 5],
  ["rsp", 4],
  ...[8, 9, 10, 11, 12, 13, 14, 15].map((number) => [`r${number}`, number] as const),
];
const SEGMENTS: readonly (readonly [string, number])[] = [
  ["cs", CS],
  ["ss", SS],
  ["ds", DS],
  ["es", ES],
  ["fs", FS],
  ["gs", GS],
];
const POINTERS = new Set(["esp", "ebp", "rsp", "rbp"]);
/** Numbers of MSRs. */
const IA32_EFER = 0xc000_0080;
const KERNEL_GS_BASE = 0xc000_0102;
/** What a program could change by POPF at privilege level 0, and RF. */
const FLAGS_WRITABLE = 0x25_7fd5;
const FLAGS_FIXED = 2;

/** Does what may raise an exception in a guest; whether it did not. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof GuestFault)) throw error;
    return false;
  }
}

/** A value of which a register of 32 bits has the low half; the upper half is left as it is. */
function cut(bits: 32 | 64, old: bigint, value: bigint): bigint {
  return bits === 64 ? value : (old & ~0xffff_ffffn) | value;
}

function general([name, number]: readonly [string, number], bits: 32 | 64): ProcessorRegister {
  const type = POINTERS.has(name) ? "data_ptr" : bits === 64 ? "int64" : "int32";
  return {
    name,
    bits,
    type,
    read: ({ registers }) => registers.gpr(number),
    write({ registers }, value) {
      registers.setGpr(number, cut(bits, registers.gpr(number), value));
      return true;
    },
  };
}

/**
 * gdb takes it for the address of the instruction in memory, as breakpoints have it: where the code segment's base is
 * not 0 (real mode), it is not IP but the linear address.
 */
function instructionPointer(name: string, bits: 32 | 64): ProcessorRegister {
  const base = ({ registers }: Processor) =>
    registers.get32("context") & CONTEXT.long ? 0n : registers.segmentBase(CS);
  return {
    name,
    bits,
    type: "code_ptr",
    read(cpu) {
      const ip = cpu.registers.get64("ip");
      return cpu.registers.get32("context") & CONTEXT.long ? ip : (ip + base(cpu)) & 0xffff_ffffn;
    },
    write(cpu, value) {
      const { registers } = cpu;
      const long = registers.get32("context") & CONTEXT.long;
      registers.set64("ip", long ? value : (value - base(cpu)) & 0xffff_ffffn);
      // What HLT or STI before it held up is no business of the instruction there.
      if (registers.get32("activity") === 1) registers.set32("activity", 0);
      registers.set32("shadow", 0);
      return true;
    },
  };
}

const FLAGS: ProcessorRegister = {
  name: "eflags",
  bits: 32,
  type: "i386_eflags",
  read: ({ registers }) => BigInt(registers.eflags >>> 0),
  write(cpu, value) {
    const { registers } = cpu;
    const kept = registers.eflags & ~FLAGS_WRITABLE;
    registers.eflags = kept | (Number(value) & FLAGS_WRITABLE) | FLAGS_FIXED;
    cpu.modeChanged();
    return true;
  },
};

function segment([name, index]: readonly [string, number]): ProcessorRegister {
  return {
    name,
    bits: 32,
    type: "int32",
    read: ({ registers }) => BigInt(registers.selector(index)),
    write(cpu, value) {
      const selector = Number(value);
      if (selector > 0xffff) return false;
      if (index !== CS) return attempt(() => loadSegment(cpu, index, selector));
      if (!hasRealSegments(cpu.registers)) return selector === cpu.registers.selector(CS);
      loadRealSegment(cpu, CS, selector);
      cpu.modeChanged();
      return true;
    },
  };
}

function segmentBase(name: string, index: number, bits: 32 | 64): ProcessorRegister {
  return {
    name,
    bits,
    type: bits === 64 ? "int64" : "int32",
    read: ({ registers }) => registers.segmentBase(index),
    write({ registers }, value) {
      if (BigInt.asUintN(64, BigInt.asIntN(48, value)) !== value) return false;
      registers.setSegmentBase(index, value);
      return true;
    },
  };
}

/** A system register; `change` raises what a guest's instruction would. */
function system(
  name: string,
  bits: 32 | 64,
  type: "cr0" | "cr4" | "efer" | "int",
  read: (cpu: Processor) => bigint,
  change: (cpu: Processor, value: bigint) => void,
): ProcessorRegister {
  return {
    name,
    bits,
    type: type === "int" ? `int${bits}` : type,
    group: "system",
    read,
    write: (cpu, value) => attempt(() => change(cpu, cut(bits, read(cpu), value))),
  };
}

function control(number: 0 | 2 | 3 | 4 | 8, bits: 32 | 64): ProcessorRegister {
  return system(
    `cr${number}`,
    bits,
    number === 0 || number === 4 ? `cr${number}` : "int",
    (cpu) => (number === 8 ? BigInt(cpu.readCr8()) : cpu.registers.get64(`cr${number}`)),
    (cpu, value) => cpu.system.writeControl(number, value),
  );
}

const systemRegisters = (bits: 32 | 64): readonly ProcessorRegister[] => [
  system(
    "k_gs_base",
    bits,
    "int",
    ({ registers }) => registers.get64("kernelGsBase"),
    (cpu, value) => cpu.system.writeMsr(KERNEL_GS_BASE, value),
  ),
  ...([0, 2, 3, 4, 8] as const).map((number) => control(number, bits)),
  system(
    "efer",
    bits,
    "efer",
    ({ registers }) => registers.get64("efer"),
    (cpu, value) => cpu.system.writeMsr(IA32_EFER, value),
  ),
];

const bases = (bits: 32 | 64) => [segmentBase("fs_base", FS, bits), segmentBase("gs_base", GS, bits)];

const FEATURES_32: readonly Feature[] = [
  {
    name: "org.gnu.gdb.i386.core",
    registers: [
      ...GENERAL_32.map((register) => general(register, 32)),
      instructionPointer("eip", 32),
      FLAGS,
      ...SEGMENTS.map(segment),
      ...FLOAT_REGISTERS,
    ],
  },
  { name: "org.gnu.gdb.i386.sse", registers: vectorRegisters(8) },
  { name: "org.bunkhouse.system", registers: [...bases(32), ...systemRegisters(32)] },
];

const FEATURES: Record<Architecture, readonly Feature[]> = {
  i8086: FEATURES_32,
  i386: FEATURES_32,
  "i386:x86-64": [
    {
      name: "org.gnu.gdb.i386.core",
      registers: [
        ...GENERAL_64.map((register) => general(register, 64)),
        instructionPointer("rip", 64),
        FLAGS,
        ...SEGMENTS.map(segment),
        ...FLOAT_REGISTERS,
      ],
    },
    { name: "org.gnu.gdb.i386.sse", registers: vectorRegisters(16) },
    { name: "org.gnu.gdb.i386.segments", registers: bases(64) },
    { name: "org.bunkhouse.system", registers: systemRegisters(64) },
  ],
};

/** The registers of one processor, by gdb's numbers. */
export class ProcessorRegisters {
  readonly features: readonly RegisterFeature[];
  readonly #cpu: Processor;
  readonly #registers: readonly ProcessorRegister[];

  constructor(cpu: Processor, architecture: Architecture) {
    this.#cpu = cpu;
    this.features = FEATURES[architecture];
    this.#registers = FEATURES[architecture].flatMap(({ registers }) => registers);
  }

  read(number: number): Uint8Array {
    const { bits, read } = this.#registers[number] as ProcessorRegister;
    return littleEndian(read(this.#cpu), bits / 8);
  }

  write(number: number, value: Uint8Array): boolean {
    return (this.#registers[number] as ProcessorRegister).write(this.#cpu, fromLittleEndian(value));
  }
}

/** Whether 64-bit addresses and registers are in use. */
export function isLongMode({ registers }: Processor): boolean {
  return (registers.get32("efer") & EFER.LMA) !== 0;
}
