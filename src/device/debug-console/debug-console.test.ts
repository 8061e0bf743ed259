import assert from "node:assert/strict";
import { test } from "node:test";
import { DebugConsole } from "./debug-console.ts";

test("firmware finds the port by what it reads as, and its bytes come out", () => {
  const bytes: number[] = [];
  const device = new DebugConsole({ output: { write: (written) => void bytes.push(...written) } });
  assert.equal(device.readPort(), 0xe9);
  for (const value of [0x48, 0x69, 0x10a]) device.writePort(0x402, 1, value);
  assert.deepEqual(bytes, [0x48, 0x69, 0x0a]);
});
