/** A board with host bridge, south bridge and PCI bus, driven through ports CF8h and CFCh. */
import type { AccessSize, MemoryDevice, PortDevice } from "../../../machine/device.ts";
import { MemoryBus } from "../../../machine/memory-bus.ts";
import { PortBus } from "../../../machine/port-bus.ts";
import { ProbeLine } from "../../../machine/testing/rig.ts";
import { HostBridge, type ShadowArea } from "../i440fx.ts";
import { PciBus } from "../pci-bus.ts";
import { Piix3IsaBridge } from "../piix3-isa-bridge.ts";
import { Piix4PmFunction } from "../piix4-pm-function.ts";
import { PirqRouter } from "../pirq-router.ts";

/** Bytes behind a BAR, in port or memory space. */
export class Scratch implements PortDevice, MemoryDevice {
  readonly bytes: Uint8Array;
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }
  readMemory(offset: number, size: AccessSize): number {
    let value = 0;
    for (let at = size - 1; at >= 0; at--) value = value * 256 + (this.bytes[offset + at] ?? 0);
    return value;
  }
  writeMemory(offset: number, size: AccessSize, value: number): void {
    for (let at = 0; at < size; at++) this.bytes[offset + at] = value >>> (at * 8);
  }
  readPort(port: number, size: AccessSize): number {
    return this.readMemory(port, size);
  }
  writePort(port: number, size: AccessSize, value: number): void {
    this.writeMemory(port, size, value);
  }
}

export const SOUTH_BRIDGE_SLOT = 1;

export function rig() {
  const ports = new PortBus();
  const memory = new MemoryBus();
  const bus = new PciBus();
  const irqs = Array.from({ length: 16 }, () => new ProbeLine());
  const pirq = new PirqRouter({ isaIrqs: irqs });
  const resets: string[] = [];
  const shadows: ShadowArea[] = [];
  const messages: [number, number][] = [];
  const msi = { send: (address: number, data: number) => void messages.push([address, data]) };
  const pmBlock = new Scratch(64);
  const buses = { ports, memory };
  const isa = new Piix3IsaBridge({
    ...buses,
    bus,
    slot: SOUTH_BRIDGE_SLOT,
    pirq,
    resetRequested: (kind) => void resets.push(kind),
  });
  const pm = new Piix4PmFunction({ ...buses, bus, slot: SOUTH_BRIDGE_SLOT, block: pmBlock });
  const shadow = (area: ShadowArea) => void shadows.push(area);
  const host = new HostBridge({ ...buses, bus, shadow, resetControl: isa });
  const select = (slot: number, fn: number, offset: number) => {
    ports.write(0xcf8, 4, (0x80000000 | (slot << 11) | (fn << 8) | (offset & 0xfc)) >>> 0);
    return 0xcfc + (offset & 3);
  };
  const read = (slot: number, fn: number, offset: number, size: AccessSize) =>
    ports.read(select(slot, fn, offset), size);
  const write = (slot: number, fn: number, offset: number, size: AccessSize, value: number) =>
    ports.write(select(slot, fn, offset), size, value >>> 0);
  return { ports, memory, bus, irqs, pirq, resets, shadows, messages, msi, pmBlock, isa, pm, host, read, write, buses };
}
