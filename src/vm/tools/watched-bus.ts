/** A processor's bus whose accesses to devices are told. */
import type { ProcessorBus } from "../../cpu/bus.ts";

export const ACCESS_KINDS = ["in", "out", "read", "write"] as const;
export type AccessKind = (typeof ACCESS_KINDS)[number];

export interface DeviceAccess {
  readonly kind: AccessKind;
  /** A port, or a physical address. */
  readonly address: number;
  readonly bytes: number;
  /** The low word of 8 bytes. */
  readonly value: number;
}

/**
 * The same bus; `told` learns of each access: of a read when it is done, of a write before. `within` runs the access
 * itself.
 */
export function watchedBus(
  bus: ProcessorBus,
  told: (access: DeviceAccess) => void,
  within: <T>(access: () => T) => T,
): ProcessorBus {
  return {
    ...bus,
    readPort: (address, bytes) => {
      const value = within(() => bus.readPort(address, bytes));
      told({ kind: "in", address, bytes, value });
      return value;
    },
    writePort: (address, bytes, value) => {
      told({ kind: "out", address, bytes, value });
      within(() => bus.writePort(address, bytes, value));
    },
    readMemory: (address, bytes, wide) => {
      const value = within(() => bus.readMemory(address, bytes, wide));
      told({ kind: "read", address, bytes, value });
      return value;
    },
    writeMemory: (address, bytes, low, high) => {
      told({ kind: "write", address, bytes, value: low });
      within(() => bus.writeMemory(address, bytes, low, high));
    },
  };
}
