/** One random sequence on both processors, told by a seed. */

import { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import { decode } from "../../src/cpu/decode/decoder.ts";
import type { Difference } from "../../src/cpu/lockstep/state-difference.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import { randomSequence, startRegisters } from "./generate.ts";
import { BREAKPOINT, Pair } from "./pair.ts";
import { PLACE, REGIMES, type Regime } from "./regime.ts";

/** How often a block runs before it is translated: at once, alone, or with what has run after it. */
const HEATS = [1, 2, 4] as const;
/** Runs of a sequence from its start, each with other registers. */
const ROUNDS = 6;
/** Instructions of one round. */
const ROUND_BUDGET = 300;
/** Instructions that a block may have. */
const BLOCK = 64;
const STATUS_FLAGS = 0x8d5;
const DIRECTION = 0x400;

export interface SequenceResult {
  readonly instructions: number;
  readonly exceptions: number;
  readonly regime: string;
  /** What differed, as text; undefined where nothing did. */
  readonly failure: string | undefined;
}

export class SequenceTester {
  readonly #pairs = HEATS.map((heat) => new Pair(heat));
  /** The sequence that runs, in all memory that it may be in. */
  #code: { readonly physical: number; readonly bytes: Uint8Array }[] = [];

  /** Guest instructions in regions that were made so far. */
  get translated(): number {
    return this.#pairs.reduce((sum, pair) => sum + pair.translated, 0);
  }

  run(seed: number): SequenceResult {
    const random = new SeededRandom((Math.imul(seed, 0x9e37_79b1) ^ 0x5bd1_e995) | 1);
    for (let i = 0; i < 8; i++) random.next();
    const regime = random.pick(REGIMES);
    const pair = random.pick(this.#pairs);
    const { bytes, offset } = randomSequence(regime, random, 5 + random.below(46));
    pair.enter(regime);
    this.#place(pair, regime, bytes, offset);
    pair.write(
      PLACE.data,
      Uint8Array.from({ length: PLACE.dataSize + 0x1000 }, () => random.next()),
    );
    let instructions = 0;
    let exceptions = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const gprs = startRegisters(regime, random);
      const flags = random.next() & (STATUS_FLAGS | (random.below(8) === 0 ? DIRECTION : 0));
      const ip = (regime.segments === "flat" ? PLACE.code : 0) + offset;
      pair.start({ gprs, flags, ip });
      for (let left = ROUND_BUDGET; left > 0; ) {
        const from = pair.ip;
        const result = this.#step(pair, random);
        if (result.differences.length > 0) {
          const where = `seed ${seed}, ${regime.name}, round ${round}, from ${from.toString(16)}`;
          return {
            instructions,
            exceptions,
            regime: regime.name,
            failure: this.#report(where, regime, pair, from, result),
          };
        }
        instructions += result.count;
        left -= Math.max(result.count, 1);
        if (result.vector === undefined) continue;
        if (result.vector !== BREAKPOINT) exceptions++;
        break;
      }
    }
    return { instructions, exceptions, regime: regime.name, failure: undefined };
  }

  /** The second page of the code lies elsewhere where there is paging. */
  #place(pair: Pair, regime: Regime, bytes: Uint8Array, offset: number): void {
    const room = Math.max(0x1000 - offset, 0);
    const second = PLACE.code + 0x1000 + (regime.paging === "none" ? 0 : PLACE.elsewhere);
    const rest = offset >= 0x1000 ? second + offset - 0x1000 : second;
    this.#code = [
      { physical: PLACE.code + offset, bytes: bytes.subarray(0, room) },
      { physical: rest, bytes: bytes.subarray(room) },
    ].filter((piece) => piece.bytes.length > 0);
    for (const piece of this.#code) pair.write(piece.physical, piece.bytes);
  }

  #step(pair: Pair, random: SeededRandom): ReturnType<Pair["run"]> {
    const result = pair.run(1 + random.below(30));
    // A block may be longer than that.
    return result.count === 0 && result.vector === undefined ? pair.run(BLOCK) : result;
  }

  #report(
    where: string,
    regime: Regime,
    pair: Pair,
    from: number,
    { count, differences }: { count: number; differences: readonly Difference[] },
  ): string {
    const base = regime.segments === "flat" ? 0 : PLACE.code;
    const code = Buffer.concat(this.#code.map(({ physical, bytes }) => pair.read(physical, bytes.length)));
    const start = (this.#code[0]?.physical ?? 0) - base;
    const lines = listing(code, start, regime, from);
    return [
      `${where}, ${count} instructions`,
      ...differences.map(({ what, expected, got }) => `  ${what}: interpreter ${expected}, translator ${got}`),
      ...lines.map((line) => `  ${line}`),
    ].join("\n");
  }
}

function listing(code: Uint8Array, start: number, { bits }: Regime, from: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < code.length; ) {
    const decoded = decode(code, at, code.length, { long: bits === 64, code32: bits === 32 }, () => true);
    const ip = start + at;
    const mark = ip === from ? ">" : " ";
    const text = typeof decoded === "string" ? `(${decoded})` : disassemble(decoded, BigInt(ip));
    lines.push(`${mark} ${ip.toString(16)}  ${text}`);
    at += typeof decoded === "string" ? 1 : decoded.length;
  }
  return lines;
}
