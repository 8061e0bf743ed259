/** What the other files here test holds for translated code, too: their tests again, with kernels that run translated. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { translatedRegions, translateKernels } from "./kernel.ts";

/** Those that choose themselves what is translated. */
const OTHERS = new Set([path.basename(import.meta.filename), "debugger.test.ts", "string-runs.test.ts"]);
const LEAST_REGIONS = 1000;

translateKernels();
for (const file of readdirSync(import.meta.dirname)) {
  if (file.endsWith(".test.ts") && !OTHERS.has(file)) await import(path.join(import.meta.dirname, file));
}

after(() => {
  const regions = translatedRegions();
  assert.ok(regions >= LEAST_REGIONS, `only ${regions} regions were made`);
});
