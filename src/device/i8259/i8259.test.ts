import assert from "node:assert/strict";
import { test } from "node:test";
import { ProbeLine } from "../../machine/testing/rig.ts";
import { ELCR_PORT, I8259Pair, MASTER_PORT, SLAVE_PORT } from "./i8259.ts";

const ICW1 = 0x11;
const EOI = 0x20;
const READ_IRR = 0x0a;
const READ_ISR = 0x0b;

/** A pair set up as a PC BIOS or Linux does: vectors from 0x20, fully nested, all unmasked. */
function rig({ masterIcw4 = 0x01, slaveIcw4 = 0x01 } = {}) {
  const intr = new ProbeLine();
  const pic = new I8259Pair({ intr });
  const out = (port: number, ...values: number[]) => {
    for (const value of values) pic.writePort(port, 1, value);
  };
  const inb = (port: number) => pic.readPort(port, 1);
  const isr = (port: number) => {
    out(port, READ_ISR);
    return inb(port);
  };
  const irr = (port: number) => {
    out(port, READ_IRR);
    return inb(port);
  };
  out(MASTER_PORT, ICW1);
  out(MASTER_PORT + 1, 0x20, 0x04, masterIcw4, 0x00);
  out(SLAVE_PORT, ICW1);
  out(SLAVE_PORT + 1, 0x28, 0x02, slaveIcw4, 0x00);
  const pulse = (irq: number) => {
    pic.raise(irq, false);
    pic.raise(irq, true);
  };
  return { pic, intr, out, inb, isr, irr, pulse };
}

test("a request raises INTR, its acknowledge gives base + level and puts the level in service", () => {
  const { pic, intr, isr, irr, out } = rig();
  pic.raise(4, true);
  assert.equal(intr.level, true);
  assert.equal(irr(MASTER_PORT), 0x10);
  assert.equal(pic.acknowledge(), 0x24);
  assert.equal(intr.level, false);
  assert.equal(irr(MASTER_PORT), 0);
  assert.equal(isr(MASTER_PORT), 0x10);
  out(MASTER_PORT, EOI);
  assert.equal(isr(MASTER_PORT), 0);
  assert.equal(intr.level, false, "an edge counts once");
});

test("a slave request is acknowledged with the slave's vector and needs an EOI on both chips", () => {
  const { pic, intr, isr, out, pulse } = rig();
  pulse(12);
  assert.equal(pic.acknowledge(), 0x2c);
  assert.equal(isr(MASTER_PORT), 0x04);
  assert.equal(isr(SLAVE_PORT), 0x10);
  pulse(12);
  assert.equal(intr.level, false);
  out(SLAVE_PORT, EOI);
  assert.equal(intr.level, false, "the master still serves its input 2");
  out(MASTER_PORT, EOI);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x2c);
});

test("higher priority interrupts a level in service, lower waits for its end", () => {
  const { pic, intr, out, pulse } = rig();
  pulse(5);
  assert.equal(pic.acknowledge(), 0x25);
  pulse(6);
  assert.equal(intr.level, false);
  pulse(1);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x21);
  out(MASTER_PORT, EOI);
  assert.equal(intr.level, false, "6 is still below 5");
  out(MASTER_PORT, EOI);
  assert.equal(pic.acknowledge(), 0x26);
});

test("the slave's inputs stand between IRQ 1 and IRQ 3", () => {
  const { pic, out, pulse } = rig();
  for (const irq of [3, 8, 1, 15]) pulse(irq);
  const order: number[] = [];
  for (let i = 0; i < 4; i++) {
    const vector = pic.acknowledge();
    order.push(vector);
    if (vector >= 0x28) out(SLAVE_PORT, EOI);
    out(MASTER_PORT, EOI);
  }
  assert.deepEqual(order, [0x21, 0x28, 0x2f, 0x23]);
});

test("a masked request waits in IRR until it is unmasked", () => {
  const { pic, intr, out, inb, irr, pulse } = rig();
  out(MASTER_PORT + 1, 0xff);
  assert.equal(inb(MASTER_PORT + 1), 0xff);
  pulse(3);
  assert.equal(intr.level, false);
  assert.equal(irr(MASTER_PORT), 0x08);
  out(MASTER_PORT + 1, 0xf7);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x23);
});

