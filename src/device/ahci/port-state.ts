/** What an AHCI port keeps, and what it is connected to. */
import type { AsyncWork, GuestMemory } from "../../machine/device.ts";
import type { AtaDrive } from "../ata/ata-drive.ts";

export interface AhciPortState {
  clb: number;
  clbu: number;
  fb: number;
  fbu: number;
  is: number;
  ie: number;
  cmd: number;
  tfd: number;
  sig: number;
  ssts: number;
  sctl: number;
  serr: number;
  sact: number;
  ci: number;
  /** Slots of commands that were begun and have not ended, in this order. */
  active: number[];
  /** An error stopped the command list. */
  halted: boolean;
  /** The device's first register FIS waits for a place to be received in. */
  signatureWaits: boolean;
}

export interface AhciPortWiring {
  /** Memory as the function may reach it now. */
  readonly memory: GuestMemory;
  readonly work: AsyncWork;
  readonly drive: AtaDrive | undefined;
  /** PxIS or PxIE changed. */
  changed(): void;
  ioError?(error: Error): void;
}
