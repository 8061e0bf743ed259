import assert from "node:assert/strict";
import { test } from "node:test";
import { ProbeLine } from "../../machine/testing/rig.ts";
import { I8042 } from "./i8042.ts";
import { Ps2Keyboard } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";

function rig() {
  const irq1 = new ProbeLine();
  const irq12 = new ProbeLine();
  const a20 = new ProbeLine();
  let resets = 0;
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  const kbc = new I8042({ keyboard, mouse, irq1, irq12, a20, onReset: () => resets++ });
  const status = () => kbc.readPort(0x64, 1);
  const data = () => kbc.readPort(0x60, 1);
  const command = (value: number, ...bytes: number[]) => {
    kbc.writePort(0x64, 1, value);
    for (const byte of bytes) kbc.writePort(0x60, 1, byte);
  };
  const send = (value: number) => kbc.writePort(0x60, 1, value);
  /** Everything that is in the output buffer and behind it; bytes from the mouse as negative numbers. */
  const drain = () => {
    const bytes: number[] = [];
    while (status() & 1) bytes.push(status() & 0x20 ? -data() : data());
    return bytes;
  };
  return { kbc, keyboard, mouse, irq1, irq12, a20, resets: () => resets, status, data, command, send, drain };
}

test("self test and interface tests pass", () => {
  const { command, drain, status } = rig();
  command(0xaa);
  assert.deepEqual(drain(), [0x55]);
  assert.equal(status() & 0x04, 0x04, "the system flag is set");
  command(0xab);
  assert.deepEqual(drain(), [0x00]);
  command(0xa9);
  assert.deepEqual(drain(), [0x00]);
  command(0xa4);
  assert.deepEqual(drain(), [0xf1]);
});

test("status tells a command from data", () => {
  const { command, send, status } = rig();
  command(0xae);
  assert.equal(status() & 0x0a, 0x08);
  send(0xf4);
  assert.equal(status() & 0x0a, 0x00);
});

test("the command byte and the controller's RAM can be written and read", () => {
  const { command, drain } = rig();
  command(0x60, 0x47);
  command(0x20);
  assert.deepEqual(drain(), [0x47]);
  command(0x75, 0x5a);
  command(0x35);
  assert.deepEqual(drain(), [0x5a]);
});

test("a key raises IRQ 1 with its set 1 code, one edge for each byte", () => {
  const { keyboard, irq1, data, status } = rig();
  keyboard.key("ArrowUp", true);
  keyboard.key("ArrowUp", false);
  assert.equal(irq1.level, true);
  assert.deepEqual([data(), data(), data(), data()], [0xe0, 0x48, 0xe0, 0xc8]);
  assert.equal(irq1.rises, 4);
  assert.equal(irq1.level, false);
  assert.equal(status() & 1, 0);
  assert.equal(data(), 0xc8, "an empty buffer shows the last byte");
});

test("without translation the keyboard's own codes arrive", () => {
  const { keyboard, command, drain } = rig();
  command(0x60, 0x05);
  keyboard.key("KeyA", true);
  keyboard.key("KeyA", false);
  assert.deepEqual(drain(), [0x1c, 0xf0, 0x1c]);
});

test("IRQ 1 waits for its enable in the command byte", () => {
  const { keyboard, command, irq1 } = rig();
  command(0x60, 0x44);
  keyboard.key("KeyA", true);
  assert.equal(irq1.level, false);
  command(0x60, 0x45);
  assert.equal(irq1.level, true);
});

test("a disabled keyboard keeps its bytes until it is enabled", () => {
  const { keyboard, command, irq1, drain } = rig();
  command(0xad);
  keyboard.key("KeyA", true);
  assert.deepEqual(drain(), []);
  assert.equal(irq1.level, false);
  command(0xae);
  assert.equal(irq1.level, true);
  assert.deepEqual(drain(), [0x1e]);
});

test("an answer of the controller comes before keys that wait", () => {
  const { keyboard, command, drain } = rig();
  command(0xad);
  keyboard.key("KeyA", true);
  command(0x20);
  command(0xae);
  assert.deepEqual(drain(), [0x75, 0x1e], "the command byte as it was when asked");
});

