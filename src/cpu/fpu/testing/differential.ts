/** Runs one instruction on the host's FPU and on ours and tells the differences. */
import { type CaseOptions, fillRecord, type Number80, Random } from "./cases.ts";
import { type Fpu, IMAGE, RECORD } from "./record.ts";

export interface Comparison extends CaseOptions {
  readonly instruction: readonly number[];
  readonly cases: number;
  readonly seed: number;
  /** Bytes of the memory operand; 16 unless given. */
  readonly memoryBytes?: number;
  /** Status word bits that are not compared. */
  readonly ignoredStatus?: number;
  /** Units in the last place by which results in registers may be off. */
  readonly tolerance?: number;
  /** Whether its last unit may decide if a result next to the smallest normal number has underflowed. */
  readonly mayUnderflow?: boolean;
  /** Changes a random record into one that the instruction is defined for. */
  readonly prepare?: (record: DataView) => void;
  /** Whether a byte of the memory operand is compared. */
  readonly comparesMemory?: (at: number) => boolean;
}

/** CF, PF, AF, ZF, SF and OF. */
const FLAGS = 0x8d5;
/** The status word's underflow. */
const UE = 0x10;
const CASES_AT_ONCE = 4096;

const hex = (value: number | bigint, digits: number) => value.toString(16).padStart(digits, "0");

export function readNumber(record: DataView, i: number): Number80 {
  const at = IMAGE.registers + 10 * i;
  return { m: record.getBigUint64(at, true), se: record.getUint16(at + 8, true) };
}

function describe(record: DataView): string {
  const word = (at: number) => hex(record.getUint16(at, true), 4);
  const registers = [0, 1, 2].map((i) => readNumber(record, i)).map(({ m, se }) => `${hex(se, 4)}:${hex(m, 16)}`);
  const memory = `${word(RECORD.memory + 8)}:${hex(record.getBigUint64(RECORD.memory, true), 16)}`;
  const flags = hex(record.getUint32(RECORD.flags, true) & FLAGS, 3);
  const words = `cw ${word(IMAGE.control)} sw ${word(IMAGE.status)} tw ${word(IMAGE.tags)}`;
  return `${words} st ${registers.join(" ")} mem ${memory} fl ${flags}`;
}

/** Distance of two numbers in units of the last place; far apart where signs differ or one is no number. */
export function distance(a: Number80, b: Number80): bigint {
  if (a.m === b.m && a.se === b.se) return 0n;
  const special = (x: Number80) => (x.se & 0x7fff) === 0x7fff;
  if ((a.se ^ b.se) & 0x8000 || special(a) || special(b)) return 1n << 80n;
  const place = (x: Number80) => (BigInt(Math.max(x.se & 0x7fff, 1)) << 63n) + x.m;
  const difference = place(a) - place(b);
  return difference < 0n ? -difference : difference;
}

/** UE of the status word, and tags of registers, that follow from which side of the smallest normal number results are. */
function atUnderflow(host: DataView, guest: DataView, tolerance: number): { status: number; tags: number } {
  const top = (host.getUint16(IMAGE.status, true) >> 11) & 7;
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const [a, b] = [readNumber(host, i), readNumber(guest, i)];
    if (((a.se | b.se) & 0x7fff) <= 1 && distance(a, b) <= BigInt(tolerance)) tags |= 3 << (2 * ((top + i) & 7));
  }
  return { status: tags === 0 ? 0 : UE, tags };
}

/** What differs, or nothing. */
function difference(host: DataView, guest: DataView, options: Comparison): string | undefined {
  const { ignoredStatus = 0, tolerance = 0, mayUnderflow = false, comparesMemory = () => true } = options;
  const unsettled = mayUnderflow ? atUnderflow(host, guest, tolerance) : { status: 0, tags: 0 };
  const word = (at: number) => host.getUint16(at, true) ^ guest.getUint16(at, true);
  if (word(IMAGE.control)) return "control word";
  if (word(IMAGE.status) & ~(ignoredStatus | unsettled.status)) return "status word";
  if (word(IMAGE.tags) & ~unsettled.tags) return "tag word";
  if (word(RECORD.flags) & FLAGS) return "flags";
  if (host.getBigUint64(RECORD.rax, true) !== guest.getBigUint64(RECORD.rax, true)) return "RAX";
  for (let i = 0; i < 8; i++) {
    if (distance(readNumber(host, i), readNumber(guest, i)) > BigInt(tolerance)) return `ST(${i})`;
  }
  for (let at = RECORD.memory; at < host.byteLength; at++) {
    if (host.getUint8(at) === guest.getUint8(at)) continue;
    if (comparesMemory(at - RECORD.memory)) return `byte ${at - RECORD.memory} of memory`;
  }
  return undefined;
}

/** How many cases differ, and the first of them as text. */
export function compare(host: Fpu, guest: Fpu, options: Comparison): { differing: number; first: string } {
  const { instruction, cases, seed, memoryBytes = 16, prepare } = options;
  const random = new Random(seed);
  const size = RECORD.memory + memoryBytes;
  let differing = 0;
  let first = "";
  for (let done = 0; done < cases; done += CASES_AT_ONCE) {
    const count = Math.min(CASES_AT_ONCE, cases - done);
    const before = new Uint8Array(count * size);
    const recordOf = (bytes: Uint8Array, i: number) => new DataView(bytes.buffer, i * size, size);
    for (let i = 0; i < count; i++) {
      fillRecord(random, recordOf(before, i), options);
      prepare?.(recordOf(before, i));
    }
    const [ofHost, ofGuest] = [before.slice(), before.slice()];
    host.run(instruction, ofHost, size);
    guest.run(instruction, ofGuest, size);
    for (let i = 0; i < count; i++) {
      let a = recordOf(ofHost, i);
      const b = recordOf(ofGuest, i);
      if (difference(a, b, options) === undefined) continue;
      // Where the host's system takes the processor away in between, one of AMD's forgets the pointers to the last
      // instruction and its operand.
      const again = before.slice(i * size, (i + 1) * size);
      host.run(instruction, again, size);
      a = recordOf(again, 0);
      const what = difference(a, b, options);
      if (what === undefined) continue;
      differing++;
      first ||= `${what}\nbefore ${describe(recordOf(before, i))}\n host  ${describe(a)}\n guest ${describe(b)}`;
    }
  }
  return { differing, first };
}
