/** Forgetting cached translations. They are kept without PCIDs. */
import { VECTOR } from "../../isa/semantics.ts";
import { CONTEXT, fieldAddress } from "../state.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { CR4, isCanonical } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/** @spec SDM 2, INVPCID, table 3-52 */
const INVPCID = { address: 0n, context: 1n, all: 2n, allButGlobal: 3n } as const;

/** `flushPage` is what `SystemContext.flushPage` does. */
export function invalidationFunctions(): WasmFunctions {
  return {
    invalidatePage(f, callee, vcpu) {
      const linear = f.param(0);
      const isLong = f.load("i32", 0, fieldAddress(vcpu, "context")).and(CONTEXT.long);
      // An address that cannot be translated is not cached either.
      f.if(isLong.eqz().or(linear.shl(16).shrS(16).eq(linear)), () => {
        f.call(callee("flushPage"), linear);
      });
    },
  };
}

export function translationCacheFunctions(cpu: SystemContext): HostFunctions {
  const { registers } = cpu;
  return {
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
