/** A random sequence on the host's processor and on every tier of ours, told by a seed. */

import { RSP } from "../../../src/isa/semantics.ts";
import {
  type Difference,
  guestOutcome,
  type Outcome,
  outcomeDifferences,
  reachedFarther,
  stateDifferences,
} from "../../conformance/compare.ts";
import { TestCase } from "../../conformance/generate/test-case.ts";
import { type Kind, Random } from "../../conformance/generate/values.ts";
import { type Leniency, leniencyFor } from "../../conformance/host-differences.ts";
import { linearAddress } from "../../conformance/linear-address.ts";
import { type HostIdentity, identifyHost } from "../../conformance/native/features.ts";
import { NativeProcessor } from "../../conformance/native/native-processor.ts";
import { FIELD, INPUT_SIZE, NO_VECTOR, OUTPUT_SIZE, PLACE } from "../../conformance/record.ts";
import type { Forms } from "../generate.ts";
import { value } from "../generate.ts";
import { type FitSequence, fitSequence } from "./fit-sequence.ts";
import { Interpretation, type Interpreted } from "./interpret.ts";
import { listing } from "./listing.ts";
import { BREAKPOINT, type Ending, GuestRunner, type HostTier } from "./run-guest.ts";
import {
  assembleUnits,
  counterOf,
  dataOffset,
  type HostSequence,
  hostForms,
  pointersOf,
  randomHostSequence,
} from "./sequence.ts";

/** Runs of a sequence, each from another state. */
const STARTS = 8;
const KINDS: readonly Kind[] = ["integer", "single", "double"];
const PAGE_FAULT = 14;
const ALIGNMENT_CHECK = 17;
/** The harness puts the bytes of a single instruction here, and INT3 afterwards. */
const HARNESS_BYTES = 16;

export interface HostSequenceResult {
  /** Whether there was anything to compare. */
  readonly isFit: boolean;
  /** Of all runs, as the interpreter counts them. */
  readonly instructions: number;
  /** Runs, and those that an exception has ended. */
  readonly runs: number;
  readonly exceptions: number;
  /** Instructions in regions that were made for it. */
  readonly translated: number;
  /** What differed, as text. */
  readonly failure: string | undefined;
}

const NOTHING: HostSequenceResult = {
  isFit: false,
  instructions: 0,
  runs: 0,
  exceptions: 0,
  translated: 0,
  failure: undefined,
};

interface Mismatch {
  readonly tier: HostTier;
  /** Which run. */
  readonly start: number;
  readonly differences: readonly Difference[];
}

export class HostSequenceTester {
  readonly #native = new NativeProcessor();
  readonly #host: HostIdentity = identifyHost(this.#native);
  readonly #forms: Forms = hostForms((feature) => this.#host.has(feature));
  readonly #interpretation = new Interpretation(this.#host);
  readonly #tiers: readonly (readonly [HostTier, GuestRunner])[];

  constructor(tiers: readonly HostTier[]) {
    this.#tiers = tiers.map((tier) => [tier, new GuestRunner(tier)]);
  }

