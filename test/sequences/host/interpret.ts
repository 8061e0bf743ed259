/**
 * A sequence in the interpreter, instruction by instruction, before the host runs it: whether it ends, whether it stays
 * clear of what the manuals leave undefined, and what then is expected to differ.
 */
import type { Decoded, decode } from "../../../src/cpu/decode/decoder.ts";
import { type LastInstruction, stateDifferences } from "../../conformance/compare.ts";
import { leniencyFor } from "../../conformance/host-differences.ts";
import { linearAddress } from "../../conformance/linear-address.ts";
import type { HostIdentity } from "../../conformance/native/features.ts";
import { FIELD, NO_VECTOR, PLACE } from "../../conformance/record.ts";
import { STATUS_FLAG, undefinedAfter } from "../../conformance/undefined.ts";
import { type Ending, GuestRunner, newRecord } from "./run-guest.ts";
import { type AssembledUnits, assembleUnits, type HostSequence } from "./sequence.ts";

/** Instructions of a run; one that has not ended by then is taken not to end. */
const MOST_STEPS = 400;
const TRAP_FLAG = 0x100;
/** Which undefined flags are the other way round, in turn: enough for every condition to notice. */
const { c, z, s, o } = STATUS_FLAG;
const INVERSIONS = [~0, s, z, o, c, z | s, z | o, z | c];
const STATUS_FLAGS = Object.values(STATUS_FLAG).reduce((mask, flag) => mask | flag, 0);
/** Instructions that are no use for comparisons of single ones, but raise the same exception everywhere. */
const RAISES_UD = /^ud[012]$/;

/** What a run comes to that the host is to repeat. */
export interface Interpreted extends Ending {
  readonly steps: number;
  /** Status flags that are undefined at the end. */
  readonly undefinedFlags: number;
  /** The instruction that raised the exception at the end, and the state before it. */
  readonly last: { readonly decoded: Decoded; readonly before: DataView } | undefined;
}

/** What makes a sequence unfit, by numbers of units. */
export interface Unfit {
  /** To leave out. */
  readonly drop: ReadonlySet<number>;
  /** To be followed by an instruction that defines all flags. */
  readonly define: ReadonlySet<number>;
}

interface Step {
  readonly unit: number;
  /** Flags that it left undefined, and all flags after it. */
  readonly undefinedFlags: number;
  readonly flags: number;
  /** Where it led. */
  readonly next: bigint;
}

export class Interpretation {
  readonly #host: HostIdentity;
  readonly #plain = new GuestRunner("interpreter");
  /** Runs the same with undefined flags the other way round, or some of them. */
  readonly #inverted = new GuestRunner("interpreter");
  readonly #records = [newRecord(), newRecord()] as const;

  constructor(host: HostIdentity) {
    this.#host = host;
  }

  /** Runs a sequence from each of these states; flags are defined after the units `defined`. */
  run(
    sequence: HostSequence,
    inputs: readonly DataView[],
    defined: ReadonlySet<number> = new Set(),
  ): readonly Interpreted[] | Unfit {
    const units = assembleUnits(sequence);
    const drop = new Set<number>();
    const define = new Set<number>();
    const runs: Interpreted[] = [];
    for (const input of inputs) {
      const steps: Step[] = [];
      const run = this.#interpret(sequence, units, input, steps, drop);
      if (drop.size > 0 || run === undefined) continue;
      const undefinedFlags = this.#undefinedFlags(sequence, units.image, input, steps, run);
      if (undefinedFlags === undefined) for (const unit of depended(steps, defined)) define.add(unit);
      else runs.push({ ...run, undefinedFlags, steps: steps.length });
    }
    return drop.size > 0 || define.size > 0 ? { drop, define } : runs;
  }

