/**
 * The debug-exit port of QEMU's isa-debug-exit device: a test program ends its machine with a status. At port 0xF4,
 * where test suites of operating systems put it.
 *
 * @spec QEMU hw/misc/debugexit.c: writing v ends with status (v << 1) | 1, so that 0 is never a guest's
 */
import type { AccessSize, Device, PortDevice } from "../../machine/device.ts";

export const DEBUG_EXIT_PORT = 0xf4;

export interface DebugExitEvent {
  readonly kind: "debug-exit";
  /** (value << 1) | 1, unsigned 32 bits; a process can pass on its low eight. */
  readonly status: number;
}

export interface IsaDebugExitWiring {
  readonly onExit: (event: DebugExitEvent) => void;
}

export class IsaDebugExit implements Device<Record<string, never>>, PortDevice {
  readonly state: Record<string, never> = {};
  readonly #onExit: (event: DebugExitEvent) => void;

  constructor({ onExit }: IsaDebugExitWiring) {
    this.#onExit = onExit;
  }

  reset(): void {}

  readPort(_port: number, _size: AccessSize): number {
    return 0;
  }

  writePort(_port: number, _size: AccessSize, value: number): void {
    this.#onExit({ kind: "debug-exit", status: ((value << 1) | 1) >>> 0 });
  }
}
