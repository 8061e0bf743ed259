/**
 * Rings that the guest fills: of commands and of transfers.
 * @spec xHCI 1.2, §4.9.2 "Transfer Ring Management", §4.9.3 "Command Ring Management", §4.11.5.1 "Link TRB"
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { TRB_SIZE, TrbControl, TrbType } from "./layout.ts";

export interface Ring {
  /** Guest-physical address of the next TRB. */
  dequeue: number;
  /** Cycle bit of TRBs that the guest has handed over. */
  cycle: number;
}

export interface Trb {
  readonly address: number;
  /** The parameter's halves. */
  readonly low: number;
  readonly high: number;
  readonly status: number;
  readonly control: number;
}

/** TRBs that may still be read: a guest's rings can be without an end. */
export interface Budget {
  left: number;
}

/** A ring that is not in RAM. */
export const NO_RAM = "no RAM";
export type NoRam = typeof NO_RAM;

/** TRBs of one transfer descriptor at the most. */
export const LONGEST_TD = 256;

export const addressOf = (low: number, high: number): number => low + high * 2 ** 32;
export const typeOf = ({ control }: Trb): number => TrbControl(control).type;

/** Takes the next TRB; undefined where there is none. Link TRBs are followed. */
export function takeTrb(ring: Ring, memory: GuestMemory, budget: Budget): Trb | NoRam | undefined {
  while (budget.left > 0) {
    budget.left--;
    const bytes = memory.view(guestPhysical(ring.dequeue), TRB_SIZE, "read");
    if (!bytes) return NO_RAM;
    const view = new DataView(bytes.buffer, bytes.byteOffset, TRB_SIZE);
    const [low, high, status, control] = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [
      number,
      number,
      number,
      number,
    ];
    const { cycle, type, toggleCycle } = TrbControl(control);
    if (Number(cycle) !== ring.cycle) return undefined;
    if (type !== TrbType.link) {
      const address = ring.dequeue;
      ring.dequeue += TRB_SIZE;
      return { address, low, high, status, control };
    }
    ring.dequeue = addressOf((low & ~0xf) >>> 0, high);
    if (toggleCycle) ring.cycle ^= 1;
  }
  return undefined;
}

/** The next transfer descriptor, and the ring behind it; undefined while the guest has not handed over all of it. */
export function peekTd(
  ring: Ring,
  memory: GuestMemory,
  budget: Budget,
): { trbs: Trb[]; after: Ring } | NoRam | undefined {
  const after = { ...ring };
  const trbs: Trb[] = [];
  // One that is longer ends here, chained to nothing, which is refused.
  while (trbs.length <= LONGEST_TD) {
    const trb = takeTrb(after, memory, budget);
    if (trb === undefined || trb === NO_RAM) return trb;
    trbs.push(trb);
    if (!TrbControl(trb.control).chain) break;
  }
  return { trbs, after };
}
