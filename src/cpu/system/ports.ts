/** Port accesses of the processor, and who may make them. @spec SDM 1 19.5 */
import { VECTOR } from "../../isa/semantics.ts";
import { TR } from "../state.ts";
import { linear } from "./descriptors.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { ATTRIBUTE } from "./mode.ts";
import type { SystemContext } from "./system.ts";
import { isTss32 } from "./task-state.ts";

/** Where a 32- or 64-bit TSS has the offset of its I/O permission bitmap. */
const BITMAP_OFFSET = 0x66;

/** Two bytes of the bitmap are always read, so that the last one that counts must have one behind it. */
function mayAccess(cpu: SystemContext, port: number, bytes: number): boolean {
  const { registers, memory } = cpu;
  const limit = registers.limit(TR);
  if (registers.attributes(TR) & ATTRIBUTE.unusable || !isTss32(cpu) || BITMAP_OFFSET + 1 > limit) return false;
  const base = registers.segmentBase(TR);
  const bitmap = Number(memory.read(linear(cpu, base, BITMAP_OFFSET), 2, true));
  const at = bitmap + (port >> 3);
  if (at + 1 > limit) return false;
  const denied = Number(memory.read(linear(cpu, base, at), 2, true)) >> (port & 7);
  return (denied & ((1 << bytes) - 1)) === 0;
}

export function portFunctions(cpu: SystemContext): HostFunctions {
  return {
    checkPort(port, bytes) {
      if (!mayAccess(cpu, port, bytes)) throw new GuestFault(VECTOR.GP, 0);
    },
    readPort: (port, bytes) => cpu.readPort(port, bytes) | 0,
    writePort: (port, bytes, value) => cpu.writePort(port, bytes, value >>> 0),
  };
}