  #interpret(
    { bits, units }: HostSequence,
    { image, unitAt }: AssembledUnits,
    input: DataView,
    steps: Step[],
    drop: Set<number>,
  ): Pick<Interpreted, "state" | "code" | "last"> | undefined {
    const runner = this.#plain;
    const { processor } = runner.guest;
    runner.begin(image, input);
    let lastBack = 0;
    while (!runner.hasEnded) {
      const [before, after] = this.#records;
      const { position } = runner;
      const decoded = runner.decode(bits, (feature) => this.#host.has(feature));
      const unit = position === undefined ? -1 : unitAt(PLACE.code + position);
      if (decoded !== undefined && (!isFit(decoded) || (bits === 64 && runner.hasCutJump(decoded)))) {
        // Another unit may have made it so.
        drop.add(unit);
        if (isChanged(runner, image)) for (const writer of writers(units, steps)) drop.add(writer);
        return undefined;
      }
      runner.guest.storeRegisters(before);
      const exception = processor.step();
      if (exception) {
        const last = typeof decoded === "object" ? { decoded, before: copy(before) } : undefined;
        return { ...runner.ending(exception), last };
      }
      runner.guest.storeRegisters(after);
      const next = runner.position;
      if (next !== undefined && position !== undefined && next <= position) lastBack = unit;
      const undefinedFlags = typeof decoded === "object" ? this.#undefinedAfter(decoded, bits, before, after) : 0;
      const flags = after.getUint32(FIELD.rflags, true);
      if (undefinedFlags === undefined || flags & TRAP_FLAG) drop.add(unit);
      steps.push({ unit, undefinedFlags: undefinedFlags ?? 0, flags, next: after.getBigUint64(FIELD.rip, true) });
      if (steps.length < MOST_STEPS) continue;
      drop.add(lastBack);
      return undefined;
    }
    return { ...runner.ending(undefined), last: undefined };
  }

  /** Flags that an instruction has left undefined, on the host or by the manual; undefined where more is. */
  #undefinedAfter(decoded: Decoded, bits: HostSequence["bits"], before: DataView, after: DataView): number | undefined {
    const { flags, result } = undefinedAfter(decoded, before);
    after.setUint32(FIELD.vector, NO_VECTOR, true);
    const address = linearAddress(decoded, before, bits);
    const { vendor } = this.#host;
    const leniency = leniencyFor({ vendor, decoded, address, input: before, host: after, guest: after });
    // The host may have an exception where we had none; otherwise that is about ours.
    const { anyFault: _, reachesFarther, flags: lenient = 0, ...more } = leniency;
    const isExact = reachesFarther !== "host" && Object.keys(more).length === 0;
    return result || !isExact ? undefined : flags | lenient;
  }

  /** Status flags that are undefined at the end; undefined where more than these depends on undefined flags. */
  #undefinedFlags(
    sequence: HostSequence,
    image: Uint8Array,
    input: DataView,
    steps: readonly Step[],
    run: Ending,
  ): number | undefined {
    const all = steps.reduce((mask, { undefinedFlags }) => mask | undefinedFlags, 0);
    let found = 0;
    for (const inverted of new Set(INVERSIONS.map((mask) => mask & all))) {
      const flags = inverted === 0 ? 0 : this.#dependingFlags(sequence, image, input, steps, run, inverted);
      if (flags === undefined) return undefined;
      found |= flags;
    }
    return found;
  }

  /** Status flags that depend on the undefined ones of `inverted`; undefined where more does. */
  #dependingFlags(
    { bits }: HostSequence,
    image: Uint8Array,
    input: DataView,
    steps: readonly Step[],
    run: Ending,
    inverted: number,
  ): number | undefined {
    const runner = this.#inverted;
    const { processor } = runner.guest;
    runner.begin(image, input);
    const { registers } = processor;
    for (const { undefinedFlags, flags, next } of steps) {
      if (processor.step() || registers.get64("ip") !== next) return undefined;
      if (undefinedFlags === 0) continue;
      const other = flags ^ inverted;
      registers.eflags = (registers.eflags & ~undefinedFlags) | (other & undefinedFlags);
    }
    const exception = runner.hasEnded ? undefined : processor.step();
    const { state, code } = runner.ending(exception);
    const last: LastInstruction = {
      bits,
      leniency: {},
      flags: STATUS_FLAGS,
      input,
      destination: undefined,
      address: undefined,
    };
    const isSame =
      stateDifferences(last, run.state, state).length === 0 &&
      [FIELD.vector, FIELD.errorCode].every((at) => run.state.getUint32(at, true) === state.getUint32(at, true)) &&
      [FIELD.rip, FIELD.cr2].every((at) => run.state.getBigUint64(at, true) === state.getBigUint64(at, true)) &&
      Buffer.from(code.buffer, code.byteOffset, code.length).equals(run.code);
    if (!isSame) return undefined;
    return (run.state.getUint32(FIELD.rflags, true) ^ state.getUint32(FIELD.rflags, true)) & STATUS_FLAGS;
  }
}

/** Whether the host can be asked to run it; what are no instructions to us may be some to the host. */
function isFit(decoded: ReturnType<typeof decode>): boolean {
  if (typeof decoded === "string") return decoded === "truncated";
  const { instruction } = decoded.form;
  return instruction.untested === undefined || RAISES_UD.test(instruction.name);
}

/**
 * Units to be followed by a definition of flags: those of which only the auxiliary carry was undefined only if there are
 * no others. Where all have one already, they are not enough: then all of these units.
 */
function depended(steps: readonly Step[], defined: ReadonlySet<number>): readonly number[] {
  const all = steps.filter(({ undefinedFlags }) => undefinedFlags !== 0);
  const open = all.filter(({ unit }) => !defined.has(unit));
  const more = open.filter(({ undefinedFlags }) => (undefinedFlags & ~STATUS_FLAG.a) !== 0);
  return [more, open, all].find(({ length }) => length > 0)?.map(({ unit }) => unit) ?? [];
}

function isChanged({ guest }: GuestRunner, image: Uint8Array): boolean {
  return !Buffer.from(image.buffer, image.byteOffset, image.length).equals(guest.code);
}

/** Units that have written to code, as far as that is what they are for. */
function writers(units: readonly string[], steps: readonly Step[]): readonly number[] {
  return steps.map(({ unit }) => unit).filter((unit) => units[unit]?.includes("[at"));
}

const copy = (record: DataView): DataView => new DataView((record.buffer as ArrayBuffer).slice(0));
