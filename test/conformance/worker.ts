/**
 * The process that runs tests: native code of random instructions could damage it, so that it is not the one that
 * reports. Told which jobs to run by a message, it answers each with one.
 */
import { FORMS } from "../../src/isa/index.ts";
import type { Tier } from "./guest-processor.ts";
import { exclusion } from "./plan.ts";
import type { Bits } from "./record.ts";
import { type FormResult, Tester } from "./tester.ts";

export interface Order {
  readonly jobs: readonly { readonly form: number; readonly bits: Bits }[];
  readonly states: number;
  readonly seed: number;
  readonly tiers: readonly Tier[];
  readonly strict: boolean;
  readonly prefixes: boolean;
}

export type Answer =
  | { readonly kind: "skipped"; readonly index: number; readonly reason: string }
  | { readonly kind: "failed"; readonly index: number; readonly reason: string }
  | { readonly kind: "result"; readonly index: number; readonly result: FormResult };

process.once("message", (order: Order) => {
  const tester = new Tester(order);
  const answer = (message: Answer) => process.send?.(message);
  for (const [index, { form: id, bits }] of order.jobs.entries()) {
    const form = FORMS[id];
    if (!form) throw new Error(`there is no form ${id}`);
    const reason = exclusion({ form, bits }) ?? tester.inability(form, bits);
    if (reason !== undefined) {
      answer({ kind: "skipped", index, reason });
      continue;
    }
    // A form's tests do not depend on what else is run.
    try {
      const result = tester.run(form, bits, order.states, (order.seed * 1000003 + hash(form.text)) >>> 0);
      if (result) answer({ kind: "result", index, result });
      else answer({ kind: "skipped", index, reason: `not in ${bits}-bit code` });
    } catch (error) {
      answer({
        kind: "failed",
        index,
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }
  process.disconnect?.();
});

function hash(text: string): number {
  let value = 0;
  for (const character of text) value = (Math.imul(value, 31) + character.charCodeAt(0)) >>> 0;
  return value;
}
