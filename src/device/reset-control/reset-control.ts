/**
 * Reset control register at port 0xCF9, in the middle of the PCI configuration address port: it is this
 * register for byte accesses only.
 *
 * @spec Intel 82371AB (PIIX4) datasheet (290562), §8.5.3 "RC - Reset Control Register"; bit 3 as in ICH and later
 */
import { bits } from "../../bits/fields.ts";
import type { AccessSize, Device, PortDevice } from "../../machine/device.ts";

export const RESET_CONTROL_PORT = 0xcf9;

export const ResetControl = bits({ systemReset: 1, resetCpu: 2, fullReset: 3 });
const WRITABLE = ResetControl.mask.systemReset | ResetControl.mask.fullReset;

/** Soft: the processor alone (INIT). Hard: processor and devices. Full: the power goes off and on again. */
export type ResetKind = "soft" | "hard" | "full";

export interface ResetControlState {
  control: number;
}

export interface ResetControlWiring {
  /** RST_CPU went from 0 to 1. Called at the end of the access. */
  readonly onReset: (kind: ResetKind) => void;
}

export class ResetControlRegister implements Device<ResetControlState>, PortDevice {
  readonly state: ResetControlState = { control: 0 };
  readonly #onReset: (kind: ResetKind) => void;

  constructor({ onReset }: ResetControlWiring) {
    this.#onReset = onReset;
  }

  reset(): void {
    this.state.control = 0;
  }

  readPort(_port: number, _size: AccessSize): number {
    return this.state.control;
  }

  writePort(_port: number, size: AccessSize, value: number): void {
    if (size !== 1) return;
    const { systemReset, resetCpu, fullReset } = ResetControl(value);
    // RST_CPU is not kept: the reset that it starts clears it, so that each write of 1 is a rising edge.
    this.state.control = value & WRITABLE;
    if (resetCpu) this.#onReset(fullReset ? "full" : systemReset ? "hard" : "soft");
  }
}
