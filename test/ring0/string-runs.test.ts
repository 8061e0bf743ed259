/**
 * Repeated string instructions against a model that does one element after the other: at the borders of pages and
 * segments, over missing and read-only pages, overlapping, through two addresses of one page, in both directions.
 * @spec SDM 1, 7.3.9; SDM 2, REP/REPE/REPZ/REPNE/REPNZ
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import { BareMachine, CODE } from "../../src/cpu/system/testing/bare-machine.ts";
import { InPlace } from "../../src/cpu/translate/in-place.ts";
import { DS, ES } from "../../src/isa/semantics.ts";

const PAGE = 4096;
/** All that 16-bit addresses reach, and more. */
const PAGES = 20;
/** Linear and, unless a page is another's second address, physical. */
const WINDOW = 0x20_0000;
const PAGE_TABLES = 0xb000;
const PRESENT = 5;
const WRITABLE = 2;

const OPCODES = { movs: 0xa4, cmps: 0xa6, stos: 0xaa, lods: 0xac, scas: 0xae } as const;
type Name = keyof typeof OPCODES;

interface Segment {
  readonly base: number;
  readonly limit: number;
}

interface Case {
  readonly name: Name;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly prefix: 0xf3 | 0xf2;
  readonly addressSize: 16 | 32 | 64;
  readonly backwards: boolean;
  readonly count: number;
  readonly source: number;
  readonly target: number;
  readonly accumulator: bigint;
  /** Physical page behind each page of the window. */
  readonly frames: readonly number[];
  readonly missing: number;
  readonly readOnly: number;
  /** Of DS and ES. */
  readonly segments: readonly [Segment, Segment];
  readonly contents: Uint8Array;
}

interface Result {
  readonly count: bigint;
  readonly source: bigint;
  readonly target: bigint;
  readonly accumulator: bigint;
  /** The exception: its vector, and a page fault's address. */
  readonly fault: string | undefined;
  /** CF, PF, AF, ZF, SF and OF of the last comparison. */
  readonly flags: number | undefined;
  readonly memory: Uint8Array;
}

const STATUS = 0x8d5;

/** Flags of a - b. */
function flagsOf(a: bigint, b: bigint, bits: number): number {
  const result = BigInt.asUintN(bits, a - b);
  const sign = (value: bigint) => Number((value >> BigInt(bits - 1)) & 1n);
  let parity = 1;
  for (let i = 0n; i < 8n; i++) parity ^= Number((result >> i) & 1n);
  const overflow = (sign(a) ^ sign(b)) & (sign(a) ^ sign(result));
  return (
    Number(a < b) |
    (parity << 2) |
    (Number(((a ^ b ^ result) >> 4n) & 1n) << 4) |
    (Number(result === 0n) << 6) |
    (sign(result) << 7) |
    (overflow << 11)
  );
}

class Fault extends Error {}