test("commands reach the keyboard and its answers pass the translation", () => {
  const { send, drain } = rig();
  send(0xf2);
  assert.deepEqual(drain(), [0xfa, 0xab, 0x41]);
  send(0xff);
  assert.deepEqual(drain(), [0xfa, 0xaa]);
  send(0xf0);
  send(0x00);
  assert.deepEqual(drain(), [0xfa, 0xfa, 0x41], "set 2, translated");
});

test("D4 sends to the mouse, whose bytes come with the auxiliary bit and IRQ 12", () => {
  const { command, drain, irq1, irq12, mouse } = rig();
  command(0x60, 0x47);
  command(0xd4, 0xf4);
  assert.equal(irq12.level, true);
  assert.equal(irq1.level, false);
  assert.deepEqual(drain(), [-0xfa]);
  mouse.move({ dx: 3, dy: -2 });
  assert.equal(irq12.rises, 2);
  assert.deepEqual(drain(), [-0x08, -3, -2]);
  assert.equal(irq12.rises, 4);
  assert.equal(irq12.level, false);
});

test("the auxiliary port can be disabled and shows it in the command byte", () => {
  const { command, drain, mouse } = rig();
  command(0xa8);
  command(0xd4, 0xf4);
  drain();
  command(0xa7);
  mouse.move({ dx: 1 });
  command(0x20);
  assert.deepEqual(drain(), [0x65]);
  command(0xa8);
  assert.deepEqual(drain(), [-0x08, -1, -0]);
});

test("D2 and D3 put a byte in the output buffer as if it came from keyboard and mouse", () => {
  const { command, drain, irq1, irq12 } = rig();
  command(0x60, 0x47);
  command(0xd2, 0x1c);
  assert.equal(irq1.level, true);
  assert.deepEqual(drain(), [0x1c], "not translated");
  command(0xd3, 0x77);
  assert.equal(irq12.level, true);
  assert.deepEqual(drain(), [-0x77]);
});

test("the output port drives A20 and reset", () => {
  const { command, drain, a20, resets } = rig();
  assert.equal(a20.level, true);
  command(0xd1, 0xdd);
  assert.equal(a20.level, false);
  command(0xd0);
  assert.deepEqual(drain(), [0xc1]);
  command(0xdf);
  assert.equal(a20.level, true);
  command(0xdd);
  assert.equal(a20.level, false);
  command(0xd1, 0xdf);
  assert.equal(a20.level, true);
  assert.equal(resets(), 0);
  command(0xd1, 0xde);
  assert.equal(resets(), 1);
});

test("FE pulses the reset line, FF pulses nothing", () => {
  const { command, resets } = rig();
  command(0xff);
  assert.equal(resets(), 0);
  command(0xfe);
  assert.equal(resets(), 1);
});

test("Linux's probe of the auxiliary port finds it: loop of 5A, disable and enable seen in the command byte", () => {
  const { command, drain } = rig();
  command(0x60, 0x74 & ~0x03);
  command(0xd3, 0x5a);
  assert.deepEqual(drain(), [-0x5a]);
  command(0xa8);
  command(0x20);
  assert.equal(drain()[0]! & 0x20, 0);
  command(0xa7);
  command(0x20);
  assert.equal(drain()[0]! & 0x20, 0x20);
});

test("a restored controller raises its lines again", () => {
  const { kbc, keyboard } = rig();
  keyboard.key("Enter", true);
  const irq1 = new ProbeLine();
  const a20 = new ProbeLine();
  const copy = new I8042({
    keyboard: new Ps2Keyboard(),
    mouse: new Ps2Mouse(),
    irq1,
    irq12: new ProbeLine(),
    a20,
    onReset: () => {},
  });
  Object.assign(copy.state, structuredClone(kbc.state));
  copy.restored();
  assert.equal(irq1.level, true);
  assert.equal(a20.level, true);
  assert.equal(copy.readPort(0x60, 1), 0x1c);
});
