import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteWidePorts } from "./byte-wide.ts";

class FourBytes extends ByteWidePorts {
  readonly bytes = [0x11, 0x22, 0x33, 0xf4];
  readonly writes: [number, number][] = [];
  protected readByte(port: number): number {
    return this.bytes[port] ?? 0xff;
  }
  protected writeByte(port: number, value: number): void {
    this.writes.push([port, value]);
  }
}

test("a wide read gathers consecutive ports, lowest port in the lowest byte", () => {
  const ports = new FourBytes();
  assert.equal(ports.readPort(0, 4), 0xf4332211);
  assert.equal(ports.readPort(1, 2), 0x3322);
  assert.equal(ports.readPort(3, 2), 0xfff4);
});

test("a wide write is byte cycles in ascending order", () => {
  const ports = new FourBytes();
  ports.writePort(0x70, 2, 0x8b0a);
  ports.writePort(2, 4, 0xddccbbaa);
  assert.deepEqual(ports.writes, [
    [0x70, 0x0a],
    [0x71, 0x8b],
    [2, 0xaa],
    [3, 0xbb],
    [4, 0xcc],
    [5, 0xdd],
  ]);
});
