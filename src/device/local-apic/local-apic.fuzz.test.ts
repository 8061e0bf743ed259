import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessSize } from "../../machine/device.ts";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { rig } from "./testing/apic-rig.ts";

const SIZES: readonly AccessSize[] = [1, 2, 4];
const MSRS = [0x1b, 0x6e0, 0x830, 0x83f, 0x80b, 0x832, 0x838];

test("random registers, MSRs, messages and lines leave every value in range and the line true to its promise", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = new SeededRandom(seed);
    const { apics, bus, time, pic } = rig({ ids: [0, 1, 0x1234] });
    const u32 = () => (random.below(3) === 0 ? random.below(0x200) : random.next());
    for (let step = 0; step < 6000; step++) {
      const cpu = apics[random.below(apics.length)]!;
      const size = SIZES[random.below(3)]!;
      const offset = random.below(4) === 0 ? random.below(0x1000) : random.below(0x40) * 16;
      switch (random.below(10)) {
        case 0:
        case 1: {
          const value = cpu.apic.readMemory(offset, size);
          assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), `${offset}: ${value}`);
          break;
        }
        case 2:
        case 3:
          cpu.apic.writeMemory(offset, size, u32());
          break;
        case 4:
          cpu.wrmsr(random.below(2) ? MSRS[random.below(MSRS.length)]! : 0x800 + random.below(0x100), u32(), u32());
          break;
        case 5: {
          const value = cpu.rdmsr(random.below(2) ? MSRS[random.below(MSRS.length)]! : 0x800 + random.below(0x100));
          if (value !== "#GP") for (const half of value) assert.ok(half >= 0 && half < 2 ** 32);
          break;
        }
        case 6:
          bus.send(0xfee00000 + random.below(0x100000), random.next() & 0xffff);
          break;
        case 7:
          (random.below(2) ? cpu.apic.lint0 : cpu.apic.lint1).set(random.below(2) === 1);
          break;
        case 8:
          time.advance(random.below(100_000));
          break;
        case 9: {
          const pending = cpu.apic.pendingVector();
          const before = pic.acknowledged;
          const vector = cpu.apic.acknowledge();
          if (pending >= 0 && pic.acknowledged === before) assert.equal(vector, pending);
          break;
        }
      }
      for (const { apic, intr } of apics) {
        const pending = apic.pendingVector();
        assert.ok(pending === -1 || (pending >= 16 && pending < 256));
        assert.ok(intr.level || pending < 0, "a pending vector raises the line");
        assert.equal(apic.state.irr[0]! & 0xffff, 0, "no vector below 16");
      }
    }
  }
});
