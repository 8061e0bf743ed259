import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBus } from "../../machine/memory-bus.ts";
import { PortBus } from "../../machine/port-bus.ts";
import { ManualTime } from "../../machine/testing/rig.ts";
import { rig } from "./testing/vga-rig.ts";
import { Vga } from "./vga.ts";

const MILLISECOND = 1e6;

test("the attribute controller's port takes index and data in turn, and input status 1 starts it over", () => {
  const { ports, out } = rig();
  out(0x3c2, 0x63);
  ports.read(0x3da, 1);
  out(0x3c0, 0x05);
  out(0x3c0, 0x2a);
  assert.equal(ports.read(0x3c0, 1), 0x05);
  assert.equal(ports.read(0x3c1, 1), 0x2a);
  out(0x3c0, 0x06);
  ports.read(0x3da, 1);
  out(0x3c0, 0x10);
  out(0x3c0, 0xff);
  out(0x3c0, 0x10);
  assert.equal(ports.read(0x3c1, 1), 0xef, "bit 4 of the mode does not exist");
});

test("the DAC counts through red, green and blue and on to the next colour", () => {
  const { ports, out } = rig();
  out(0x3c8, 0x10);
  for (const component of [1, 2, 3, 0xff, 5, 6]) out(0x3c9, component);
  assert.equal(ports.read(0x3c8, 1), 0x12);
  assert.equal(ports.read(0x3c7, 1), 0);
  out(0x3c7, 0x10);
  assert.equal(ports.read(0x3c7, 1), 3);
  assert.deepEqual(
    Array.from({ length: 6 }, () => ports.read(0x3c9, 1)),
    [1, 2, 3, 0x3f, 5, 6],
  );
});

test("the DAC has 8 bits where the DISPI registers say so", () => {
  const { ports, out, dispi } = rig();
  dispi(4, 0x21);
  out(0x3c8, 0);
  out(0x3c9, 0xfe);
  out(0x3c7, 0);
  assert.equal(ports.read(0x3c9, 1), 0xfe);
});

test("the CRTC is at 3D4h or 3B4h as the miscellaneous output register says", () => {
  const { ports, out } = rig();
  out(0x3c2, 0x67);
  ports.write(0x3d4, 2, 0x550f);
  assert.equal(ports.read(0x3d5, 1), 0x55);
  assert.equal(ports.read(0x3b5, 1), 0xff);
  out(0x3c2, 0x66);
  assert.equal(ports.read(0x3b5, 1), 0x55);
  assert.equal(ports.read(0x3d5, 1), 0xff);
  assert.equal(ports.read(0x3cc, 1), 0x66);
});

test("CRTC registers 0 to 7 are locked by bit 7 of 11h, but for one bit of line compare", () => {
  const { out, crtc, vga } = rig();
  out(0x3c2, 0x67);
  crtc(0x00, 0x5f);
  crtc(0x11, 0x80);
  crtc(0x00, 0x11);
  crtc(0x07, 0xff);
  crtc(0x13, 0x28);
  assert.deepEqual([vga.state.crtc[0], vga.state.crtc[7], vga.state.crtc[0x13]], [0x5f, 0x10, 0x28]);
  crtc(0x11, 0x00);
  crtc(0x00, 0x2d);
  assert.equal(vga.state.crtc[0], 0x2d);
});

test("input status 1 shows retraces 70 times a second, and the display enabled in between", () => {
  const { ports, out, crtc, sequencer, time } = rig();
  out(0x3c2, 0x67);
  const text = [0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x0e, 0x8f];
  text.forEach((value, index) => void crtc(index, value));
  sequencer(1, 0x00);
  let retraces = 0;
  let before = 0;
  let enabled = 0;
  const samples = 100_000;
  for (let i = 0; i < samples; i++) {
    const status = ports.read(0x3da, 1);
    if (status & 8 && !before) retraces++;
    if (status & 8) assert.equal(status & 1, 1, "nothing is displayed in a vertical retrace");
    before = status & 8;
    if (!(status & 1)) enabled++;
    time.advance((1000 * MILLISECOND) / samples);
  }
  assert.equal(retraces, 70);
  assert.ok(Math.abs(enabled / samples - (80 / 100) * (400 / 449)) < 0.01);
});

