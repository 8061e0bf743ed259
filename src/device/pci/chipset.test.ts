import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./testing/pci-rig.ts";

test("software finds host bridge, ISA bridge and power management and nothing else", () => {
  const { read } = rig();
  const found: string[] = [];
  for (let slot = 0; slot < 32; slot++) {
    const functions = read(slot, 0, 0x0e, 1) & 0x80 ? 8 : 1;
    for (let fn = 0; fn < functions; fn++) {
      const id = read(slot, fn, 0, 4);
      if (id !== 0xffffffff) found.push(`${slot}.${fn} ${id.toString(16)} ${read(slot, fn, 0x0a, 2).toString(16)}`);
    }
  }
  assert.deepEqual(found, ["0.0 12378086 600", "1.0 70008086 601", "1.3 71138086 680"]);
});

test("configuration mechanism #1 answers the way that Linux probes for it", () => {
  const { ports } = rig();
  ports.write(0xcfb, 1, 0x01);
  ports.write(0xcf8, 4, 0x80000000);
  assert.equal(ports.read(0xcf8, 4), 0x80000000);
  ports.write(0xcf8, 1, 0);
  ports.write(0xcfa, 2, 0);
  assert.equal(ports.read(0xcf8, 4), 0x80000000, "only 32-bit accesses reach the address register");
  assert.equal(ports.read(0xcf8, 1), 0xff);
  assert.equal(ports.read(0xcfe, 2), 0x1237);
  assert.equal(ports.read(0xcfd, 1), 0x80);
  ports.write(0xcf8, 4, 0x00000000);
  assert.equal(ports.read(0xcfc, 4), 0xffffffff, "the enable bit is off");
  ports.write(0xcf8, 4, 0x80010000);
  assert.equal(ports.read(0xcfc, 4), 0xffffffff, "there is no bus 1");
  ports.write(0xcf8, 4, 0xffffffff);
  assert.equal(ports.read(0xcf8, 4), 0x80fffffc);
});

test("the PAM registers switch areas between ROM and RAM", () => {
  const { host, write, shadows } = rig();
  host.reset();
  assert.equal(shadows.length, 13);
  assert.equal(
    shadows.reduce((sum, { length }) => sum + length, 0),
    0x40000,
  );
  assert.ok(shadows.every(({ readRam, writeRam }) => !readRam && !writeRam));
  shadows.length = 0;
  write(0, 0, 0x59, 1, 0x10);
  write(0, 0, 0x5a, 1, 0x23);
  write(0, 0, 0x5a, 1, 0x23);
  assert.deepEqual(shadows.splice(0), [
    { start: 0xf0000, length: 0x10000, readRam: true, writeRam: false },
    { start: 0xc0000, length: 0x4000, readRam: true, writeRam: true },
    { start: 0xc4000, length: 0x4000, readRam: false, writeRam: true },
  ]);
  write(0, 0, 0x5c, 4, 0x33333333);
  assert.deepEqual(
    shadows.map(({ start }) => start),
    [0xd0000, 0xd4000, 0xd8000, 0xdc000, 0xe0000, 0xe4000, 0xe8000, 0xec000],
  );
});

test("a rising reset bit at CF9h resets the processor or the board", () => {
  const { ports, resets } = rig();
  ports.write(0xcf9, 1, 0x02);
  assert.equal(ports.read(0xcf9, 1), 0x02);
  assert.deepEqual(resets, []);
  ports.write(0xcf9, 1, 0x06);
  ports.write(0xcf9, 1, 0x06);
  ports.write(0xcf9, 1, 0x00);
  ports.write(0xcf9, 1, 0x04);
  assert.deepEqual(resets, ["board", "processor"]);
});

test("pins are swizzled by slot onto PIRQs, and those routed by PIRQRC onto shared ISA interrupts", () => {
  const { pirq, irqs, read, write } = rig();
  const high = () => irqs.flatMap(({ level }, irq) => (level ? [irq] : []));
  assert.equal(read(1, 0, 0x60, 4), 0x80808080);
  const slot1 = pirq.pin(1, 0, 1);
  const slot2 = pirq.pin(2, 0, 1);
  const slot5 = pirq.pin(5, 0, 1);
  const slot4 = pirq.pin(4, 0, 2);
  slot1.set(true);
  assert.deepEqual(high(), [], "not routed");
  write(1, 0, 0x60, 4, 0x0b0b0a0a);
  assert.deepEqual(high(), [10], "slot 1 INTA# is PIRQA#");
  slot5.set(true);
  slot1.set(false);
  assert.deepEqual(high(), [10], "slot 5 INTA# is PIRQA# too");
  slot5.set(false);
  assert.deepEqual(high(), []);
  slot2.set(true);
  assert.deepEqual(high(), [10], "slot 2 INTA# is PIRQB#");
  write(1, 0, 0x61, 1, 0x05);
  assert.deepEqual(high(), [5]);
  write(1, 0, 0x61, 1, 0x85);
  assert.deepEqual(high(), []);
  write(1, 0, 0x61, 1, 0x08);
  assert.deepEqual(high(), [], "IRQ 8 is the clock's");
  slot4.set(true);
  assert.deepEqual(high(), [10], "slot 4 INTB# is PIRQA#");
});

test("a restored router drives its interrupts again", () => {
  const first = rig();
  first.write(1, 0, 0x62, 1, 11);
  first.pirq.pin(3, 0, 1).set(true);
  const second = rig();
  Object.assign(second.pirq.state, structuredClone(first.pirq.state));
  second.pirq.restored();
  assert.equal(second.irqs[11]!.level, true);
});

test("the power management block is where PMBA says while PMREGMISC enables it", () => {
  const { ports, pmBlock, pm, read, write } = rig();
  assert.equal(read(1, 3, 0x40, 4), 1);
  write(1, 3, 0x40, 4, 0xffffffff);
  assert.equal(read(1, 3, 0x40, 4), 0xffc1);
  write(1, 3, 0x40, 4, 0x0601);
  assert.equal(ports.read(0x608, 4), 0xffffffff);
  write(1, 3, 0x80, 1, 1);
  ports.write(0x608, 4, 0x12345678);
  assert.equal(pmBlock.readMemory(8, 4), 0x12345678);
  write(1, 3, 0x40, 4, 0xb001);
  assert.equal(ports.read(0x608, 4), 0xffffffff);
  assert.equal(ports.read(0xb008, 4), 0x12345678);
  assert.equal(pm.base, 0xb000);
  write(1, 3, 0xd2, 1, 9);
  assert.equal(read(1, 3, 0xd2, 1), 0, "there is no SMBus controller");
  assert.equal(read(1, 3, 0x58, 4), 0x02000000, "firmware need not set up SMM");
  pm.reset();
  assert.equal(ports.read(0xb008, 4), 0xffffffff);
});
