/** Some random sequences of instructions; `npm run sequences` runs many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REGIMES } from "./regime.ts";
import { SequenceTester } from "./sequence-test.ts";

const SEQUENCES = 500;
/** Below this there is something wrong with the test itself. */
const LEAST_INSTRUCTIONS = 50_000;
const LEAST_TRANSLATED = 20_000;

test("code with branches, loops, faults and changes of itself does the same translated as interpreted, in every mode", () => {
  const tester = new SequenceTester();
  const results = Array.from({ length: SEQUENCES }, (_, seed) => tester.run(seed + 1));
  const failures = results.map(({ failure }) => failure).filter((text) => text !== undefined);
  assert.equal(failures.length, 0, failures.slice(0, 3).join("\n"));
  const instructions = results.reduce((sum, result) => sum + result.instructions, 0);
  assert.ok(instructions >= LEAST_INSTRUCTIONS, `only ${instructions} instructions ran`);
  assert.ok(tester.translated >= LEAST_TRANSLATED, `only ${tester.translated} instructions were translated`);
  assert.deepEqual(
    new Set(results.map(({ regime }) => regime)),
    new Set(REGIMES.map(({ name }) => name)),
    "every regime was run",
  );
});