/** Does a case one element, and each element one byte, after the other. */
function model(bits: 16 | 32 | 64, the: Case): Result {
  const memory = the.contents.slice();
  const mask = (1n << BigInt(the.addressSize)) - 1n;
  let [count, source, target] = [BigInt(the.count), BigInt(the.source) & mask, BigInt(the.target) & mask];
  let { accumulator } = the;
  let flags: number | undefined;
  let fault: string | undefined;
  /** Places in `memory` of an element's bytes. */
  const places = (offset: bigint, { base, limit }: Segment, write: boolean): number[] => {
    const last = offset + BigInt(the.bytes - 1);
    if (bits !== 64 && last > BigInt(limit)) throw new Fault("13");
    return Array.from({ length: the.bytes }, (_, i) => {
      const linear = (Number(offset) + i + base) % 2 ** 32;
      const page = Math.floor((linear - WINDOW) / PAGE);
      if (page === the.missing || (write && page === the.readOnly)) {
        throw new Fault(`14@${linear.toString(16)}`);
      }
      return (the.frames[page] as number) * PAGE + (linear % PAGE);
    });
  };
  const read = (at: number[]) => at.reduceRight((value, place) => (value << 8n) | BigInt(memory[place] as number), 0n);
  const low = () => BigInt.asUintN(the.bytes * 8, accumulator);
  const step = (index: bigint) => (index + BigInt(the.backwards ? -the.bytes : the.bytes)) & mask;
  const [ds, es] = the.segments;
  try {
    while (count > 0n) {
      let ends = false;
      if (the.name === "movs") {
        const from = places(source, ds, false);
        const value = read(from);
        places(target, es, true).forEach((place, i) => {
          memory[place] = Number((value >> BigInt(8 * i)) & 0xffn);
        });
      } else if (the.name === "stos") {
        places(target, es, true).forEach((place, i) => {
          memory[place] = Number((low() >> BigInt(8 * i)) & 0xffn);
        });
      } else if (the.name === "lods") {
        const value = read(places(source, ds, false));
        const kept = the.bytes === 4 ? 0n : (accumulator >> BigInt(the.bytes * 8)) << BigInt(the.bytes * 8);
        accumulator = the.bytes === 8 ? value : kept | value;
      } else {
        const a = the.name === "cmps" ? read(places(source, ds, false)) : low();
        const b = read(places(target, es, false));
        flags = flagsOf(a, b, the.bytes * 8);
        ends = (a === b) !== (the.prefix === 0xf3);
      }
      if (the.name !== "stos" && the.name !== "scas") source = step(source);
      if (the.name !== "lods") target = step(target);
      count--;
      if (ends) break;
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = error.message;
    flags = undefined;
  }
  return { count, source, target, accumulator, fault, flags, memory };
}

/** Whether flags tell how the last elements compared. */
const isComparison = ({ name, count }: Case) => count > 0 && (name === "cmps" || name === "scas");

/** A jump, which ends the block, to HLT. */
const END = [0xeb, 0, 0xf4];

class Tested {
  readonly #bits: 16 | 32 | 64;
  readonly #machine: BareMachine;

  constructor(bits: 16 | 32 | 64, translated: boolean) {
    this.#bits = bits;
    this.#machine = new BareMachine(bits, "max", translated ? (settings) => new InPlace(settings) : undefined);
    const { registers } = this.#machine.processor;
    // Exceptions find no gate: the processor shuts down and tells which it was.
    registers.set32("idtLimit", 0);
    registers.set64("cr0", registers.get64("cr0") | 0x10000n);
  }

  get regions(): number {
    return this.#machine.processor.statistics.translated.regions;
  }

  /** Where the instruction of a case lies: each has a place of its own, so that it is translated once. */
  #write(the: Case): number {
    const own = this.#bits;
    const prefixes: number[] = [the.prefix];
    if (the.addressSize !== own) prefixes.push(0x67);
    if (the.bytes === (own === 16 ? 4 : 2)) prefixes.push(0x66);
    if (the.bytes === 8) prefixes.push(0x48);
    const code = [...prefixes, OPCODES[the.name] + (the.bytes === 1 ? 0 : 1), ...END];
    const names = Object.keys(OPCODES).indexOf(the.name);
    const variant = [the.prefix & 1, Math.log2(the.bytes), Number(the.addressSize !== own)];
    const [repeat, size, address] = variant as [number, number, number];
    const offset = 0x40 * (((names * 2 + repeat) * 4 + size) * 2 + address);
    new Uint8Array(this.#machine.ram.buffer, this.#machine.ram.byteOffset + CODE + offset).set(code);
    return offset;
  }

  run(the: Case): Result {
    const { processor, ram } = this.#machine;
    const { registers } = processor;
    const long = this.#bits === 64;
    const origin = this.#bits === 16 ? 0 : CODE;
    const offset = this.#write(the);
    const window = new Uint8Array(ram.buffer, ram.byteOffset + WINDOW, PAGES * PAGE);
    const start = (count: number) => {
      registers.set32("activity", 0);
      registers.set64("ip", BigInt(origin + offset));
      registers.setGpr(0, the.accumulator);
      registers.setGpr(1, BigInt(count));
      registers.setGpr(6, BigInt(the.source));
      registers.setGpr(7, BigInt(the.target));
      registers.eflags = the.backwards ? 0x402 : 2;
    };
    // Runs with nothing to do make the code hot.
    for (let i = 0; i < 3; i++) {
      start(0);
      processor.run(10);
    }
    window.set(the.contents);
    if (long) {
      the.frames.forEach((frame, page) => {
        const rights = page === the.missing ? 0 : page === the.readOnly ? PRESENT : PRESENT | WRITABLE;
        const entry = PAGE_TABLES + (WINDOW / PAGE + page) * 8;
        ram.setBigUint64(entry, BigInt(WINDOW + frame * PAGE + rights), true);
      });
    } else {
      the.segments.forEach(({ base, limit }, i) => {
        registers.setSegment(i === 0 ? DS : ES, { selector: 0x10, base: BigInt(base), limit, attributes: 0xc093 });
      });
    }
    processor.flushTlb();
    processor.modeChanged();
    start(the.count);
    for (;;) {
      const result = processor.run(1000);
      if (result.kind === "budget") continue;
      let fault: string | undefined;
      if (result.kind === "shutdown") {
        const [vector] = result.fault.vectors as [number];
        fault = vector === 14 ? `14@${registers.get64("cr2").toString(16)}` : String(vector);
        assert.equal(result.fault.ip, BigInt(origin + offset));
      }
      return {
        accumulator: registers.gpr(0),
        count: registers.gpr(1),
        source: registers.gpr(6),
        target: registers.gpr(7),
        fault,
        flags: fault === undefined && isComparison(the) ? registers.eflags & STATUS : undefined,
        memory: window.slice(),
      };
    }
  }
}

/** A case with what makes runs end: near a page's end, near the other operand, near a limit. */
function caseOf(bits: 16 | 32 | 64, random: SeededRandom): Case {
  const name = random.pick(Object.keys(OPCODES) as Name[]);
  const bytes = random.pick(bits === 64 ? ([1, 2, 4, 8] as const) : ([1, 2, 4] as const));
  const addressSize = bits === 32 ? 32 : random.pick(bits === 64 ? ([64, 32] as const) : ([16, 32] as const));
  const backwards = random.below(5) === 0;
  const count = random.pick([0, 1, 2, 3, 7, 15, 16, 17, 40, 100, 300, 513, 1100]);
  // Linear addresses, with room for two pages in the direction.
  const room = 2 * PAGE - 300;
  const start = bits === 16 ? random.pick([0, 0xd000, 0xf000]) : random.pick([0, PAGE]);
  const inWindow = () =>
    WINDOW +
    start +
    (backwards ? 2 * PAGE : 0) +
    random.pick([0, 1, 3, 8, 100, 4000, 4060, 4080, 4088, 4092, 4095, random.below(PAGE)]);
  const source = inWindow();
  const distance = random.pick([-64, -9, -1, 0, 1, 2, 3, 4, 5, 8, 12, 15, 16, 17, 31, 64, 200]);
  const target = random.below(3) === 0 ? Math.max(source + distance, WINDOW) : inWindow();
  const segment = (): Segment => {
    const base = bits === 16 ? WINDOW + 0x120 : bits === 32 ? random.pick([0, WINDOW + 2 * PAGE + 0x123]) : 0;
    const limit = bits === 64 || random.below(2) ? 0xffff_ffff : bits === 16 ? 0xffff : random.below(PAGES * PAGE);
    return { base, limit: bits === 32 && base === 0 ? Math.min(limit + WINDOW, 0xffff_ffff) : limit };
  };
  const segments = [segment(), segment()] as const;
  const offset = (linear: number, { base }: Segment) => (linear - base + 2 ** 32) % 2 ** Math.min(addressSize, 32);
  const contents = new Uint8Array(PAGES * PAGE);
  // Much that is equal, and now and then something else.
  const same = random.below(2);
  for (let i = 0; i < contents.length; i++) contents[i] = same ? 0 : i * 37 + (i >> 8);
  for (let i = random.below(20); i > 0; i--) contents[random.below(contents.length)] = 0x55;
  const scanned = random.pick([0n, 0x5555_5555_5555_5555n, 0x1234_5678_9abc_def0n]);
  const fold = bits === 64 && random.below(4) === 0;
  return {
    name,
    bytes,
    prefix: random.pick([0xf3, 0xf2] as const),
    addressSize,
    backwards,
    count: Math.min(count, Math.floor(room / bytes)),
    source: offset(source, segments[0]),
    target: offset(target, segments[1]),
    accumulator: bits === 64 ? scanned : scanned & 0xffff_ffffn,
    frames: Array.from({ length: PAGES }, (_, page) => (fold ? page & ~1 : page)),
    missing: bits === 64 && random.below(3) === 0 ? random.below(4) : -1,
    readOnly: bits === 64 && random.below(4) === 0 ? random.below(4) : -1,
    segments,
    contents,
  };
}

for (const translated of [false, true]) {
  for (const bits of [64, 32, 16] as const) {
    const tier = translated ? "translated" : "interpreted";
    test(`${bits}-bit, ${tier}: a repeated string instruction is its elements one after the other`, () => {
      const tested = new Tested(bits, translated);
      const random = new SeededRandom(bits);
      for (let i = 0; i < 600; i++) {
        const the = caseOf(bits, random);
        const { contents, ...described } = the;
        const expected = model(bits, the);
        const actual = tested.run(the);
        const told = JSON.stringify(described, (_key, value) => (typeof value === "bigint" ? String(value) : value));
        const differs = actual.memory.findIndex((byte, at) => byte !== expected.memory[at]);
        assert.equal(differs, -1, `memory at ${differs}: ${told}`);
        assert.deepEqual({ ...actual, memory: undefined }, { ...expected, memory: undefined }, told);
      }
      if (translated) assert.ok(tested.regions > 0);
    });
  }
}
