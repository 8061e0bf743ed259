/**
 * Which frames the controller takes.
 *
 * @spec 317453 §3.2.1 "Packet Address Filtering", §13.4.22 RCTL, §13.5 "Filter Registers"
 */
import { get16 } from "./offload.ts";
import { Rah, Rctl, RECEIVE_ADDRESSES, Register } from "./registers.ts";
import { isBroadcast, isGroup } from "./statistics.ts";

/** How far RCTL.MO shifts the address's upper 16 bits, of which 12 are looked up. */
const MULTICAST_SHIFT = [4, 3, 2, 0];
const ASEL_SOURCE = Rah.pack({ asel: 1 });

/** "inexact" where a multicast address may be another's that the same bit of the table stands for. */
export type Acceptance = "exact" | "inexact" | "refused";

export function filterFrame(registers: Uint32Array, frame: Uint8Array): Acceptance {
  const rctl = registers[Register.rctl / 4]!;
  if ((rctl & Rctl.mask.vfe) !== 0 && isTagged(registers, frame) && !hasVlan(registers, frame)) return "refused";
  if (matchesAddress(registers, frame)) return "exact";
  if (isBroadcast(frame)) return (rctl & Rctl.mask.bam) !== 0 ? "exact" : "refused";
  if (!isGroup(frame)) return (rctl & Rctl.mask.upe) !== 0 ? "exact" : "refused";
  if ((rctl & Rctl.mask.mpe) !== 0) return "exact";
  return isInMulticastTable(registers, frame) ? "inexact" : "refused";
}

/** Whether a frame's type is VET's. */
export const isTagged = (registers: Uint32Array, frame: Uint8Array): boolean =>
  get16(frame, 12) === registers[Register.vet / 4];

function hasVlan(registers: Uint32Array, frame: Uint8Array): boolean {
  const vlan = get16(frame, 14) & 0xfff;
  return ((registers[Register.vfta / 4 + (vlan >>> 5)]! >>> (vlan & 31)) & 1) !== 0;
}

function matchesAddress(registers: Uint32Array, frame: Uint8Array): boolean {
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    const high = registers[Register.rah / 4 + 2 * i]!;
    if ((high & Rah.mask.av) === 0) continue;
    const low = registers[Register.ral / 4 + 2 * i]!;
    const at = (high & Rah.mask.asel) === ASEL_SOURCE ? 6 : 0;
    const address = high & Rah.mask.address;
    if (word(frame, at) + word(frame, at + 2) * 2 ** 16 === low && word(frame, at + 4) === address) return true;
  }
  return false;
}

/** Addresses are in registers with their first byte lowest. */
const word = (frame: Uint8Array, at: number): number => frame[at]! | (frame[at + 1]! << 8);

function isInMulticastTable(registers: Uint32Array, frame: Uint8Array): boolean {
  const { mo } = Rctl(registers[Register.rctl / 4]!);
  const hash = (word(frame, 4) >>> MULTICAST_SHIFT[mo]!) & 0xfff;
  return ((registers[Register.mta / 4 + (hash >>> 5)]! >>> (hash & 31)) & 1) !== 0;
}
