/** x87 and SSE registers as gdb knows them. @spec SDM 1, 8.1, 10.2 */
import type { Processor } from "../../cpu/processor.ts";
import { fromLittleEndian, littleEndian } from "./hex.ts";
import type { ProcessorRegister } from "./processor-registers.ts";

/** Masks and controls that software can set; bit 6 always reads 1. */
const CONTROL_BITS = 0x1f3f;
const CONTROL_ONES = 0x40;
const EXCEPTIONS = 0x3f;
/** Exceptions, stack fault and condition codes; not TOP, which is kept apart, nor ES and B, which follow. */
const STATUS_BITS = 0x477f;
const SUMMARY = 0x8080;
const MXCSR_BITS = 0xffffn;
const TAG = { valid: 0, zero: 1, special: 2, empty: 3 } as const;
const INTEGER_BIT = 1n << 63n;

const bytesAt = ({ registers }: Processor, address: number, length: number) =>
  registers.bytes.subarray(address, address + length);

/** A register that is `bytes` bytes at a place in the shared memory. */
function placed(
  name: string,
  bits: 80 | 128,
  type: string,
  group: string | undefined,
  place: (cpu: Processor) => number,
): ProcessorRegister {
  return {
    name,
    bits,
    type,
    ...(group === undefined ? {} : { group }),
    read: (cpu) => fromLittleEndian(bytesAt(cpu, place(cpu), bits / 8)),
    write(cpu, value) {
      bytesAt(cpu, place(cpu), bits / 8).set(littleEndian(value, bits / 8));
      return true;
    },
  };
}

/** A word of the x87 environment. */
function word(name: string, read: (cpu: Processor) => number, change: (cpu: Processor, value: number) => void) {
  const register: ProcessorRegister = {
    name,
    bits: 32,
    type: "int",
    group: "float",
    read: (cpu) => BigInt(read(cpu) >>> 0),
    write(cpu, value) {
      change(cpu, Number(value) | 0);
      return true;
    },
  };
  return register;
}

/** Brings ES and B in line with the exceptions and their masks. @spec SDM 1, 8.1.3.3 */
function setStatus(cpu: Processor, status: number, control: number): void {
  const { registers } = cpu;
  const pending = (status & ~control & EXCEPTIONS) !== 0;
  registers.set32("fpuControl", control);
  registers.set32("fpuStatus", (status & STATUS_BITS) | (pending ? SUMMARY : 0));
  cpu.modeChanged();
}

/** Two bits for each physical register. @spec SDM 1, 8.1.7 */
function tagWord(cpu: Processor): number {
  const empty = cpu.registers.get32("fpuTag");
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const value = fromLittleEndian(bytesAt(cpu, cpu.registers.fpuAddress(i), 10));
    const mantissa = BigInt.asUintN(64, value);
    const exponent = (value >> 64n) & 0x7fffn;
    let tag: number = TAG.valid;
    if (empty & (1 << i)) tag = TAG.empty;
    else if (exponent === 0n && mantissa === 0n) tag = TAG.zero;
    else if (exponent === 0n || exponent === 0x7fffn || !(mantissa & INTEGER_BIT)) tag = TAG.special;
    tags |= tag << (2 * i);
  }
  return tags;
}

function setTags(cpu: Processor, tags: number): void {
  let empty = 0;
  for (let i = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) === TAG.empty) empty |= 1 << i;
  cpu.registers.set32("fpuTag", empty);
}

/** A field of the processor's state, of which `mask` are the bits that it has. */
const field32 = (name: string, fieldName: string, mask: number) =>
  word(
    name,
    ({ registers }) => registers.get32(fieldName),
    ({ registers }, value) => registers.set32(fieldName, value & mask),
  );
/** The low half of a pointer. */
const field64 = (name: string, fieldName: string) =>
  word(
    name,
    ({ registers }) => Number(registers.get64(fieldName) & 0xffff_ffffn),
    ({ registers }, value) => registers.set64(fieldName, BigInt(value >>> 0)),
  );

export const FLOAT_REGISTERS: readonly ProcessorRegister[] = [
  ...Array.from({ length: 8 }, (_, i) =>
    placed(`st${i}`, 80, "i387_ext", undefined, ({ registers }) =>
      registers.fpuAddress((registers.get32("fpuTop") + i) & 7),
    ),
  ),
  word(
    "fctrl",
    ({ registers }) => registers.get32("fpuControl"),
    (cpu, value) => setStatus(cpu, cpu.registers.get32("fpuStatus"), (value & CONTROL_BITS) | CONTROL_ONES),
  ),
  word(
    "fstat",
    ({ registers }) => registers.get32("fpuStatus") | ((registers.get32("fpuTop") & 7) << 11),
    (cpu, value) => {
      cpu.registers.set32("fpuTop", (value >> 11) & 7);
      setStatus(cpu, value, cpu.registers.get32("fpuControl"));
    },
  ),
  word("ftag", tagWord, setTags),
  field32("fiseg", "fpuCs", 0xffff),
  field64("fioff", "fpuIp"),
  field32("foseg", "fpuDs", 0xffff),
  field64("fooff", "fpuDp"),
  field32("fop", "fpuOpcode", 0x7ff),
];

/** XMM registers and MXCSR. */
export function vectorRegisters(count: 8 | 16): readonly ProcessorRegister[] {
  return [
    ...Array.from({ length: count }, (_, i) =>
      placed(`xmm${i}`, 128, "vec128", "vector", ({ registers }) => registers.xmmAddress(i)),
    ),
    {
      name: "mxcsr",
      bits: 32,
      type: "int",
      group: "vector",
      read: ({ registers }) => BigInt(registers.get32("mxcsr") >>> 0),
      write({ registers }, value) {
        // Reserved bits raise #GP in a guest. @spec SDM 2, LDMXCSR
        if (value & ~MXCSR_BITS) return false;
        registers.set32("mxcsr", Number(value));
        return true;
      },
    },
  ];
}
