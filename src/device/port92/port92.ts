/**
 * System control port A at port 0x92: the PS/2's fast way to the A20 gate and to a processor reset.
 *
 * @spec IBM Personal System/2 Hardware Interface Technical Reference, "System Control Port A"; Intel 82371AB
 * (PIIX4) datasheet (290562), §8.5.2
 *
 * Not modelled: the watchdog and the security lock (their bits read as zero).
 */
import { bits } from "../../bits/fields.ts";
import type { Device, SignalLine } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";

export const SYSTEM_CONTROL_PORT_A = 0x92;

export const SystemControlA = bits({ fastInit: 0, fastA20: 1, hddLed: [6, 7] });
const WRITABLE = SystemControlA.mask.fastInit | SystemControlA.mask.fastA20 | SystemControlA.mask.hddLed;

export interface Port92State {
  control: number;
}

export interface Port92Wiring {
  /** The chipset lets address bit 20 through where this or the keyboard controller's gate is high. */
  readonly a20: SignalLine;
  /** FAST_INIT went from 0 to 1: a processor reset (INIT). Called at the end of the access. */
  readonly onReset: () => void;
}

export class Port92 extends ByteWidePorts implements Device<Port92State> {
  readonly state: Port92State = { control: 0 };
  readonly #a20: SignalLine;
  readonly #onReset: () => void;

  constructor({ a20, onReset }: Port92Wiring) {
    super();
    this.#a20 = a20;
    this.#onReset = onReset;
  }

  reset(): void {
    this.state.control = 0;
    this.restored();
  }

  restored(): void {
    this.#a20.set(SystemControlA(this.state.control).fastA20);
  }

  protected readByte(port: number): number {
    return port === SYSTEM_CONTROL_PORT_A ? this.state.control : FLOATING_BYTE;
  }

  protected writeByte(port: number, value: number): void {
    if (port !== SYSTEM_CONTROL_PORT_A) return;
    const risen = value & ~this.state.control;
    this.state.control = value & WRITABLE;
    this.restored();
    if (risen & SystemControlA.mask.fastInit) this.#onReset();
  }
}
