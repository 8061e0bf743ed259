import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { DEBUG_EXIT_PORT, type DebugExitEvent, IsaDebugExit } from "./isa-debug-exit.ts";

test("writing v ends the machine with status 2v + 1", () => {
  const events: DebugExitEvent[] = [];
  const port = new IsaDebugExit({ onExit: (event) => events.push(event) });
  port.writePort(DEBUG_EXIT_PORT, 4, 0x10);
  port.writePort(DEBUG_EXIT_PORT, 1, 0);
  assert.deepEqual(events, [
    { kind: "debug-exit", status: 33 },
    { kind: "debug-exit", status: 1 },
  ]);
  assert.equal(port.readPort(DEBUG_EXIT_PORT, 1), 0);
});

test("any value gives an odd status of 32 bits", () => {
  const random = new SeededRandom(0xf4);
  const port = new IsaDebugExit({
    onExit: ({ status }) => assert.ok(status % 2 === 1 && status > 0 && status < 2 ** 32),
  });
  for (let i = 0; i < 1000; i++) port.writePort(DEBUG_EXIT_PORT, 4, random.next());
});
