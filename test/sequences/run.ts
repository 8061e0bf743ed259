/**
 * `npm run sequences -- [--count N] [--seed N]`: random sequences of instructions, in the translator and in the
 * interpreter. With `--host [--tier TIER]` those that the host's own processor can run, on that and on each tier of ours.
 * Sequence N of a run is told by its seed, and runs alone with `--seed SEED --count 1`. Exit status 1 where there are
 * differences.
 */
import { parseArgs } from "node:util";
import { unsuitableHost } from "../conformance/native/native-processor.ts";
import { runHostSequences } from "./host/host-sequences.ts";
import { HOST_TIER_NAMES } from "./host/run-guest.ts";
import { SequenceTester } from "./sequence-test.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    host: { type: "boolean", default: false },
    tier: { type: "string" },
  },
});
const MOST_FAILURES = 10;
/** Of one kind and of the other: a few minutes each. */
const COUNT = { pairs: 20_000, host: 3000 };

function runPairs(first: number, count: number): boolean {
  const tester = new SequenceTester();
  let [instructions, exceptions, failures, done] = [0, 0, 0, 0];
  for (let seed = first; seed < first + count && failures < MOST_FAILURES; seed++) {
    const result = tester.run(seed);
    done++;
    instructions += result.instructions;
    exceptions += result.exceptions;
    if (result.failure === undefined) continue;
    failures++;
    process.stdout.write(`${result.failure}\n`);
  }
  process.stdout.write(
    `${done} sequences, ${instructions} instructions, ${exceptions} exceptions, ` +
      `${tester.translated} instructions in regions, ${failures} differences\n`,
  );
  return failures === 0;
}

async function runOnHost(first: number, count: number): Promise<boolean> {
  const tiers = values.tier === undefined ? HOST_TIER_NAMES : HOST_TIER_NAMES.filter((tier) => tier === values.tier);
  if (tiers.length === 0) throw new Error(`--tier is one of: ${HOST_TIER_NAMES.join(", ")}`);
  const unsuitable = unsuitableHost();
  if (unsuitable !== undefined) {
    process.stdout.write(`skipped: ${unsuitable}\n`);
    return true;
  }
  const failed = (failure: string) => void process.stdout.write(`${failure}\n`);
  const sum = await runHostSequences({ first, count, tiers, failed });
  process.stdout.write(
    `${sum.sequences} sequences on ${tiers.join(", ")}, ${sum.unfit} left out; ${sum.runs} runs, ` +
      `${sum.instructions} instructions, ${sum.exceptions} exceptions, ${sum.translated} instructions in regions, ` +
      `${sum.failures.length} differences\n`,
  );
  return sum.failures.length === 0;
}

const first = Number(values.seed);
const isSame = values.host
  ? await runOnHost(first, Number(values.count ?? COUNT.host))
  : runPairs(first, Number(values.count ?? COUNT.pairs));
process.exitCode = isSame ? 0 : 1;
