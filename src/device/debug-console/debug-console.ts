/**
 * The debug console of QEMU and Bochs: one port, whose bytes SeaBIOS and OVMF write their logs to.
 *
 * @spec SeaBIOS docs/Debugging.md, port 402h; a read gives E9h, by which firmware finds that it is there
 */
import type { ByteSink, Device, PortDevice } from "../../machine/device.ts";

export const DEBUG_CONSOLE_PORT = 0x402;
const PRESENT = 0xe9;

export class DebugConsole implements Device<object>, PortDevice {
  readonly state = {};
  readonly #output: ByteSink;

  constructor({ output }: { readonly output: ByteSink }) {
    this.#output = output;
  }

  reset(): void {}

  readPort(): number {
    return PRESENT;
  }

  writePort(_port: number, _size: number, value: number): void {
    this.#output.write(Uint8Array.of(value & 0xff));
  }
}