test("DISPI registers: identity, memory, capabilities, and values that cannot be are brought to ones that can", () => {
  const { dispi, readDispi } = rig();
  assert.equal(readDispi(0), 0xb0c5);
  dispi(0, 0xb0c2);
  assert.equal(readDispi(0), 0xb0c2);
  dispi(0, 0x1234);
  assert.equal(readDispi(0), 0xb0c2);
  assert.equal(readDispi(0xa), 256);
  dispi(4, 0x02);
  assert.deepEqual([readDispi(1), readDispi(2), readDispi(3)], [2560, 1600, 32]);
  dispi(4, 0);
  dispi(1, 803);
  dispi(2, 0xffff);
  dispi(3, 17);
  dispi(4, 0x41);
  assert.deepEqual([readDispi(1), readDispi(2), readDispi(3)], [800, 1600, 8]);
  assert.equal(readDispi(6), 800);
  assert.equal(readDispi(7), Math.floor((16 << 20) / 800));
  dispi(6, 1024);
  dispi(8, 2000);
  assert.equal(readDispi(8), 224, "the picture stays within the virtual width");
  assert.equal(readDispi(0x30), 0);
});

test("enabling a linear mode clears the memory that it shows, unless told not to", () => {
  const { dispi, bytes } = rig();
  bytes.fill(0xee);
  dispi(1, 640);
  dispi(2, 480);
  dispi(3, 16);
  dispi(4, 0xc1);
  assert.equal(bytes[0], 0xee);
  dispi(4, 0);
  dispi(4, 0x41);
  assert.equal(bytes[640 * 480 * 2 - 1], 0);
  assert.equal(bytes[640 * 480 * 2], 0xee);
});

/** The adapter at addresses that software chose. */
function pciRig() {
  const ports = new PortBus();
  const memory = new MemoryBus();
  const bytes = new Uint8Array(16 << 20);
  const placed: (number | undefined)[] = [];
  const vga = new Vga(bytes, {
    clock: new ManualTime(),
    ports,
    memory,
    framebufferPlaced: (base) => placed.push(base),
  });
  vga.pci.writeConfig(0x10, 4, 0xe0000000);
  vga.pci.writeConfig(0x18, 4, 0xfebf0000);
  vga.pci.writeConfig(0x04, 2, 0x0003);
  return { vga, ports, memory, bytes, placed };
}

test("as a PCI function it is QEMU's display adapter", () => {
  const { vga, placed, memory, bytes } = pciRig();
  assert.equal(vga.pci.readConfig(0x00, 4), 0x11111234);
  assert.equal(vga.pci.readConfig(0x08, 4) >>> 8, 0x030000);
  assert.equal(vga.pci.readConfig(0x2c, 4), 0x11001af4);
  assert.equal(vga.pci.readConfig(0x10, 4), 0xe0000008);
  vga.pci.writeConfig(0x10, 4, 0xffffffff);
  vga.pci.writeConfig(0x18, 4, 0xffffffff);
  assert.equal(vga.pci.readConfig(0x10, 4), 0xff000008, "16 MiB");
  assert.equal(vga.pci.readConfig(0x18, 4), 0xfffff000, "4 KiB");
  vga.pci.writeConfig(0x10, 4, 0xe0000000);
  assert.deepEqual(placed, [0xe0000000, undefined, 0xe0000000]);
  memory.write(0xe0123454, 4, 0xdeadbeef);
  assert.deepEqual([...bytes.subarray(0x123454, 0x123458)], [0xef, 0xbe, 0xad, 0xde]);
  assert.equal(memory.read(0xe0123456, 2), 0xdead);
});

test("BAR 2 has EDID, the VGA's ports, the DISPI registers, and QEMU's byte order", () => {
  const { vga, memory } = pciRig();
  const at = (offset: number) => 0xfebf0000 + offset;
  const edid = Array.from({ length: 128 }, (_, i) => memory.read(at(i), 1));
  assert.deepEqual(edid.slice(0, 8), [0, 255, 255, 255, 255, 255, 255, 0]);
  assert.equal(edid.reduce((sum, byte) => sum + byte, 0) % 256, 0, "checksum");
  assert.equal(edid[126], 0, "no extensions");
  assert.equal((edid[54]! | (edid[55]! << 8)) * 10_000, 65e6, "the preferred mode's clock");
  memory.write(at(0x502), 2, 1024);
  memory.write(at(0x504), 2, 768);
  memory.write(at(0x506), 2, 32);
  memory.write(at(0x508), 2, 0x41);
  memory.write(at(0x400), 1, 0x20);
  assert.deepEqual(vga.display.size, { width: 1024, height: 768 });
  assert.equal(memory.read(at(0x500), 2), 0xb0c5);
  assert.equal(memory.read(at(0x500), 4), (1024 * 0x10000 + 0xb0c5) >>> 0);
  memory.write(at(0x402), 1, 0x67);
  assert.equal(memory.read(at(0x40c), 1), 0x67, "miscellaneous output");
  assert.equal(memory.read(at(0x604), 4), 0x1e1e1e1e);
  assert.equal(memory.read(at(0x600), 4), 8);
});
