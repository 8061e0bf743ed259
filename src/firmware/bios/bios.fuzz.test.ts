import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { MIB } from "../../bits/units.ts";
import { MemoryStore } from "../../disk/memory-store.ts";
import { RawDisk } from "../../disk/raw/raw-disk.ts";
import type { AccessSize } from "../../machine/device.ts";
import { ManualTime } from "../../machine/testing/rig.ts";
import { i440fxBoard } from "../acpi/board.ts";
import { memoryMap } from "../memory-map.ts";
import { Bios } from "./bios.ts";
import { DEFAULT_ORDER } from "./boot-order.ts";
import type { BiosDrive } from "./disk/drive.ts";
import { SEG } from "./processor.ts";
import { BIOS_PORT, BIOS32_PORT, HOST_INTERRUPTS, Internal, PCI32_PORT } from "./segment.ts";
import { PlainProcessor } from "./testing/plain-processor.ts";

const CALLS = 20_000;
/** Values that services take for lengths, modes and functions are small, or at the edges. */
const EDGES = [0, 1, 2, 3, 0x13, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff];

function rig(seed: number) {
  const random = new SeededRandom(seed);
  const processor = new PlainProcessor();
  let reasons = 0;
  let dispi = 0;
  const disk = (kind: BiosDrive["kind"], size: number): BiosDrive => {
    const device = new RawDisk(new MemoryStore(size));
    return { kind, name: kind, medium: () => device };
  };
  const bios = new Bios(
    {
      map: memoryMap(16 * MIB),
      board: i440fxBoard(1),
      drives: [disk("floppy", 1440 * 1024), disk("disk", 3 * MIB), disk("cd", MIB)],
      boot: { order: DEFAULT_ORDER, menu: false },
      serialScreen: true,
    },
    {
      // Chips that answer anything at all, but for a display that says what it is.
      ports: {
        read: (port: number, size: AccessSize) =>
          port === 0x1cf && dispi === 0
            ? 0xb0c5
            : random.next() & (size === 4 ? 0x7fff_ffff : size === 2 ? 0xffff : 0xff),
        write: (port: number, _size: AccessSize, value: number) => {
          if (port === 0x1ce) dispi = value;
        },
      },
      videoMemory: { write: () => {} },
      time: new ManualTime(),
      processor,
      immediate: true,
      nothingBoots: () => {
        reasons++;
        return true;
      },
      called: () => {},
    },
  );
  return { random, processor, bios, reasons: () => reasons };
}

for (const seed of [1, 2, 3, 4]) {
  test(`a guest calls services with any registers, memory and stack (seed ${seed})`, async () => {
    const { random, processor, bios } = rig(seed);
    const numbers = [...HOST_INTERRUPTS, ...Object.values(Internal), 0x77];
    const word = () => (random.below(2) ? (EDGES[random.below(EDGES.length)] as number) : random.next() & 0xffff);
    for (let i = 0; i < CALLS; i++) {
      if (i % 500 === 0) for (let j = 0; j < 64; j++) processor.memory[0x400 + random.below(0x200)] = random.next();
      for (let register = 0; register < 8; register++) processor.registers[register] = (word() << 16) | word();
      for (let segment = 0; segment < 4; segment++) processor.segments[segment] = word();
      processor.stack32 = random.below(8) === 0;
      processor.segments[SEG.cs] = 0xf000;
      if (!processor.stack32) processor.call(numbers[random.below(numbers.length)] as number);
      bios.writePort(BIOS_PORT, 1, 0);
      await processor.settled();
    }
    assert.equal(processor.memory.length, 0x11_0000);
  });
}

test("code elsewhere that writes to the BIOS's port calls nothing", () => {
  const { processor, bios } = rig(5);
  processor.call(0x12);
  processor.segments[SEG.cs] = 0x1000;
  processor.registers[0] = 0x1234;
  bios.writePort(BIOS_PORT, 1, 0);
  assert.equal(processor.registers[0], 0x1234);
});

test("32-bit entries answer in protected mode only, and any function", () => {
  const { random, processor, bios } = rig(6);
  for (let i = 0; i < 5000; i++) {
    processor.realAddresses = random.below(2) === 0;
    for (let register = 0; register < 8; register++) processor.registers[register] = random.next();
    if (random.below(2)) processor.registers[0] = 0xb100 | random.below(16);
    bios.writePort(random.below(2) ? BIOS32_PORT : PCI32_PORT, 1, 0);
  }
});
