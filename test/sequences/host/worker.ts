/** The process that runs sequences natively. Told by a message which seeds to run, it answers each with one. */
import { type HostSequenceResult, HostSequenceTester } from "./host-sequence-tester.ts";
import type { HostTier } from "./run-guest.ts";

export interface Order {
  readonly first: number;
  readonly count: number;
  readonly tiers: readonly HostTier[];
  /** It is enough when so many have failed. */
  readonly mostFailures: number;
}

export type Answer =
  | { readonly seed: number; readonly kind: "result"; readonly result: HostSequenceResult }
  /** The process ends with that. */
  | { readonly seed: number; readonly kind: "failed"; readonly reason: string };

/** Who gave the order may be gone: that is found out between sequences. */
const lookAround = () => new Promise((resolve) => setImmediate(resolve));

process.once("message", async ({ first, count, tiers, mostFailures }: Order) => {
  const tester = new HostSequenceTester(tiers);
  const answer = (message: Answer) => process.send?.(message);
  let failures = 0;
  for (let seed = first; seed < first + count && failures < mostFailures; seed++) {
    await lookAround();
    if (!process.connected) return;
    try {
      const result = tester.run(seed);
      if (result.failure !== undefined) failures++;
      answer({ seed, kind: "result", result });
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      answer({ seed, kind: "failed", reason });
      break;
    }
  }
  process.disconnect?.();
});
