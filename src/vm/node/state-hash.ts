/** A fingerprint of a machine's state, to compare runs that must be the same. */
import { createHash } from "node:crypto";
import { fieldNames, GPR, SEGMENT_SIZE, SEGMENTS, XMM } from "../../cpu/state.ts";
import type { Machine } from "../machine.ts";

/** Bytes that are hashed at once: more than 2 GiB cannot be. */
const PIECE = 64 * 1024 * 1024;

/** SHA-256 over general, segment, XMM and control registers and all of RAM, in hex. */
export function stateHash({ processor, ram }: Machine): string {
  const { registers } = processor;
  const hash = createHash("sha256");
  const area = (offset: number, size: number) =>
    hash.update(registers.bytes.slice(registers.base + offset, registers.base + offset + size));
  area(GPR, 16 * 8);
  area(SEGMENTS, 8 * SEGMENT_SIZE);
  area(XMM, 16 * 32);
  for (const name of fieldNames()) {
    // What the machinery keeps for itself is no state of the guest.
    if (INTERNAL.has(name)) continue;
    hash.update(`${name}=${registers.get(name)};`);
  }
  for (let at = 0; at < ram.size; at += PIECE) hash.update(ram.bytes.subarray(at, at + PIECE));
  return hash.digest("hex");
}

const INTERNAL = new Set([
  "context",
  "tlb",
  "budget",
  "budgetAside",
  "watching",
  "exit",
  "pc",
  "faultVector",
  "faultCode",
  "faultAddress",
  "effort",
  "observed",
]);
