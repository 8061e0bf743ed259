/**
 * Ports that are one byte wide. The ISA bus splits a wider access to an 8-bit device (one that does not
 * assert IOCS16#) into byte cycles at consecutive ports, lowest first.
 *
 * @spec ISA Bus Specification (IEEE P996), "Data bus width conversion"
 */
import type { AccessSize, PortDevice } from "../../machine/device.ts";

/** What a port reads as where no device drives the data bus. */
export const FLOATING_BYTE = 0xff;

/** A port device whose registers are single bytes; a port that is not its own must read as `FLOATING_BYTE`. */
export abstract class ByteWidePorts implements PortDevice {
  protected abstract readByte(port: number): number;
  protected abstract writeByte(port: number, value: number): void;

  readPort(port: number, size: AccessSize): number {
    if (size === 1) return this.readByte(port);
    let value = 0;
    for (let i = 0; i < size; i++) value += this.readByte(port + i) * 2 ** (8 * i);
    return value;
  }

  writePort(port: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.writeByte(port + i, (value >>> (8 * i)) & 0xff);
  }
}
