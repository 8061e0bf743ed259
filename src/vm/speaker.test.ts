import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../isa/assemble.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

/** Sounds 1 kHz, then nothing, and ends the machine with whether counter 2's output was seen both ways. */
const KERNEL = `
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  start: mov al,0xb6
  out 0x43,al
  mov al,0xa9
  out 0x42,al
  mov al,0x04
  out 0x42,al
  in al,0x61
  or al,3
  out 0x61,al
  high: in al,0x61
  test al,0x20
  jz high
  low: in al,0x61
  test al,0x20
  jnz low
  and al,0xfc
  out 0x61,al
  mov al,5
  out 0xf4,al
  stop: jmp stop
`;

test("the speaker's tone is told as it comes and goes", async () => {
  const { bytes } = assemble(KERNEL, { bits: 32, origin: 0x10_0000n });
  const machine = await Machine.create(
    {
      memory: 16 << 20,
      cpu: "max",
      clock: "icount",
      kernel: { image: bytes, commandLine: "" },
      disks: [],
      serial: { write: () => {} },
      debugExit: true,
      noReboot: true,
    },
    nodeHost(),
  );
  const tones: number[] = [];
  machine.onTone = (hertz) => tones.push(Math.round(hertz));
  assert.deepEqual(await machine.run(), { kind: "debug-exit", status: 11 });
  assert.deepEqual(tones, [1000, 0]);
  assert.equal(machine.tone, 0);
});
