/** Forgetting cached translations. They are kept without PCIDs. */
import { VECTOR } from "../../isa/semantics.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4, is64Bit, isCanonical } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** @spec SDM 2, INVPCID, table 3-52 */
const INVPCID = { address: 0n, context: 1n, all: 2n, allButGlobal: 3n } as const;

export function translationCacheFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
    invalidatePage(linear) {
      const address = BigInt.asUintN(64, linear);
      // One that cannot be translated is not cached either.
      if (!is64Bit(registers) || isCanonical(address)) cpu.flushPage(address);
    },
    invalidateContext(type, low, high) {
      const pcid = BigInt.asUintN(64, low);
      const address = BigInt.asUintN(64, high);
      if (BigInt.asUintN(64, type) > INVPCID.allButGlobal || pcid >> 12n) throw new GuestFault(VECTOR.GP, 0);
      const named = type === INVPCID.address || type === INVPCID.context;
      if (named && pcid !== 0n && !(registers.get32("cr4") & CR4.PCIDE)) throw new GuestFault(VECTOR.GP, 0);
      if (type === INVPCID.address) {
        if (!isCanonical(address)) throw new GuestFault(VECTOR.GP, 0);
        cpu.flushPage(address);
      } else {
        cpu.flushTlb(type !== INVPCID.all);
      }
    },
  };
}
