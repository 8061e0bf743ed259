import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOptions, DefinitionError } from "./vm-options.ts";

test("a network with a way out makes no repeatable runs", () => {
  const nics = [{ network: "user", model: "e1000" }] as const;
  assert.deepEqual(checkOptions({ kernel: "k", nics }).nics, nics);
  assert.throws(() => checkOptions({ kernel: "k", nics, clock: "icount" }), {
    name: DefinitionError.name,
    message: 'nics: the network "user" makes no repeatable runs; use "isolated" with clock "icount"',
  });
});
