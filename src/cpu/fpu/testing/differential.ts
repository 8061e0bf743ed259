/** Runs one instruction on the host's FPU and on ours and tells the first difference. */
import { type CaseOptions, fillRecord, Random } from "./cases.ts";
import { type Fpu, IMAGE, RECORD, RECORD_SIZE } from "./record.ts";

export interface Comparison extends CaseOptions {
  readonly instruction: readonly number[];
  readonly cases: number;
  readonly seed: number;
  /** Status word bits that are not compared. */
  readonly undefinedStatus?: number;
  /** Bits of RFLAGS that are compared. */
  readonly flags?: number;
  /** Units in the last place by which a result may be off. */
  readonly tolerance?: number;
  /** Excludes cases whose result the manual leaves undefined. */
  readonly skip?: (before: DataView) => boolean;
}

const hex = (value: number | bigint, digits: number) => value.toString(16).padStart(digits, "0");
const registerText = (record: DataView, i: number) =>
  `${hex(record.getUint16(IMAGE.registers + 10 * i + 8, true), 4)}:${hex(record.getBigUint64(IMAGE.registers + 10 * i, true), 16)}`;

export function describe(record: DataView): string {
  const word = (at: number) => hex(record.getUint16(at, true), 4);
  const registers = Array.from({ length: 3 }, (_, i) => registerText(record, i)).join(" ");
  const memory = `${word(RECORD.memory + 8)}:${hex(record.getBigUint64(RECORD.memory, true), 16)}`;
  const flags = hex(record.getUint32(RECORD.flags, true), 3);
  return `cw ${word(IMAGE.control)} sw ${word(IMAGE.status)} tw ${word(IMAGE.tags)} st ${registers} mem ${memory} fl ${flags}`;
}

/** Distance of two numbers in units of the last place; far apart where signs differ or one is no number. */
export function distance(a: { m: bigint; se: number }, b: { m: bigint; se: number }): bigint {
  if (a.m === b.m && a.se === b.se) return 0n;
  if ((a.se ^ b.se) & 0x8000) return 1n << 80n;
  if ((a.se & 0x7fff) === 0x7fff || (b.se & 0x7fff) === 0x7fff) return 1n << 80n;
  const place = (x: { m: bigint; se: number }) => (BigInt(Math.max(x.se & 0x7fff, 1)) << 63n) + x.m;
  const difference = place(a) - place(b);
  return difference < 0n ? -difference : difference;
}

const C1 = 0x200;

function differs(host: DataView, guest: DataView, options: Comparison): boolean {
  const { undefinedStatus = 0, flags = 0, tolerance = 0 } = options;
  const ignored = undefinedStatus | (tolerance ? C1 : 0);
  if (host.getUint16(IMAGE.control, true) !== guest.getUint16(IMAGE.control, true)) return true;
  if ((host.getUint16(IMAGE.status, true) ^ guest.getUint16(IMAGE.status, true)) & ~ignored) return true;
  if (host.getUint16(IMAGE.tags, true) !== guest.getUint16(IMAGE.tags, true)) return true;
  if ((host.getUint32(RECORD.flags, true) ^ guest.getUint32(RECORD.flags, true)) & flags) return true;
  if (host.getBigUint64(RECORD.rax, true) !== guest.getBigUint64(RECORD.rax, true)) return true;
  for (let i = 0; i < 8; i++) {
    const at = IMAGE.registers + 10 * i;
    const read = (record: DataView) => ({ m: record.getBigUint64(at, true), se: record.getUint16(at + 8, true) });
    if (distance(read(host), read(guest)) > BigInt(tolerance)) return true;
  }
  for (let at = RECORD.memory; at < host.byteLength; at++) if (host.getUint8(at) !== guest.getUint8(at)) return true;
  return false;
}

/** Differences as text, at most `limit`. */
export function compare(host: Fpu, guest: Fpu, options: Comparison, limit = 3): { count: number; texts: string[] } {
  const { instruction, cases, seed, skip } = options;
  const random = new Random(seed);
  const before = new Uint8Array(cases * RECORD_SIZE);
  const recordOf = (bytes: Uint8Array, i: number) => new DataView(bytes.buffer, i * RECORD_SIZE, RECORD_SIZE);
  for (let i = 0; i < cases; i++) {
    do fillRecord(random, recordOf(before, i), options);
    while (skip?.(recordOf(before, i)));
  }
  const [ofHost, ofGuest] = [before.slice(), before.slice()];
  host.run(instruction, ofHost, RECORD_SIZE);
  guest.run(instruction, ofGuest, RECORD_SIZE);
  let count = 0;
  const texts: string[] = [];
  for (let i = 0; i < cases; i++) {
    const [a, b] = [recordOf(ofHost, i), recordOf(ofGuest, i)];
    if (!differs(a, b, options)) continue;
    count++;
    if (texts.length < limit)
      texts.push(`before ${describe(recordOf(before, i))}\n host  ${describe(a)}\n guest ${describe(b)}`);
  }
  return { count, texts };
}
