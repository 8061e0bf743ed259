/** @spec Intel SDM vol. 3, "Determining IPI Destination", "Logical Destination Mode in x2APIC Mode". */
import type { InterruptMessage } from "../../machine/apic-bus.ts";

const FLAT_MODEL = 0xf;

/** LDR of an x2APIC: cluster number in the upper half, one of 16 bits in the lower. */
export function x2apicLogicalId(id: number): number {
  return (((id >>> 4) << 16) | (1 << (id & 0xf))) >>> 0;
}

/** Whether a message is for the x2APIC with this ID. */
export function addressesX2apic({ destination, broadcast, logical }: InterruptMessage, id: number): boolean {
  if (broadcast) return true;
  if (!logical) return destination === id;
  const own = x2apicLogicalId(id);
  return own >>> 16 === destination >>> 16 && (own & destination & 0xffff) !== 0;
}

/** Whether a message is for the xAPIC with this ID, LDR and DFR. */
export function addressesXapic(message: InterruptMessage, id: number, ldr: number, dfr: number): boolean {
  const { destination, broadcast, logical } = message;
  if (broadcast) return true;
  if (destination > 0xff) return false;
  if (!logical) return destination === (id & 0xff);
  const own = ldr >>> 24;
  if (dfr >>> 28 === FLAT_MODEL) return (own & destination) !== 0;
  // The cluster model; a destination cluster of all ones is every cluster.
  const cluster = destination >>> 4;
  return (cluster === 0xf || cluster === own >>> 4) && (own & destination & 0xf) !== 0;
}
