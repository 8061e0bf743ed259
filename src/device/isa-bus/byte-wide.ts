/**
 * Ports that are one byte wide. The ISA bus splits a wider access to an 8-bit device (one that does not
 * assert IOCS16#) into byte cycles at consecutive ports, lowest first.
 *
 * @spec ISA Bus Specification (IEEE P996), "Data bus width conversion"
 */
import type { AccessSize, PortDevice } from "../../machine/device.ts";
import { readPieces, writePieces } from "../../machine/pieces.ts";

/** What a port reads as where no device drives the data bus. */
export const FLOATING_BYTE = 0xff;

/** A port device whose registers are single bytes; a port that is not its own must read as `FLOATING_BYTE`. */
export abstract class ByteWidePorts implements PortDevice {
  protected abstract readByte(port: number): number;
  protected abstract writeByte(port: number, value: number): void;

  readPort(port: number, size: AccessSize): number {
    return readPieces(port, size, 1, (each) => this.readByte(each));
  }

  writePort(port: number, size: AccessSize, value: number): void {
    writePieces(port, size, 1, value, (each, rest) => this.writeByte(each, rest & 0xff));
  }
}