  /** Guest instructions in regions that were made so far. */
  get #translated(): number {
    return this.#tiers.reduce((sum, [, runner]) => sum + runner.translated, 0);
  }

  run(seed: number): HostSequenceResult {
    const random = new Random((Math.imul(seed, 0x9e37_79b1) ^ 0x5bd1_e995) | 1);
    for (let i = 0; i < 8; i++) random.next();
    const bits = random.chance(75) ? 64 : 32;
    const sequence = randomHostSequence(bits, random, this.#forms);
    const inputs = randomStarts(sequence, random);
    const fit = fitSequence(this.#interpretation, sequence, inputs);
    if (!fit) return NOTHING;
    const before = this.#translated;
    const mismatch = this.#compare(fit, inputs);
    const isException = ({ state }: Interpreted) => state.getUint32(FIELD.vector, true) !== BREAKPOINT;
    return {
      isFit: true,
      instructions: fit.runs.reduce((sum, { steps }) => sum + steps, 0),
      runs: fit.runs.length,
      exceptions: fit.runs.filter(isException).length,
      translated: this.#translated - before,
      failure: mismatch && this.#report(seed, fit, inputs, mismatch),
    };
  }

  /** The first difference of a tier from the host. */
  #compare({ sequence, runs }: FitSequence, inputs: readonly DataView[]): Mismatch | undefined {
    const { image } = assembleUnits(sequence);
    const hosts = runs.map((run, i) => (this.#isSafe(run) ? this.#runOnHost(image, inputs[i] as DataView) : undefined));
    for (const [tier, runner] of this.#tiers) {
      for (const [start, host] of hosts.entries()) {
        const guest = runner.run(image, inputs[start] as DataView);
        if (!host) continue;
        const differences = this.#differences(sequence, runs[start] as Interpreted, host, guest);
        if (differences.length > 0) return { tier, start, differences };
      }
    }
    return undefined;
  }

  /** Whether the host does not find memory of its own where the guest finds none. */
  #isSafe({ state }: Interpreted): boolean {
    const { vector, cr2 } = guestOutcome(state);
    if (vector !== PAGE_FAULT) return true;
    return ![cr2, cr2 + 64n].some((address) => this.#native.hasOwnMemory(address));
  }

  #runOnHost(image: Uint8Array, input: DataView): Ending {
    const native = this.#native;
    native.code.set(image);
    native.input.set(new Uint8Array(input.buffer, 0, INPUT_SIZE));
    native.run(1);
    const state = new DataView(native.output.slice(0, OUTPUT_SIZE).buffer);
    if (state.getUint32(FIELD.vector, true) === BREAKPOINT) {
      state.setBigUint64(FIELD.rip, state.getBigUint64(FIELD.rip, true) - 1n, true);
    }
    return { state, code: native.code.slice() };
  }

  #differences({ bits }: HostSequence, run: Interpreted, host: Ending, guest: Ending): Difference[] {
    const last = this.#last(bits, run, host.state, guest.state);
    if (last.leniency.skip) return [];
    const [expected, got] = [host, guest].map(({ state }) => outcomeOf(state)) as [Outcome, Outcome];
    if (reachedFarther(last.leniency, expected, got)) return [];
    return [
      ...outcomeDifferences(last.leniency, expected, got),
      ...stateDifferences(last, host.state, guest.state),
      ...codeDifferences(host.code, guest.code),
    ];
  }

  #last(bits: HostSequence["bits"], { last, undefinedFlags, state }: Interpreted, host: DataView, guest: DataView) {
    const common = { bits, flags: undefinedFlags };
    const exact: Leniency = {};
    if (!last) return { ...common, leniency: exact, input: state, destination: undefined, address: undefined };
    const { decoded, before } = last;
    const address = linearAddress(decoded, before, bits);
    const { vendor } = this.#host;
    const leniency = leniencyFor({ vendor, decoded, address, input: before, host, guest });
    const anyFault = leniency.anyFault || isUnordered(bits, host, guest);
    return { ...common, leniency: { ...leniency, anyFault }, input: before, destination: decoded.reg, address };
  }

  /** What still differs, as a few instructions show it. */
  #report(seed: number, fit: FitSequence, inputs: readonly DataView[], found: Mismatch): string {
    const shrunk = this.#shrink(fit, found, inputs);
    const { tier, start, differences } = shrunk.mismatch;
    return [
      `seed ${seed}, ${fit.sequence.bits} bits, ${tier}, run ${start + 1}`,
      ...differences.map(({ what, expected, got }) => `  ${what}: host ${expected}, ${tier} ${got}`),
      ...listing(shrunk.sequence, inputs[start] as DataView),
    ].join("\n");
  }

  /** Ends the sequence where the first difference shows, and leaves out what is not needed for one. */
  #shrink(fit: FitSequence, found: Mismatch, inputs: readonly DataView[]) {
    let { sequence } = fit;
    let mismatch = found;
    const attempt = (units: readonly string[]): boolean => {
      const changed = { ...sequence, units };
      const runs = this.#interpretation.run(changed, inputs);
      if ("drop" in runs) return false;
      const still = this.#compare({ sequence: changed, runs }, inputs);
      if (still) [sequence, mismatch] = [changed, still];
      return still !== undefined;
    };
    const { units } = sequence;
    const isCut = (end: number) => attempt(units.map((unit, i) => (i < end ? unit : i === end ? "int3" : "")));
    for (let end = 1; end < units.length && !isCut(end); end++);
    for (let i = units.length - 1; i >= 0; i--) {
      const { units } = sequence;
      if (units[i] !== "" && units[i] !== "int3") attempt(units.map((unit, k) => (k === i ? "" : unit)));
    }
    return { sequence, mismatch };
  }
}

const outcomeOf = (state: DataView): Outcome => guestOutcome(state);

/** Whether it is not defined which of two exceptions comes first, or whether one of them does. */
function isUnordered(bits: HostSequence["bits"], host: DataView, guest: DataView): boolean {
  const outcomes = [outcomeOf(host), outcomeOf(guest)];
  const [isUnaligned, isAbsent] = [ALIGNMENT_CHECK, PAGE_FAULT].map((vector) =>
    outcomes.some((outcome) => outcome.vector === vector),
  );
  // An access across 4 GiB may be one beyond the segment's limit.
  const across = bits === 32 && outcomes.some(({ vector, cr2 }) => vector === PAGE_FAULT && cr2 > 0xffff_ff00n);
  return across || (isUnaligned === true && isAbsent === true);
}

function codeDifferences(host: Uint8Array, guest: Uint8Array): Difference[] {
  const at = host.findIndex((byte, i) => i >= HARNESS_BYTES && byte !== guest[i]);
  if (at < 0) return [];
  const [expected, got] = [host, guest].map((code) => Buffer.from(code.subarray(at, at + 16)).toString("hex"));
  return [{ what: `code at ${(PLACE.code + at).toString(16)}`, expected: expected as string, got: got as string }];
}

/** States that a sequence starts from. */
function randomStarts({ bits, start }: HostSequence, random: Random): DataView[] {
  const test = new TestCase(bits, random);
  return Array.from({ length: STARTS }, () => {
    const input = new DataView(new ArrayBuffer(INPUT_SIZE));
    test.begin(input, random.pick(KINDS), random.chance(50));
    for (let i = 0; i < 16; i++) test.setGpr(i, value(random));
    for (const pointer of pointersOf(bits)) test.setGpr(pointer, BigInt(dataOffset(random)));
    test.setGpr(1, BigInt(random.below(40)));
    test.setGpr(counterOf(bits), BigInt(random.below(10)));
    test.setGpr(RSP, BigInt(PLACE.window + 0x1800 + 8 * random.below(8)));
    input.setBigUint64(FIELD.rip, BigInt(start), true);
    input.setUint32(FIELD.code, PLACE.code, true);
    input.setUint32(FIELD.vector, NO_VECTOR, true);
    new Uint8Array(input.buffer, FIELD.bytes, HARNESS_BYTES).fill(0xcc);
    return input;
  });
}
