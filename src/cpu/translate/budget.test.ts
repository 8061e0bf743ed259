import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestMachine } from "../system/testing/guest-machine.ts";

test("a translated loop that asks the host again and again counts each of its instructions once", () => {
  const rounds = 30_000;
  const guest = new GuestMachine({ translates: true });
  guest.load(`
    mov cx,${rounds}
    again: rdtsc
    loop again
    hlt`);
  const before = guest.processor.instructions;
  for (let calls = 0; calls < 1000; calls++) if (guest.processor.run(50_000).kind === "halted") break;
  assert.equal(guest.processor.instructions - before, 1 + 2 * rounds + 1);
  assert.ok(guest.processor.statistics.translated.regions > 0);
});
