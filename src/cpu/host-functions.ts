/** What code in WebAssembly calls of TypeScript: instructions' system functions, and memory that is a device's. */
import type { ProcessorBus } from "./bus.ts";
import type { InstructionBudget } from "./instruction-budget.ts";
import type { Registers } from "./registers.ts";
import type { RuntimeHost } from "./runtime.ts";
import { EXIT } from "./state.ts";
import type { System } from "./system/functions.ts";
import { GuestFault } from "./system/guest-fault.ts";

/** The functions of instructions. A guest's exception in one becomes the reason why control comes back. */
export function systemFunctions(
  system: System,
  registers: Registers,
  budget: InstructionBudget,
): Record<string, WebAssembly.ImportValue> {
  const functions: Record<string, WebAssembly.ImportValue> = {};
  for (const [name, implementation] of Object.entries(system.functions)) {
    const nothing = system.resultType(name) === "i64" ? 0n : 0;
    functions[name] = (...args: never[]) => {
      budget.spend(1);
      try {
        return implementation(...args);
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error;
        registers.set32("faultVector", error.vector);
        registers.set32("faultCode", error.errorCode);
        registers.set32("exit", EXIT.fault);
        return nothing;
      }
    };
  }
  return functions;
}

export function deviceMemory(
  bus: ProcessorBus,
  budget: InstructionBudget,
): Pick<RuntimeHost, "readMemory" | "writeMemory"> {
  const wide = new Uint32Array(2);
  return {
    readMemory: (physical, bytes) => {
      budget.spend(1);
      const low = bus.readMemory(Number(physical), bytes, wide);
      return bytes === 8 ? (BigInt(wide[1] as number) << 32n) | BigInt(wide[0] as number) : BigInt(low);
    },
    writeMemory: (physical, bytes, value) => {
      budget.spend(1);
      bus.writeMemory(Number(physical), bytes, Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
    },
  };
}
