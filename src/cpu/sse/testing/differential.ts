/** Instructions compared with the host's processor on random and special operands. */
import { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import type { Form, Instruction } from "../../../isa/instruction.ts";
import type { OperandSize } from "../../../isa/semantics.ts";
import { type Bench, encode, type Variant } from "./bench.ts";
import { MEMORY_SIZE, STATE, STATE_SIZE, STATUS_FLAGS } from "./state.ts";

/** A source of 32-bit random numbers. */
export type Random = () => number;

export interface Oracle {
  run(encoded: readonly { bytes: readonly number[]; states: Uint8Array }[]): Uint8Array[];
}

export interface Plan {
  readonly instructions: readonly Instruction[];
  /** States for each variant of a form. */
  readonly states: number;
  /** Immediates for each variant: all 256 unless given. */
  readonly immediates?: readonly number[];
  /** Fills a register or memory (16 bytes); bytes at random unless given. */
  readonly fill?: (random: Random, bytes: DataView) => void;
  /** MXCSR for a state; the value at reset unless given. */
  readonly mxcsr?: (random: Random) => number;
  /** Where memory operands are from RDI; 16 unless given. Forms without one are left out if it is given. */
  readonly displacement?: number;
  /** Whether what the guest got differs from the host; byte by byte unless given. */
  readonly differs?: (guest: Uint8Array, host: Uint8Array) => boolean;
}

const randomBytes = (random: Random, bytes: DataView) => {
  for (let i = 0; i < bytes.byteLength; i++) bytes.setUint8(i, random());
};

/** Every way to encode the form that reaches other code: register or memory, operand size, immediate. */
function variants(form: Form, plan: Plan): Variant[] {
  const { displacement } = plan;
  const hasRm = form.operands.some(({ place }) => place === "rm");
  const places = form.rm === "memory" ? [true] : form.rm === "register" || !hasRm ? [false] : [false, true];
  const sized = form.operands.some(({ width }) => width === "y" || width === "v");
  const sizes: OperandSize[] = sized ? [32, 64] : [32];
  const hasImmediate = form.operands.some(({ place }) => place === "immediate");
  const immediates = hasImmediate ? (plan.immediates ?? Array.from({ length: 256 }, (_, i) => i)) : [0];
  const result: Variant[] = [];
  for (const memory of places.filter((place) => place || displacement === undefined)) {
    for (const operandSize of sizes) {
      immediates.forEach((immediate, i) => {
        // Every few immediates are built into the code, as the translator does.
        const constantImmediate = hasImmediate && i % 5 === 0;
        const same = hasImmediate && !memory && i === immediates.length - 1;
        const variant = {
          form,
          memory,
          displacement: displacement ?? 16,
          operandSize,
          immediate,
          constantImmediate,
          same,
        };
        result.push(variant);
        if (hasRm && !hasImmediate && !memory) result.push({ ...variant, same: true });
      });
    }
  }
  return result;
}

function randomStates(count: number, random: Random, plan: Plan): Uint8Array {
  const { fill = randomBytes, mxcsr = () => 0x1f80 } = plan;
  const states = new Uint8Array(count * STATE_SIZE);
  for (let at = 0; at < states.length; at += STATE_SIZE) {
    const view = new DataView(states.buffer, at, STATE_SIZE);
    for (let i = 0; i < STATE.flags; i += 16) fill(random, new DataView(states.buffer, at + i, 16));
    for (let i = 0; i < MEMORY_SIZE; i += 16) fill(random, new DataView(states.buffer, at + STATE.memory + i, 16));
    view.setUint32(STATE.flags, 0x202 | (random() & STATUS_FLAGS), true);
    view.setUint32(STATE.mxcsr, mxcsr(random), true);
  }
  return states;
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Little-endian fields of a state, for messages. */
function describe(state: Uint8Array): string {
  const field = (from: number, size: number) => hex(state.slice(from, from + size).reverse());
  const xmm = [0, 1, 2].map((i) => `xmm${i}=${field(STATE.xmm + i * 16, 16)}`);
  const mm = [1, 2].map((i) => `mm${i}=${field(STATE.mm + i * 8, 8)}`);
  const gpr = ["rax", "rcx", "rdx"].map((name, i) => `${name}=${field(STATE.gpr + i * 8, 8)}`);
  const memory = `memory=${field(STATE.memory + 16, 16)}`;
  const flags = `flags=${field(STATE.flags, 4)} mxcsr=${field(STATE.mxcsr, 4)} fault=${field(STATE.fault, 4)}`;
  return [...xmm, ...mm, ...gpr, memory, flags].join(" ");
}

/** Only status flags are compared, and none after a fault. */
function normalise(states: Uint8Array): void {
  const view = new DataView(states.buffer, states.byteOffset, states.length);
  for (let at = 0; at < states.length; at += STATE_SIZE) {
    const fault = view.getUint32(at + STATE.fault, true);
    view.setBigUint64(
      at + STATE.flags,
      BigInt(fault ? 0 : view.getUint32(at + STATE.flags, true) & STATUS_FLAGS),
      true,
    );
    states.fill(0, at + STATE.memory + MEMORY_SIZE, at + STATE_SIZE);
  }
}

/**
 * Runs the plan on both and gives a description of up to `limit` differences; none if the guest is right.
 * Also counts the states.
 */
export function differences(oracle: Oracle, bench: Bench, plan: Plan, limit = 3): { found: string[]; states: number } {
  const numbers = new SeededRandom(0x5eed);
  const random = () => numbers.next();
  const { differs = (guest, host) => guest.some((byte, i) => byte !== host[i]) } = plan;
  const all = plan.instructions.flatMap((instruction) => instruction.parsed.flatMap((form) => variants(form, plan)));
  const inputs = all.map(() => randomStates(plan.states, random, plan));
  const encoded = all.map((variant, i) => ({ bytes: encode(variant), states: inputs[i] as Uint8Array }));
  const expected = oracle.run(encoded);
  const found: string[] = [];
  let states = 0;
  all.forEach((variant, i) => {
    const input = inputs[i] as Uint8Array;
    const guest = input.slice();
    const host = (expected[i] as Uint8Array).slice();
    bench.run(variant, guest);
    normalise(guest);
    normalise(host);
    states += plan.states;
    let reported = 0;
    for (let at = 0; at < guest.length && reported < limit; at += STATE_SIZE) {
      const [before, got, wanted] = [input, guest, host].map((bytes) => bytes.subarray(at, at + STATE_SIZE));
      if (!differs(got as Uint8Array, wanted as Uint8Array)) continue;
      reported++;
      const bytes = hex(Uint8Array.from(encode(variant)));
      const what = `${variant.form.instruction.name} (${variant.form.text}) ${bytes}${variant.constantImmediate ? " constant" : ""}`;
      const lines = [before, got, wanted].map(
        (state, k) => `  ${["before", "guest ", "host  "][k]} ${describe(state as Uint8Array)}`,
      );
      found.push([what, ...lines].join("\n"));
    }
  });
  return { found, states };
}
