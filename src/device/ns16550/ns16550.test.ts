import assert from "node:assert/strict";
import { test } from "node:test";
import { ProbeLine } from "../../machine/testing/rig.ts";
import { Ns16550 } from "./ns16550.ts";

const BASE = 0x3f8;
const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const FCR = IIR;
const bytesOf = (text: string) => new TextEncoder().encode(text);

function rig() {
  const irq = new ProbeLine();
  const sent: number[] = [];
  let rooms = 0;
  const uart = new Ns16550(
    { port: BASE },
    { irq, sink: { write: (bytes) => void sent.push(...bytes) }, onRoom: () => rooms++ },
  );
  const get = (register: number) => uart.readPort(BASE + register, 1);
  const set = (register: number, value: number) => uart.writePort(BASE + register, 1, value);
  /** OUT2 lets interrupts through on a PC. */
  const open = (ier: number, fcr = 0) => {
    set(FCR, fcr);
    set(MCR, 0x0b);
    set(IER, ier);
  };
  return { uart, irq, sent, rooms: () => rooms, get, set, open };
}

test("what is written to THR is sent at once and the transmitter stays empty", () => {
  const { get, set, sent } = rig();
  for (const byte of bytesOf("boot\n")) {
    assert.equal(get(LSR), 0x60);
    set(RBR, byte);
  }
  assert.deepEqual(sent, [...bytesOf("boot\n")]);
});

test("the divisor latch hides THR and IER while DLAB is set", () => {
  const { get, set, sent } = rig();
  set(LCR, 0x83);
  set(RBR, 0x0c);
  set(IER, 0x01);
  assert.deepEqual([get(RBR), get(IER)], [0x0c, 0x01]);
  set(LCR, 0x03);
  assert.equal(get(IER), 0);
  assert.deepEqual(sent, []);
});

test("the FIFO control register turns the FIFOs on as a 16550A's, seen in IIR", () => {
  const { get, set } = rig();
  assert.equal(get(IIR), 0x01);
  set(FCR, 0x01);
  assert.equal(get(IIR), 0xc1);
  set(FCR, 0x00);
  assert.equal(get(IIR), 0x01);
});

test("IER has four bits and the scratch register eight", () => {
  const { get, set } = rig();
  set(IER, 0xff);
  assert.equal(get(IER), 0x0f);
  set(SCR, 0xa5);
  assert.equal(get(SCR), 0xa5);
});

test("without FIFOs one character is received, and the host keeps the rest until it is read", () => {
  const { uart, get, rooms, open, irq } = rig();
  open(0x01);
  assert.equal(uart.receive(bytesOf("ab")), 1);
  assert.equal(irq.level, true);
  assert.equal(get(IIR), 0x04);
  assert.equal(get(LSR), 0x61);
  assert.equal(rooms(), 0);
  assert.equal(get(RBR), 0x61);
  assert.equal(rooms(), 1);
  assert.equal(irq.level, false);
  assert.equal(get(LSR), 0x60);
  assert.equal(uart.receive(bytesOf("b")), 1);
  assert.equal(get(RBR), 0x62);
  assert.equal(rooms(), 1, "nothing was turned away this time");
});

test("the FIFO takes sixteen; below the trigger level the time-out interrupt stands for the data interrupt", () => {
  const { uart, get, open, irq, rooms } = rig();
  open(0x01, 0x81);
  assert.equal(uart.receive(new Uint8Array(7)), 7);
  assert.equal(get(IIR), 0xcc);
  assert.equal(uart.receive(new Uint8Array(1)), 1);
  assert.equal(get(IIR), 0xc4);
  assert.equal(uart.receive(new Uint8Array(20)), 8);
  for (let i = 0; i < 9; i++) get(RBR);
  assert.equal(get(IIR), 0xcc);
  for (let i = 0; i < 6; i++) get(RBR);
  assert.equal(rooms(), 0);
  assert.equal(irq.level, true);
  get(RBR);
  assert.equal(rooms(), 1);
  assert.equal(irq.level, false);
});

test("resetting the receive FIFO empties it", () => {
  const { uart, get, set, open, irq } = rig();
  open(0x01, 0x01);
  uart.receive(bytesOf("xyz"));
  set(FCR, 0x03);
  assert.equal(get(LSR), 0x60);
  assert.equal(irq.level, false);
});

test("enabling the transmitter interrupt raises it; reading IIR takes it back, writing THR raises it anew", () => {
  const { get, set, open, irq } = rig();
  open(0x02);
  assert.equal(irq.level, true);
  assert.equal(get(IIR), 0x02);
  assert.equal(irq.level, false);
  assert.equal(get(IIR), 0x01);
  set(RBR, 0x41);
  assert.equal(irq.level, true);
  const rises = irq.rises;
  set(RBR, 0x42);
  assert.equal(irq.rises, rises + 1, "each write is a new edge, also where IIR was not read");
  set(IER, 0x00);
  assert.equal(irq.level, false);
  set(IER, 0x02);
  assert.equal(get(IIR), 0x02);
  set(IER, 0x02);
  assert.equal(get(IIR), 0x01, "it was enabled already");
});

