/** Makes a random sequence one that the host's processor can repeat. */
import { AssemblyError } from "../../../src/isa/assemble.ts";
import type { Interpretation, Interpreted } from "./interpret.ts";
import type { HostSequence } from "./sequence.ts";

/** Changes after which a sequence is given up. */
const MOST_CHANGES = 30;
/** Instructions that define all status flags, of registers that hold no addresses. */
const DEFINITIONS = ["cmp eax,ecx", "add ecx,edx", "sub dl,cl", "neg eax", "cmp dx,123", "add al,ah"];

export interface FitSequence {
  readonly sequence: HostSequence;
  /** What comes of it in the interpreter, from each state. */
  readonly runs: readonly Interpreted[];
}

/** Leaves out and adds instructions until the sequence fits; undefined where that comes to no end. */
export function fitSequence(
  interpretation: Interpretation,
  random: HostSequence,
  inputs: readonly DataView[],
): FitSequence | undefined {
  const units = [...random.units];
  const defined = new Set<number>();
  for (let changes = 0; changes < MOST_CHANGES; changes++) {
    const sequence = { ...random, units };
    let result: ReturnType<Interpretation["run"]>;
    try {
      result = interpretation.run(sequence, inputs, defined);
    } catch (error) {
      // What was added moved a label out of the reach of LOOP.
      if (error instanceof AssemblyError) return undefined;
      throw error;
    }
    if (!("drop" in result)) return { sequence, runs: result };
    for (const unit of result.drop) units[unit] = "";
    for (const unit of result.define) {
      // What is in it itself depends on flags that it left undefined.
      if (defined.has(unit)) units[unit] = "";
      else units[unit] += `\n ${DEFINITIONS[unit % DEFINITIONS.length]}`;
      defined.add(unit);
    }
  }
  return undefined;
}
