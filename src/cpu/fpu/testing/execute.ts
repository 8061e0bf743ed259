/** One instruction on a state that a test writes down, and the state after it. */
import type { Number80 } from "./cases.ts";
import { readNumber } from "./differential.ts";
import { type Fpu, IMAGE, RECORD } from "./record.ts";

export interface Before {
  /** Control word; all masked, 64 bits, to nearest unless given. */
  readonly control?: number;
  /** Status word without TOP, which follows from the registers. */
  readonly status?: number;
  /** The stack from ST(0) on; other registers are empty. */
  readonly st?: readonly Number80[];
  /** The memory operand. */
  readonly memory?: Uint8Array;
}

export interface After {
  readonly control: number;
  readonly status: number;
  readonly top: number;
  readonly tags: number;
  /** ST(index). */
  st(index: number): Number80;
  readonly memory: DataView;
}

const SIZE = RECORD.memory + 512;
export const NEAREST_64 = 0x37f;

/** Executes `instruction`, whose memory operand is [RSI]. */
export function execute(fpu: Fpu, instruction: readonly number[], before: Before): After {
  const bytes = new Uint8Array(SIZE);
  const record = new DataView(bytes.buffer);
  const { control = NEAREST_64, status = 0, st = [], memory } = before;
  const top = (8 - st.length) & 7;
  record.setUint32(IMAGE.control, control, true);
  record.setUint32(IMAGE.status, status | (top << 11), true);
  let tags = 0xffff;
  for (const [i, { m, se }] of st.entries()) {
    tags &= ~(3 << (2 * ((top + i) & 7)));
    record.setBigUint64(IMAGE.registers + 10 * i, m, true);
    record.setUint16(IMAGE.registers + 10 * i + 8, se, true);
  }
  record.setUint32(IMAGE.tags, tags, true);
  if (memory) bytes.set(memory, RECORD.memory);
  fpu.run(instruction, bytes, SIZE);
  const word = record.getUint16(IMAGE.status, true);
  return {
    control: record.getUint16(IMAGE.control, true),
    status: word & ~0x3800,
    top: (word >> 11) & 7,
    tags: record.getUint16(IMAGE.tags, true),
    st: (index) => readNumber(record, index),
    memory: new DataView(bytes.buffer, RECORD.memory),
  };
}

/** A double as a register holds it; normal numbers, zeros, infinities and NaNs. */
export function number(value: number): Number80 {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const sign = Number(bits >> 63n) << 15;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = (bits & ((1n << 52n) - 1n)) << 11n;
  if (exponent === 0) return { m: 0n, se: sign };
  return { m: (1n << 63n) | fraction, se: sign | (exponent === 0x7ff ? 0x7fff : exponent + 0x3c00) };
}

/** The number that a register holds, to the precision of a double. */
export function toDouble({ m, se }: Number80): number {
  const sign = se & 0x8000 ? -1 : 1;
  const exponent = se & 0x7fff;
  if (exponent === 0x7fff) return m << 1n === 1n << 64n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return (sign * Number(m) * 2 ** (exponent - 0x3fff)) / 2 ** 63;
}