test("a request that ends before its acknowledge gives spurious IRQ 7 with nothing in service", () => {
  const { pic, intr, isr, irr } = rig();
  pic.raise(1, true);
  pic.raise(1, false);
  assert.equal(intr.level, false);
  assert.equal(irr(MASTER_PORT), 0);
  assert.equal(pic.acknowledge(), 0x27);
  assert.equal(isr(MASTER_PORT), 0);
});

test("a slave request that is masked at the last moment gives spurious IRQ 15 with only the cascade in service", () => {
  const { pic, intr, isr } = rig();
  pic.raise(9, true);
  assert.equal(intr.level, true);
  // Between the master's and the slave's INTA cycle nothing of the guest runs: force the case in the state.
  pic.state.slave.imr = 0xff;
  assert.equal(pic.acknowledge(), 0x2f);
  assert.equal(isr(MASTER_PORT), 0x04);
  assert.equal(isr(SLAVE_PORT), 0);
});

test("an edge-triggered input that stays high asks once, a level-triggered one until it is released", () => {
  const { pic, intr, out, inb } = rig();
  pic.raise(5, true);
  pic.acknowledge();
  out(MASTER_PORT, EOI);
  assert.equal(intr.level, false);
  out(ELCR_PORT, 0xff);
  out(ELCR_PORT + 1, 0xff);
  assert.equal(inb(ELCR_PORT), 0xf8, "IRQ 0 to 2 cannot be level-triggered");
  assert.equal(inb(ELCR_PORT + 1), 0xde, "nor IRQ 8 and 13");
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x25);
  assert.equal(intr.level, false);
  out(MASTER_PORT, EOI);
  assert.equal(intr.level, true);
  pic.raise(5, false);
  assert.equal(intr.level, false);
});

test("ICW1 clears the mask and forgets edges: an input that is high must fall and rise again", () => {
  const { pic, intr, out, inb, irr } = rig();
  out(MASTER_PORT + 1, 0xff);
  pic.raise(6, true);
  out(MASTER_PORT, ICW1);
  out(MASTER_PORT + 1, 0x40, 0x04, 0x01);
  assert.equal(inb(MASTER_PORT + 1), 0);
  assert.equal(irr(MASTER_PORT), 0);
  assert.equal(intr.level, false);
  pic.raise(6, false);
  pic.raise(6, true);
  assert.equal(pic.acknowledge(), 0x46);
});

test("without IC4 and with SNGL the data port is back to the mask after ICW2", () => {
  const { pic, out, inb, pulse } = rig({ masterIcw4: 0x03 });
  out(MASTER_PORT, 0x12);
  out(MASTER_PORT + 1, 0x50, 0xa5);
  assert.equal(inb(MASTER_PORT + 1), 0xa5);
  pulse(1);
  assert.equal(pic.acknowledge(), 0x51);
  pulse(1);
  assert.equal(pic.acknowledge(), 0x57, "no ICW4: AEOI is off again, level 1 is in service");
});

test("automatic EOI leaves nothing in service", () => {
  const { pic, isr, pulse } = rig({ masterIcw4: 0x03, slaveIcw4: 0x03 });
  pulse(4);
  assert.equal(pic.acknowledge(), 0x24);
  assert.equal(isr(MASTER_PORT), 0);
  pulse(10);
  pulse(11);
  assert.equal(pic.acknowledge(), 0x2a);
  assert.equal(pic.acknowledge(), 0x2b, "the slave's second request reaches the master as a new edge");
});

test("rotation in AEOI mode gives the level just served the lowest priority", () => {
  const { pic, out, pulse } = rig({ masterIcw4: 0x03 });
  out(MASTER_PORT, 0x80);
  pulse(3);
  pulse(5);
  assert.equal(pic.acknowledge(), 0x23);
  pulse(3);
  assert.equal(pic.acknowledge(), 0x25);
  assert.equal(pic.acknowledge(), 0x23);
  out(MASTER_PORT, 0x00);
  pulse(6);
  assert.equal(pic.acknowledge(), 0x26);
  pulse(7);
  pulse(4);
  assert.equal(pic.acknowledge(), 0x24, "priorities stay where they were: 4 is the highest");
});

test("a specific EOI ends that level only", () => {
  const { pic, isr, out, pulse } = rig();
  pulse(4);
  pic.acknowledge();
  pulse(1);
  pic.acknowledge();
  assert.equal(isr(MASTER_PORT), 0x12);
  out(MASTER_PORT, 0x60 | 4);
  assert.equal(isr(MASTER_PORT), 0x02);
});