test("interrupts come in order of priority: line status, data, transmitter, modem", () => {
  const { uart, get, open } = rig();
  open(0x0f, 0x01);
  uart.setModemInputs({ dcd: false });
  uart.receiveBreak();
  assert.equal(get(IIR), 0xc6);
  assert.equal(get(LSR), 0xf1, "break, and an error in the FIFO");
  assert.equal(get(LSR), 0x61);
  assert.equal(get(IIR), 0xc4);
  assert.equal(get(RBR), 0x00);
  assert.equal(get(IIR), 0xc2);
  assert.equal(get(IIR), 0xc0);
  assert.equal(get(MSR), 0x38);
  assert.equal(get(IIR), 0xc1);
});

test("modem inputs show in MSR with their deltas until it is read; only the end of a ring counts", () => {
  const { uart, get } = rig();
  assert.equal(get(MSR), 0xb0);
  uart.setModemInputs({ cts: false, ri: true });
  assert.equal(get(MSR), 0xe1);
  assert.equal(get(MSR), 0xe0);
  uart.setModemInputs({ ri: false });
  assert.equal(get(MSR), 0xa4);
});

test("OUT2 gates the interrupt line", () => {
  const { get, set, irq } = rig();
  set(IER, 0x02);
  assert.equal(irq.level, false);
  set(MCR, 0x08);
  assert.equal(irq.level, true);
  assert.equal(get(IIR), 0x02);
});

test("loopback sends to the receiver and the modem outputs to the modem inputs", () => {
  const { uart, get, set, sent, rooms } = rig();
  get(MSR);
  set(MCR, 0x1a);
  assert.equal(get(MSR) & 0xf0, 0x90, "RTS on CTS, OUT2 on DCD: what Linux looks for");
  set(MCR, 0x15);
  assert.equal(get(MSR) & 0xf0, 0x60);
  set(RBR, 0x5a);
  assert.deepEqual(sent, []);
  assert.equal(get(LSR), 0x61);
  assert.equal(get(RBR), 0x5a);
  assert.equal(uart.receive(bytesOf("a")), 0, "the line is cut off");
  set(MCR, 0x00);
  assert.equal(rooms(), 1);
  assert.equal(get(MSR) & 0xf0, 0xb0);
});

test("a full receiver overruns: the FIFO keeps what it has, the single register is overwritten", () => {
  const { get, set } = rig();
  set(FCR, 0x01);
  set(MCR, 0x10);
  for (let i = 0; i < 18; i++) set(RBR, i);
  assert.equal(get(LSR), 0x63);
  assert.equal(get(LSR), 0x61);
  for (let i = 0; i < 16; i++) assert.equal(get(RBR), i);
  assert.equal(get(LSR), 0x60);
  set(FCR, 0x00);
  set(RBR, 1);
  set(RBR, 2);
  assert.equal(get(LSR), 0x63);
  assert.equal(get(RBR), 2);
});

test("Linux's 8250 driver finds a 16550A without a transmitter-interrupt bug", () => {
  const { get, set } = rig();
  // autoconfig: IER answers, loopback works
  set(IER, 0x00);
  assert.equal(get(IER) & 0x0f, 0x00);
  set(IER, 0x0f);
  assert.equal(get(IER) & 0x0f, 0x0f);
  set(IER, 0x00);
  set(MCR, 0x10 | 0x0a);
  assert.equal(get(MSR) & 0xf0, 0x90);
  set(MCR, 0x00);
  // a 16650 or later would answer 0 in EFR
  set(LCR, 0xbf);
  set(IIR, 0x00);
  set(LCR, 0x00);
  set(FCR, 0x01);
  assert.equal(get(IIR) >> 6, 3);
  set(LCR, 0xbf);
  assert.notEqual(get(2), 0);
  set(LCR, 0x00);
  // autoconfig_16550a: no UUE bit in IER as on XScale
  set(IER, 0x40);
  assert.equal(get(IER) & 0x40, 0);
  // startup: the THRE test
  set(FCR, 0x07);
  set(MCR, 0x08);
  set(IER, 0x02);
  assert.equal(get(IIR) & 0x0f, 0x02);
  set(IER, 0x00);
  set(IER, 0x02);
  assert.equal(get(IIR) & 0x0f, 0x02);
});

test("an interrupt-driven writer gets an edge for each FIFO's worth it writes", () => {
  const { get, set, open, irq, sent } = rig();
  open(0x02, 0x01);
  const text = bytesOf("the quick brown fox jumps over the lazy dog and so on and on");
  let at = 0;
  while (irq.level) {
    assert.equal(get(IIR), 0xc2);
    if (at === text.length) set(IER, 0x00);
    else for (let n = 0; n < 16 && at < text.length; n++) set(RBR, text[at++]!);
  }
  assert.deepEqual(sent, [...text]);
});

test("a restored UART interrupts and gives its characters", () => {
  const { uart, open } = rig();
  open(0x01, 0x01);
  uart.receive(bytesOf("hi"));
  const irq = new ProbeLine();
  const copy = new Ns16550({ port: BASE }, { irq, sink: { write: () => {} } });
  Object.assign(copy.state, structuredClone(uart.state));
  copy.restored();
  assert.equal(irq.level, true);
  assert.equal(copy.readPort(BASE, 1), 0x68);
});

test("reset empties the receiver and lets a waiting host know", () => {
  const { uart, rooms, open, irq } = rig();
  open(0x01, 0x01);
  uart.receive(new Uint8Array(40));
  uart.reset();
  assert.equal(irq.level, false);
  assert.equal(rooms(), 1);
});
