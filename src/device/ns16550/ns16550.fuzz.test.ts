import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { ProbeLine, SeededRandom } from "../../machine/testing/rig.ts";
import { Ns16550 } from "./ns16550.ts";

const SIZES: AccessSize[] = [1, 1, 1, 2, 4];

test("random accesses and input keep the FIFO bounded and the line true to IIR", () => {
  const random = new SeededRandom(16550);
  const irq = new ProbeLine();
  let waiting = false;
  const uart = new Ns16550(
    { port: 0x2f8 },
    {
      irq,
      sink: { write: (bytes) => assert.equal(bytes.length, 1) },
      onRoom: () => {
        assert.equal(waiting, true);
        waiting = false;
      },
    },
  );
  for (let i = 0; i < 30_000; i++) {
    const port = 0x2f8 + random.below(8);
    const size = SIZES[random.below(SIZES.length)]!;
    switch (random.below(4)) {
      case 0:
        uart.writePort(port, size, random.next());
        break;
      case 1: {
        const value = uart.readPort(port, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 2: {
        const bytes = new Uint8Array(random.below(40));
        waiting = uart.receive(bytes) < bytes.length;
        break;
      }
      case 3:
        if (random.below(2)) uart.receiveBreak();
        else uart.setModemInputs({ cts: random.below(2) === 1, ri: random.below(2) === 1 });
        break;
    }
    assert.ok(uart.state.rx.length <= 16);
    if (uart.state.mcr & 0x08) {
      const before = irq.level;
      assert.equal((uart.readPort(0x2fa, 1) & 1) === 0, before);
    } else assert.equal(irq.level, false);
  }
});
