/** Some random sequences on the host's own processor; `npm run sequences -- --host` runs many. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unsuitableHost } from "../../conformance/native/native-processor.ts";
import { runHostSequences } from "./host-sequences.ts";

const SEQUENCES = 60;
/** Below these there is something wrong with the test itself. */
const LEAST_SEQUENCES = 50;
const LEAST_INSTRUCTIONS = 4000;
const LEAST_TRANSLATED = 3000;
const LEAST_ENDED = 100;

test("code with branches, loops, faults and changes of itself does on every tier what it does on the host's processor", {
  skip: unsuitableHost() ?? false,
}, async () => {
  const sum = await runHostSequences({ first: 1, count: SEQUENCES });
  assert.equal(sum.failures.length, 0, sum.failures.slice(0, 3).join("\n"));
  assert.ok(sum.sequences >= LEAST_SEQUENCES, `only ${sum.sequences} sequences ran`);
  assert.ok(sum.instructions >= LEAST_INSTRUCTIONS, `only ${sum.instructions} instructions ran`);
  assert.ok(sum.translated >= LEAST_TRANSLATED, `only ${sum.translated} instructions were translated`);
  assert.ok(sum.exceptions >= LEAST_ENDED, `only ${sum.exceptions} runs ended in an exception`);
  const completed = sum.runs - sum.exceptions;
  assert.ok(completed >= LEAST_ENDED, `only ${completed} runs came to the end`);
});