test("rotate on EOI, specific rotate and set priority move the lowest priority", () => {
  const { pic, out, pulse } = rig();
  pulse(4);
  pic.acknowledge();
  out(MASTER_PORT, 0xa0); // rotate on non-specific EOI: 4 becomes lowest, 5 highest
  pulse(4);
  pulse(5);
  assert.equal(pic.acknowledge(), 0x25);
  out(MASTER_PORT, 0xe0 | 5); // rotate on specific EOI: 5 lowest, 6 highest
  pulse(6);
  assert.equal(pic.acknowledge(), 0x26);
  out(MASTER_PORT, EOI);
  assert.equal(pic.acknowledge(), 0x24);
  out(MASTER_PORT, EOI);
  out(MASTER_PORT, 0xc0 | 0); // set priority: 0 lowest, 1 highest
  pulse(0);
  pulse(7);
  assert.equal(pic.acknowledge(), 0x27);
});

test("special mask mode lets lower levels through while a masked level is in service", () => {
  const { pic, intr, isr, out, pulse } = rig();
  pulse(2 + 1);
  pic.acknowledge();
  pulse(6);
  assert.equal(intr.level, false);
  out(MASTER_PORT + 1, 0x08);
  out(MASTER_PORT, 0x68);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x26);
  out(MASTER_PORT, EOI);
  assert.equal(isr(MASTER_PORT), 0x08, "a non-specific EOI ends 6, not the masked 3");
  out(MASTER_PORT, EOI);
  assert.equal(isr(MASTER_PORT), 0x08);
  out(MASTER_PORT, 0x48);
  pulse(6);
  assert.equal(intr.level, false);
});

test("special fully nested mode lets the slave interrupt itself by a higher request, not a lower level of the master", () => {
  const { pic, intr, out, pulse } = rig({ masterIcw4: 0x11 });
  pulse(13);
  assert.equal(pic.acknowledge(), 0x2d);
  pulse(3);
  assert.equal(intr.level, false);
  pulse(9);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x29);
  out(SLAVE_PORT, EOI);
  out(SLAVE_PORT, READ_ISR);
  assert.equal(intr.level, false);
});

test("a poll acknowledges and tells the level, or zero when there is none", () => {
  const { pic, intr, inb, isr, out, pulse } = rig();
  out(MASTER_PORT, 0x0c);
  assert.equal(inb(MASTER_PORT), 0x00);
  pulse(6);
  out(MASTER_PORT, 0x0c);
  assert.equal(inb(MASTER_PORT), 0x86);
  assert.equal(isr(MASTER_PORT), 0x40);
  out(MASTER_PORT, EOI);
  pulse(14);
  out(SLAVE_PORT, 0x0c);
  assert.equal(inb(SLAVE_PORT + 1), 0x86);
  assert.equal(intr.level, false, "the slave's request is gone from the master too");
  out(SLAVE_PORT, EOI);
  assert.equal(inb(SLAVE_PORT + 1), 0x00, "the next read is the mask again");
  void pic;
});

test("a word written to the command port reaches command and mask", () => {
  const { pic, inb } = rig();
  pic.writePort(MASTER_PORT, 2, 0xfb20);
  assert.equal(inb(MASTER_PORT + 1), 0xfb);
  assert.equal(pic.readPort(MASTER_PORT, 2), 0xfb00);
});

test("input 2 is not on the bus, and a line handle drives its input", () => {
  const { pic, intr } = rig();
  pic.raise(2, true);
  assert.equal(intr.level, false);
  pic.line(15).set(true);
  assert.equal(pic.acknowledge(), 0x2f);
});

test("a pair filled from another's state continues where that was", () => {
  const { pic, pulse } = rig();
  pulse(9);
  const intr = new ProbeLine();
  const copy = new I8259Pair({ intr });
  Object.assign(copy.state, structuredClone(pic.state));
  copy.restored();
  assert.equal(intr.level, true);
  assert.equal(copy.acknowledge(), 0x29);
});

test("reset masks everything and drops requests, but not the levels that devices drive", () => {
  const { pic, intr, inb } = rig();
  pic.raise(4, true);
  pic.reset();
  assert.equal(intr.level, false);
  assert.equal(inb(MASTER_PORT + 1), 0xff);
  assert.equal(pic.state.master.ir, 0x10);
});
