/**
 * `npm run sequences -- [--count N] [--seed N]`: random sequences of instructions, in the translator and in the
 * interpreter. Sequence N of a run is told by its seed, and runs alone with `--seed SEED --count 1`. Exit status 1 where
 * the two differ.
 */
import { parseArgs } from "node:util";
import { SequenceTester } from "./sequence-test.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "20000" }, seed: { type: "string", default: "1" } },
});
const MOST_FAILURES = 10;

const tester = new SequenceTester();
const [first, count] = [Number(values.seed), Number(values.count)];
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
process.exitCode = failures > 0 ? 1 : 0;
